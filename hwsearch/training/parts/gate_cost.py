"""Costs of gated networks, and which architecture within a limit their examples agree on most."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

from hwsearch._typing import FloatArray, IntArray
from hwsearch.errors import LimitError
from hwsearch.spaces import Architecture, SearchSpace
from hwsearch.training.parts.gates import Gates

#: over the limit, unused of it, and the negative log-odds: smaller is better
Key = tuple[float, float, float]
#: a limit is used up to this share of it, where the gates' steps allow
UNUSED = 0.01
#: so many states of gates are compared with each other
EXHAUSTIVE = 50_000


class GateCost:
    """The cost of a network under gates, with a gradient to the gates.

    The value is the mean over the examples of the costs of their architectures. The gradient with respect to the mean of a gate
    is what it costs to open this gate where all others are as most examples have them.

    Parameters
    ----------
    gates : Gates
        The gates.
    space : SearchSpace
        Their genes.
    cost : callable
        Maps canonical rows ``(n, genes)`` to positive costs ``(n,)``.
    limit : float
        The most that the pruned network may cost.
    what : str
        What costs are, with its unit, for messages: ``macs`` or ``latency_ms``.

    Attributes
    ----------
    largest, least : float
        Costs of all gates open, and all closed.

    Raises
    ------
    LimitError
        If no gates can meet the limit, or the largest network does.
    """

    def __init__(
        self,
        gates: Gates,
        space: SearchSpace,
        cost: Callable[[IntArray], FloatArray],
        limit: float,
        what: str = "macs",
    ) -> None:
        self.gates, self.space, self.limit, self.what = gates, space, limit, what
        self._cost = cost
        self._known: dict[bytes, float] = {}
        top = space.sizes - 1
        bottom = top.copy()
        bottom[list(gates.genes)] = 0
        self.largest, self.least = map(float, self(np.stack([top, bottom])))
        if not self.least <= limit:
            fixed = [n for k, n in enumerate(space.names) if k not in gates.genes and top[k] > 0]
            kept = f"; {', '.join(fixed)} stay at their largest values" if fixed else ""
            raise LimitError(
                f"no gates meet {what} <= {limit:g}: with all of them closed it is {self.least:g}{kept}.",
                hint=f"Ask for {self.least:.4g} or more, or declare smaller depths and widths.",
            )
        if limit >= self.largest:
            raise LimitError(
                f"nothing is to be pruned: {what} of the largest network is {self.largest:g}, within {limit:g}.",
                hint=f"Ask for less than {self.largest:.4g}.",
            )

    def __call__(self, rows: IntArray) -> FloatArray:
        """Compute costs; those of architectures that were asked for before are kept.

        Parameters
        ----------
        rows : IntArray
            Architectures, shape ``(n, genes)``.

        Returns
        -------
        FloatArray
            Costs, shape ``(n,)``.
        """
        canonical = self.space.canonical(rows)
        keys = [row.tobytes() for row in canonical]
        new = {key: i for i, key in enumerate(keys) if key not in self._known}
        if new:
            found = np.asarray(self._cost(canonical[list(new.values())]), dtype=np.float64)
            self._known.update(zip(new, map(float, found), strict=True))
        return np.array([self._known[key] for key in keys])

    def expected(self, hard: Sequence[Tensor]) -> Tensor:
        """Compute the mean cost of a batch, as a share of the largest network's.

        Parameters
        ----------
        hard : sequence of Tensor
            The gates of the batch, shape ``(b, gates)`` a site.

        Returns
        -------
        Tensor
            A scalar with gradients to the gates.
        """
        rows = self.gates.rows(hard)
        value = float(self(rows).mean())
        means = [gate.mean(0) for gate in hard]
        majority = self.gates.rows([(m > 0.5)[None] for m in means])[0]
        total = hard[0].new_tensor(value / self.largest)
        for mean, slopes in zip(means, self._slopes(majority), strict=True):
            total = total + ((mean - mean.detach()) * torch.as_tensor(slopes / self.largest).to(mean)).sum()
        return total

    def _slopes(self, row: IntArray) -> list[FloatArray]:
        """Compute what opening each gate costs in one architecture."""
        sizes = [site.count + 1 for site in self.gates.sites]
        rows = np.repeat(row[None], sum(sizes), axis=0)
        at = 0
        for gene, size in zip(self.gates.genes, sizes, strict=True):
            rows[at : at + size, gene] = np.arange(size)
            at += size
        costs = np.split(self(rows), np.cumsum(sizes)[:-1])
        return [np.diff(c) for c in costs]

    def choose(self, levels: Sequence[FloatArray]) -> Architecture:
        """Choose the architecture within the limit that is most probable: what the gates of all examples agree on most.

        Better is: first within the limit, then at most `UNUSED` of it left, then the larger sum of the log-odds of the open
        gates. Of more than `EXHAUSTIVE` states, gates are closed and opened, one or two genes at a time, until no change is
        better, from three starts.

        Parameters
        ----------
        levels : sequence of FloatArray
            Log-odds of each gate, mean over the examples, shape ``(gates,)`` a site.

        Returns
        -------
        Architecture
            Its genes without gates have their largest values.
        """
        gains = [np.concatenate([[0.0], np.cumsum(level)]) for level in levels]
        genes = list(self.gates.genes)

        def keys(rows: IntArray) -> list[Key]:
            costs = self(rows)
            score = sum(gain[rows[:, gene]] for gene, gain in zip(genes, gains, strict=True))
            over = np.maximum(0, costs - self.limit)
            unused = np.maximum(0, (1 - UNUSED) * self.limit - costs)
            return list(zip(over.tolist(), unused.tolist(), (-np.asarray(score)).tolist(), strict=True))

        sizes = [site.count + 1 for site in self.gates.sites]
        if math.prod(sizes) <= EXHAUSTIVE:
            rows = np.repeat((self.space.sizes - 1)[None], math.prod(sizes), axis=0)
            rows[:, genes] = np.stack([grid.ravel() for grid in np.indices(sizes)], 1)
            found = keys(rows)
            row = rows[min(range(len(rows)), key=found.__getitem__)]
            return self.space.from_array(self.space.canonical(row[None]))[0]
        top = self.space.sizes - 1
        majority, closed = top.copy(), top.copy()
        for gene, level in zip(genes, levels, strict=True):
            majority[gene], closed[gene] = int((level > 0).sum()), 0
        row = min((self._improved(start, keys) for start in (majority, closed, top)), key=lambda r: keys(r[None])[0])
        return self.space.from_array(self.space.canonical(row[None]))[0]

    def _improved(self, row: IntArray, keys: Callable[[IntArray], list[Key]]) -> IntArray:
        """Change one or two genes at a time until no change is better."""
        best = keys(row[None])[0]
        while True:
            tried = np.array(list(self._changes(row)))
            found = keys(tried)
            first = min(range(len(tried)), key=found.__getitem__)
            if not found[first] < best:
                return row
            row, best = tried[first], found[first]

    def _changes(self, row: IntArray) -> Iterable[IntArray]:
        """Yield what differs in one or two genes."""
        single = [
            (gene, value)
            for gene, site in zip(self.gates.genes, self.gates.sites, strict=True)
            for value in range(site.count + 1)
            if value != row[gene]
        ]
        for changes in itertools.chain(((s,) for s in single), itertools.combinations(single, 2)):
            other = row.copy()
            for gene, value in changes:
                other[gene] = value
            yield other
