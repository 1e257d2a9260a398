"""Random architectures: uniform over genes, or spread evenly over a cost."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from hwsearch._typing import BoolArray, FloatArray, IntArray
from hwsearch.spaces.architecture import Architecture
from hwsearch.spaces.enumeration import EnumerationMixin
from hwsearch.spaces.rows import RowSet, unique_rows

#: maps an index array (n, genes) to a cost an architecture (n,)
Cost = Callable[[IntArray], FloatArray]

#: how often a draw of distinct rows is repeated before a small space is listed
_ATTEMPTS = 20
#: the largest space that is listed when it is nearly exhausted
_LISTED = 200_000


class SamplingMixin(EnumerationMixin):
    """Random draws from a space."""

    def sample_array(self, n: int, rng: np.random.Generator) -> IntArray:
        """Draw rows with each gene uniform and independent of the others, the field's usual sampling.

        Parameters
        ----------
        n : int
            How many rows.
        rng : numpy.random.Generator
            Source of randomness.

        Returns
        -------
        ndarray of int, shape (n, genes)
            Canonical rows, which may repeat.
        """
        return self.canonical(rng.integers(0, self.sizes, size=(n, len(self.choices))))

    def sample(
        self, n: int, rng: np.random.Generator, *, distinct: bool = True, exclude: Iterable[Architecture] = ()
    ) -> list[Architecture]:
        """Draw architectures with uniform genes.

        Parameters
        ----------
        n : int
            How many architectures.
        rng : numpy.random.Generator
            Source of randomness.
        distinct : bool
            Whether every architecture may occur only once.
        exclude : iterable of Architecture
            Architectures not to draw; only used with `distinct`.

        Returns
        -------
        list of Architecture
            `n` architectures; fewer if they must be distinct and the space has no more.

        Examples
        --------
        >>> import numpy as np
        >>> from hwsearch.spaces import Choice, SearchSpace
        >>> space = SearchSpace("toy", [Choice("depth", (1, 2)), Choice("width", (8, 16))])
        >>> len(space.sample(3, np.random.default_rng(0)))
        3
        >>> len(space.sample(9, np.random.default_rng(0)))
        4
        """
        return self._collect(n, lambda m: self.sample_array(m, rng), distinct, exclude)

    def sample_balanced_array(self, n: int, rng: np.random.Generator, cost: Cost, *, oversample: int = 30) -> IntArray:
        """Draw rows spread evenly over the log of a cost, the smallest and the largest subnet included.

        Uniform genes pile up in the middle of the cost range (a sum of many independent terms). Here the genes
        of each candidate are drawn with a tilt between all-smallest and all-largest, the range of log cost is
        cut into `n` bins, and one candidate is taken from each bin.

        Parameters
        ----------
        n : int
            How many rows.
        rng : numpy.random.Generator
            Source of randomness.
        cost : callable
            Maps rows ``(k, genes)`` to costs ``(k,)``, positive.
        oversample : int
            How many candidates are drawn for each row that is returned, at least 1,000 in all.

        Returns
        -------
        ndarray of int, shape (n, genes)
            Distinct canonical rows, the ends first; fewer if the candidates were fewer.
        """
        ends = np.stack([np.zeros_like(self.sizes), self.sizes - 1])
        if n <= 2:
            return self.canonical(ends[:n])
        pool_size = max(oversample * n, 1000)
        tilt = rng.beta(0.6, 0.6, size=(pool_size, 1))
        pool = self.canonical(rng.binomial(np.broadcast_to(self.sizes - 1, (pool_size, len(self.sizes))), tilt))
        pool = unique_rows(np.concatenate([self.canonical(ends), pool]))
        return spread_over_cost(pool, self.canonical(ends), n, rng, cost)

    def sample_balanced(
        self, n: int, rng: np.random.Generator, cost: Cost, *, exclude: Iterable[Architecture] = ()
    ) -> list[Architecture]:
        """Draw distinct architectures spread evenly over the log of a cost.

        Parameters
        ----------
        n : int
            How many architectures.
        rng : numpy.random.Generator
            Source of randomness.
        cost : callable
            Maps rows ``(k, genes)`` to costs ``(k,)``, positive.
        exclude : iterable of Architecture
            Architectures not to draw.

        Returns
        -------
        list of Architecture
            `n` architectures, the smallest and the largest first; fewer if the space has no more.
        """
        return self._collect(n, lambda m: self.sample_balanced_array(m, rng, cost), True, exclude)

    def _collect(
        self, n: int, draw: Callable[[int], IntArray], distinct: bool, exclude: Iterable[Architecture]
    ) -> list[Architecture]:
        if not distinct:
            return self.from_array(draw(n))
        seen = RowSet(self.sizes)
        seen.add(self.to_array(exclude))
        return self.from_array(self.collect_array(n, draw, seen.has))

    def collect_array(
        self, n: int, draw: Callable[[int], IntArray], known: Callable[[IntArray], BoolArray]
    ) -> IntArray:
        """Draw distinct rows that are not known yet, in the order in which they are drawn.

        Parameters
        ----------
        n : int
            How many rows.
        draw : callable
            Maps a number to so many rows ``(number, genes)``.
        known : callable
            Maps canonical rows ``(k, genes)`` to a mask ``(k,)`` of those to leave out.

        Returns
        -------
        ndarray of int, shape (at most n, genes)
            Canonical rows; fewer than `n` if there are no more, or if draws keep repeating in a large space.
        """
        found = RowSet(self.sizes)
        for attempt in range(_ATTEMPTS):
            rows = self.canonical(draw(max(n - len(found), 8) if attempt else n))
            found.add(rows[~known(rows)])
            if len(found) >= n:
                break
        else:
            if self.cardinality <= _LISTED:  # a nearly exhausted space: take what is left
                rows = self.enumerate_array()
                found.add(rows[~known(rows)])
        return found.rows[:n].astype(np.int64)


def spread_over_cost(pool: IntArray, ends: IntArray, n: int, rng: np.random.Generator, cost: Cost) -> IntArray:
    """Choose rows that are spread evenly over the log of a cost.

    Parameters
    ----------
    pool : ndarray of int, shape (k, genes)
        Candidates, each once, the ends among them.
    ends : ndarray of int, shape (2, genes)
        The smallest and the largest row.
    n : int
        How many rows.
    rng : numpy.random.Generator
        Source of randomness: where in its bin each row is looked for, and in which order the bins are filled.
    cost : callable
        Maps rows ``(k, genes)`` to costs ``(k,)``, positive.

    Returns
    -------
    ndarray of int, shape (at most n, genes)
        The ends first, then one row of the pool for each bin of log cost.
    """
    if n <= 2:
        return ends[:n]
    value = np.log(np.maximum(np.asarray(cost(pool), dtype=np.float64), 1e-12))
    goals = np.linspace(value.min(), value.max(), n)
    noise = rng.uniform(-0.5, 0.5, size=n) * (goals[1] - goals[0])
    # the ends by name: others may cost the same, and a measured cost need not be monotone
    taken = list(dict.fromkeys(int(np.flatnonzero((pool == e).all(axis=1))[0]) for e in ends))
    free = np.ones(len(pool), dtype=bool)
    free[taken] = False
    for g in rng.permutation(np.arange(1, n - 1)):
        gap = np.where(free, np.abs(value - (goals[g] + noise[g])), np.inf)
        k = int(np.argmin(gap))
        if not np.isfinite(gap[k]):
            break
        free[k] = False
        taken.append(k)
    return pool[np.array(taken)]
