"""Nested chains: architectures of which each contains the ones before it."""

from __future__ import annotations

import numpy as np

from hwsearch._typing import BoolArray, IntArray
from hwsearch.errors import SpaceError
from hwsearch.spaces.architecture import Architecture
from hwsearch.spaces.sampling import Cost, SamplingMixin


class ChainMixin(SamplingMixin):
    """Chains from the smallest architecture to the largest."""

    def chain_array(self, n: int, cost: Cost) -> IntArray:
        """List rows from the smallest to the largest of which each is nowhere below the one before.

        All genes rise together: each reaches its k-th value at the same share of the way as the k-th of a gene of equal
        size, one gene at a time. Of the rows on this way those are taken whose log cost is nearest to evenly spaced.

        Parameters
        ----------
        n : int
            How many rows, at least 2.
        cost : callable
            Maps rows ``(k, genes)`` to costs ``(k,)``, positive.

        Returns
        -------
        ndarray of int, shape (at most n, genes)
            Distinct canonical rows, the smallest first and the largest last; fewer if the way is shorter.

        Raises
        ------
        SpaceError
            If `n` is less than 2, or a gene's values have no order.
        """
        if n < 2:
            raise SpaceError(f"a chain of {n} is none: it has both ends.", hint="Ask for at least 2.")
        unordered = [c.name for c in self.choices if not c.ordinal and len(c.values) > 1]
        if unordered:
            raise SpaceError(f"space {self.name!r} has no chain: the values of gene {unordered[0]!r} have no order.")
        rises = [((k - 0.5) / (size - 1), gene) for gene, size in enumerate(self.sizes) for k in range(1, size)]
        rows = np.zeros((len(rises) + 1, len(self.choices)), dtype=np.int64)
        for i, (_, gene) in enumerate(sorted(rises), 1):
            rows[i] = rows[i - 1]
            rows[i, gene] += 1
        rows = self.canonical(rows)
        changed = np.concatenate([[True], (rows[1:] != rows[:-1]).any(axis=1)])
        rows = rows[changed]
        m = len(rows)
        if m <= n:
            return rows
        value = np.log(np.maximum(np.asarray(cost(rows), dtype=np.float64), 1e-12))
        taken: list[int] = []
        for k, goal in enumerate(np.linspace(value[0], value[-1], n)):
            least = taken[-1] + 1 if taken else 0
            taken.append(int(np.clip(np.argmin(np.abs(value - goal)), least, m - n + k)))
        taken[0], taken[-1] = 0, m - 1
        return rows[np.array(taken)]

    def chain(self, n: int, cost: Cost) -> list[Architecture]:
        """List nested architectures, spread evenly over the log of a cost; see `chain_array`.

        With shared weights each of them contains the weights of all before it, so that a device can switch between them
        at run time with one copy.

        Parameters
        ----------
        n : int
            How many architectures, at least 2.
        cost : callable
            Maps rows ``(k, genes)`` to costs ``(k,)``, positive; for example `hwsearch.supernets.base.Supernet.macs_array`.

        Returns
        -------
        list of Architecture
            The smallest first and the largest last; fewer if the way between them is shorter.

        Raises
        ------
        SpaceError
            If `n` is less than 2, or a gene's values have no order.

        References
        ----------
        Valipour et al., "SortedNet: a scalable and generalized framework for training modular deep neural networks",
        2023, arXiv 2309.00255.

        Examples
        --------
        >>> from hwsearch.spaces import Choice, SearchSpace
        >>> space = SearchSpace("toy", [Choice("depth", (1, 2)), Choice("width", (8, 16, 32))])
        >>> [dict(a) for a in space.chain(3, lambda rows: 1.0 + rows.sum(axis=1))]
        [{'depth': 1, 'width': 8}, {'depth': 1, 'width': 16}, {'depth': 2, 'width': 32}]
        """
        return self.from_array(self.chain_array(n, cost))

    def contained_array(self, rows: IntArray) -> BoolArray:
        """Tell which rows lie within which: with shared weights, whose weights are part of whose.

        Parameters
        ----------
        rows : ndarray of int, shape (n, genes)
            Canonical rows.

        Returns
        -------
        ndarray of bool, shape (n, n)
            Entry ``[i, j]``: no gene of row i is above row j's, one without an order is the same, and none is active in i
            alone. Each row lies within itself.

        Examples
        --------
        >>> from hwsearch.spaces import Choice, SearchSpace
        >>> space = SearchSpace("toy", [Choice("depth", (1, 2)), Choice("width", (8, 16, 32))])
        >>> space.contained_array(np.array([[0, 1], [1, 0], [1, 2]])).tolist()
        [[True, False, True], [False, True, True], [False, False, True]]
        """
        low, high = rows[:, None, :], rows[None, :, :]
        ordered = np.array([c.ordinal for c in self.choices])
        within = np.where(ordered, low <= high, low == high)
        return np.asarray(((low < 0) | ((high >= 0) & within)).all(axis=2))
