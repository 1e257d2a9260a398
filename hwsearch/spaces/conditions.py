"""Conditional genes: which genes of an index array are active, and how many networks that leaves."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from hwsearch._typing import BoolArray, IntArray
from hwsearch.errors import SpaceError
from hwsearch.spaces.choice import Choice


class Level(NamedTuple):
    """Conditional genes at one depth of the tree of conditions; their parents are one level higher.

    Attributes
    ----------
    genes : ndarray of int, shape (k,)
        Columns of the conditional genes.
    parents : ndarray of int, shape (k,)
        Column of the gene that each of them depends on.
    offsets : ndarray of int, shape (k,)
        Where each gene's entries begin in `switches`.
    switches : ndarray of bool, shape (entries,)
        Entry ``offsets[i] + v`` says whether index `v` of the parent, or -1, switches gene `i` on.
    """

    genes: IntArray
    parents: IntArray
    offsets: IntArray
    switches: BoolArray


class Conditions:
    """The forest of conditions among the genes of a space.

    Parameters
    ----------
    space_name : str
        Name of the space, for messages.
    choices : sequence of Choice
        The genes in order; a condition may refer to an earlier gene only.

    Attributes
    ----------
    parents : ndarray of int, shape (genes,)
        Column of the gene that each gene depends on, -1 where it has no condition.
    switches : list of (ndarray of bool or None)
        For each gene, which indices of its parent switch it on; None where it has no condition.
    children : list of list of int
        For each gene, the columns of the genes that depend on it.

    Raises
    ------
    SpaceError
        If a condition refers to a gene that is not an earlier one, or to a value which that gene does not have.
    """

    def __init__(self, space_name: str, choices: Sequence[Choice]) -> None:
        self._sizes = np.array([len(c.values) for c in choices], dtype=np.int64)
        self.parents = np.full(len(choices), -1, dtype=np.int64)
        self.switches: list[BoolArray | None] = [None] * len(choices)
        self.children: list[list[int]] = [[] for _ in choices]
        position = {c.name: i for i, c in enumerate(choices)}
        for i, choice in enumerate(choices):
            when = choice.when
            if when is None:
                continue
            parent = position.get(when.name, len(choices))
            if parent >= i:
                raise SpaceError(
                    f"space {space_name!r}: {choice.name!r} depends on {when.name!r}, which is not an earlier choice."
                )
            unknown = set(when.values) - set(choices[parent].values)
            if unknown:
                raise SpaceError(
                    f"space {space_name!r}: {choice.name!r} waits for {when.name}={sorted(map(str, unknown))}, "
                    f"which is not one of {choices[parent].values}."
                )
            self.parents[i] = parent
            self.switches[i] = np.array([v in when.values for v in choices[parent].values])
            self.children[parent].append(i)
        self.levels: tuple[Level, ...] = tuple(self._by_depth())

    def _by_depth(self) -> Iterator[Level]:
        """Order conditional genes: those whose parents have no condition, then those whose parents were among these, and so on."""
        depth = np.zeros(len(self.parents), dtype=np.int64)
        for i in np.flatnonzero(self.parents >= 0):
            depth[i] = depth[self.parents[i]] + 1
        for level in range(1, int(depth.max()) + 1):
            genes = np.flatnonzero(depth == level)
            parents = self.parents[genes]
            width = int(self._sizes[parents].max()) + 1  # the last column stays off: it is what -1 finds
            switches = np.zeros((len(genes), width), dtype=bool)
            for row, gene in zip(switches, genes, strict=True):
                on = self.switches[gene]
                assert on is not None
                row[: len(on)] = on
            yield Level(genes, parents, np.arange(len(genes)) * width, switches.ravel())

    def canonical(self, rows: IntArray) -> IntArray:
        """Set inactive genes to -1.

        Parameters
        ----------
        rows : ndarray of int, shape (n, genes)
            Value indices; the array is not changed.

        Returns
        -------
        ndarray of int, shape (n, genes)
            The canonical rows, in the signed integers of `rows`. Applying the function again changes nothing.
        """
        rows = rows.copy()
        for genes, parents, offsets, switches in self.levels:
            on = _switched(switches, rows[:, parents] + offsets)
            rows[:, genes] = np.where(on, rows[:, genes], -1)
        return rows

    def misplaced(self, rows: IntArray) -> BoolArray:
        """Find entries of canonical rows that are no index of a value although the gene is active.

        Parameters
        ----------
        rows : ndarray of int, shape (n, genes)
            Canonical rows.

        Returns
        -------
        ndarray of bool, shape (n, genes)
            True where an active gene holds no valid index.
        """
        wrong = (rows >= self._sizes) | (rows < 0)
        for genes, parents, offsets, switches in self.levels:
            wrong[:, genes] &= (rows[:, genes] >= 0) | _switched(switches, rows[:, parents] + offsets)
        return wrong

    def is_active(self, gene: int, row: Sequence[int]) -> bool:
        """Tell whether a gene is active, given the genes before it.

        Parameters
        ----------
        gene : int
            Column of the gene.
        row : sequence of int
            Canonical value indices of at least all earlier genes.

        Returns
        -------
        bool
            Whether the gene has no condition, or its parent is active and at a value that switches it on.
        """
        on = self.switches[gene]
        if on is None:
            return True
        parent = row[self.parents[gene]]
        return parent >= 0 and bool(on[parent])

    def count(self) -> int:
        """Count the distinct canonical rows, exactly and without enumerating them.

        Returns
        -------
        int
            The product, over the genes without a condition, of the number of completions of their trees.
        """
        return math.prod(sum(self._completions(i)) for i in range(len(self.parents)) if self.parents[i] < 0)

    def _completions(self, gene: int) -> list[int]:
        """Count the distinct completions below a gene, for each of its values."""
        counts = [1] * int(self._sizes[gene])
        for child in self.children[gene]:
            on, below = self.switches[child], sum(self._completions(child))
            assert on is not None
            counts = [count * below if on[j] else count for j, count in enumerate(counts)]
        return counts

    def enumerate(self) -> IntArray:
        """List every canonical row once, in lexicographic order.

        Returns
        -------
        ndarray of int, shape (count, genes)
            All canonical rows; the caller checks beforehand that they fit into memory.
        """
        rows = np.empty((1, 0), dtype=np.int64)
        for i, on in enumerate(self.switches):
            parent = rows[:, self.parents[i]] if on is not None else np.zeros(len(rows), dtype=np.int64)
            active = np.ones(len(rows), dtype=bool) if on is None else (parent >= 0) & on[np.maximum(parent, 0)]
            times = np.where(active, self._sizes[i], 1)
            ends = np.cumsum(times)
            value = np.arange(ends[-1]) - np.repeat(ends - times, times)
            value[~np.repeat(active, times)] = -1
            rows = np.column_stack([np.repeat(rows, times, axis=0), value])
        return rows


def _switched(switches: BoolArray, entries: IntArray) -> BoolArray:
    """Look up switches; an entry that is no index finds any of them, and is named by `Conditions.misplaced`."""
    return np.take(switches, entries, mode="wrap")
