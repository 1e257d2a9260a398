"""Rank, select and mate index arrays as NSGA-II does, and search a scoring function with it.

Deb, Pratap, Agarwal, Meyarivan 2002, "A fast and elitist multiobjective genetic algorithm: NSGA-II",
doi 10.1109/4235.996017. Limits rank as in that paper: what meets them goes first, the rest by how far it is from
meeting them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import moocore
import numpy as np

from hwsearch._typing import FloatArray, IntArray
from hwsearch.spaces import SearchSpace
from hwsearch.spaces.rows import RowSet
from hwsearch.spaces.rows import row_keys as row_keys

#: maps rows (n, genes) to costs (n, m), smaller is better, and violations of the limits (n,), 0 is none
Score = Callable[[IntArray], tuple[FloatArray, FloatArray]]

#: up to so many rows are sorted into all their fronts, which takes time quadratic in them
SORTED_WHOLE = 5000


def rank_and_crowding(costs: FloatArray, violation: FloatArray, n: int | None = None) -> tuple[IntArray, FloatArray]:
    """Compute non-domination ranks and crowding distances.

    Rows that violate limits come after all fronts, ranked by violation, with crowding 0; infinity and NaN are worst.

    Parameters
    ----------
    costs : ndarray (N, m)
        Smaller is better.
    violation : ndarray (N,)
        Violation of the limits, 0 is none.
    n : int, optional
        Fronts that are not needed to choose n rows share the next rank and have crowding 0.

    Returns
    -------
    rank : ndarray of int (N,)
        0 is the first front.
    crowding : ndarray (N,)
        Infinite at the ends of a front.

    Examples
    --------
    >>> rank, crowding = rank_and_crowding(np.array([[1.0, 2.0], [2.0, 1.0], [3.0, 3.0]]), np.zeros(3))
    >>> rank.tolist()
    [0, 0, 1]
    """
    total = len(costs)
    rank, crowding = np.zeros(total, dtype=np.int64), np.zeros(total)
    violation = np.where(np.isnan(violation) | ~np.isfinite(costs).all(axis=1), np.inf, violation)
    feasible, infeasible = np.flatnonzero(violation <= 0), np.flatnonzero(violation > 0)
    fronts = 0
    if len(feasible):
        found = np.asarray(moocore.pareto_rank(costs[feasible]), dtype=np.int64)
        filled = np.cumsum(np.bincount(found))
        fronts = int(np.searchsorted(filled, min(n or total, len(feasible)))) + 1
        rank[feasible] = np.minimum(found, fronts)
        there = found < fronts
        crowding[feasible[there]] = _crowding(costs[feasible[there]], found[there])
    if len(infeasible):
        rank[infeasible] = fronts + 1 + np.unique(violation[infeasible], return_inverse=True)[1]
    return rank, crowding


def _crowding(costs: FloatArray, rank: IntArray) -> FloatArray:
    """Compute the crowding distance (k,) of costs (k, m) among those of the same rank."""
    out = np.zeros(len(costs))
    for column in costs.T:
        order = np.lexsort((column, rank))
        value, front = column[order], rank[order]
        first = np.ones(len(order), dtype=bool)
        np.not_equal(front[1:], front[:-1], out=first[1:])
        edge = np.flatnonzero(first)
        last = np.append(edge[1:], len(order)) - 1
        spread = np.repeat(value[last] - value[edge], last - edge + 1)
        step = np.full(len(order) + 1, np.inf)
        np.subtract(value[1:], value[:-1], out=step[1:-1])
        step[edge] = step[last + 1] = np.inf
        with np.errstate(invalid="ignore", divide="ignore"):
            out[order] += np.where(spread > 0, (step[:-1] + step[1:]) / spread / costs.shape[1], 0.0)
    return np.where(np.bincount(rank)[rank] <= 2, np.inf, out)


def leading(costs: FloatArray, violation: FloatArray, n: int) -> IntArray:
    """Choose the best rows by rank, then crowding; of a million rows in seconds.

    Parameters
    ----------
    costs : ndarray (N, m)
        Smaller is better.
    violation : ndarray (N,)
        Violation of the limits, 0 is none.
    n : int
        How many.

    Returns
    -------
    ndarray of int (min(n, N),)
        Positions, best first; equal rows in their order.
    """
    places = np.arange(len(costs))
    if len(costs) > SORTED_WHOLE:
        fit = (violation <= 0) & np.isfinite(costs).all(axis=1)
        left, taken = np.flatnonzero(fit), [np.flatnonzero(~fit)[np.argsort(violation[~fit], kind="stable")[:n]]]
        found = 0
        while found < n and len(left):
            front = np.asarray(moocore.is_nondominated(costs[left], keep_weakly=True), dtype=bool)
            taken.append(left[front])
            found += int(front.sum())
            left = left[~front]
        places = np.sort(np.concatenate(taken))
    rank, crowding = rank_and_crowding(costs[places], violation[places], n)
    return np.asarray(places[np.lexsort((-crowding, rank))[:n]], dtype=np.int64)


def survive(costs: FloatArray, violation: FloatArray, n: int, rng: np.random.Generator) -> IntArray:
    """Choose the best rows by rank, then crowding; full ties are broken by chance.

    Parameters
    ----------
    costs : ndarray (N, m)
        Smaller is better.
    violation : ndarray (N,)
        Violation of the limits, 0 is none.
    n : int
        How many.
    rng : numpy.random.Generator
        For ties.

    Returns
    -------
    ndarray of int (min(n, N),)
        Positions, best first.
    """
    rank, crowding = rank_and_crowding(costs, violation, n)
    return np.asarray(np.lexsort((rng.random(len(costs)), -crowding, rank))[:n], dtype=np.int64)


@dataclass(frozen=True)
class Mating:
    """Variation of an evolutionary search: binary tournaments, uniform crossover, gene-wise mutation.

    Attributes
    ----------
    crossover : float
        Probability that a child has two parents.
    mutation : float or None
        Probability that a gene is redrawn; None means 1 / genes.
    """

    crossover: float = 0.9
    mutation: float | None = None

    def children(
        self, space: SearchSpace, rows: IntArray, rank: IntArray, crowding: FloatArray, n: int, rng: np.random.Generator
    ) -> IntArray:
        """Breed rows.

        Parameters
        ----------
        space : SearchSpace
            Whose rows they are.
        rows : ndarray (N, genes)
            Possible parents.
        rank : ndarray of int (N,)
            The lower rank wins a tournament.
        crowding : ndarray (N,)
            Among equal ranks the higher crowding wins.
        n : int
            How many children.
        rng : numpy.random.Generator
            Source of randomness.

        Returns
        -------
        ndarray (n, genes)
            Canonical rows, which may repeat each other and their parents.
        """
        a, b = (self._tournament(rank, crowding, n, rng) for _ in range(2))
        return self.pairs(space, rows[a], rows[b], rng)

    def pairs(self, space: SearchSpace, a: IntArray, b: IntArray, rng: np.random.Generator) -> IntArray:
        """Breed one child of each pair of rows.

        Parameters
        ----------
        space : SearchSpace
            Whose rows they are.
        a, b : ndarray (n, genes)
            The parents, canonical.
        rng : numpy.random.Generator
            Source of randomness.

        Returns
        -------
        ndarray (n, genes)
            Canonical rows.
        """
        return space.breed_array(a, b, rng, self.crossover, self.mutation)

    @staticmethod
    def _tournament(rank: IntArray, crowding: FloatArray, n: int, rng: np.random.Generator) -> IntArray:
        one, two = rng.integers(0, len(rank), size=(2, n))
        better = (rank[two] < rank[one]) | ((rank[two] == rank[one]) & (crowding[two] > crowding[one]))
        return np.asarray(np.where(better, two, one), dtype=np.int64)


def evolve(
    space: SearchSpace,
    score: Score,
    start: IntArray,
    *,
    population: int,
    evaluations: int,
    mating: Mating,
    rng: np.random.Generator,
    offspring: int | None = None,
) -> tuple[IntArray, FloatArray, FloatArray]:
    """Search a scoring function with generational NSGA-II, all on arrays.

    No row is scored twice; children that were scored before count as evaluations, so that small spaces end, too.

    Parameters
    ----------
    space : SearchSpace
        What is searched.
    score : callable
        Rows (n, genes) to costs (n, m), smaller is better, and violations of the limits (n,), 0 is none.
    start : ndarray (k, genes)
        Rows of the first generation, filled up with uniform samples to `population`.
    population : int
        Size of a generation.
    evaluations : int
        How many rows are scored at most, the first generation included.
    mating : Mating
        How children are made.
    rng : numpy.random.Generator
        Source of randomness.
    offspring : int, optional
        Children a generation; default: as many as parents.

    Returns
    -------
    rows : ndarray (N, genes)
        Everything that was scored.
    costs : ndarray (N, m)
        Their costs.
    violation : ndarray (N,)
        Their violations.
    """
    rows = np.concatenate([start[:population], space.sample_array(max(0, population - len(start)), rng)])
    seen = RowSet(space.sizes)
    seen.add(rows)
    rows = seen.rows.astype(np.int64)
    costs, violation = score(rows)
    scored = [(costs, violation)]
    used = len(rows)
    while used < evaluations:
        rank, crowding = rank_and_crowding(costs, violation)
        children = mating.children(space, rows, rank, crowding, min(offspring or population, evaluations - used), rng)
        used += len(children)
        before = len(seen)
        seen.add(children)
        if len(seen) == before:
            continue
        children = seen.rows[before:].astype(np.int64)
        scored.append(score(children))
        rows = np.concatenate([rows, children])
        costs, violation = (np.concatenate(pair) for pair in zip((costs, violation), scored[-1], strict=True))
        chosen = survive(costs, violation, population, rng)
        rows, costs, violation = rows[chosen], costs[chosen], violation[chosen]
    costs, violation = (np.concatenate(part) for part in zip(*scored, strict=True))
    return seen.rows.astype(np.int64), costs, violation
