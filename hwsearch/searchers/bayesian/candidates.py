"""Search a posterior for candidates: by its mean, by an optimistic bound, and among the front's neighbours."""

from __future__ import annotations

from collections.abc import Callable

import moocore
import numpy as np

from hwsearch._typing import BoolArray, FloatArray, IntArray
from hwsearch.objectives.objective import signs
from hwsearch.objectives.pareto import non_dominated
from hwsearch.searchers.base import Searcher
from hwsearch.searchers.bayesian.chance_limits import ChanceLimits
from hwsearch.searchers.bayesian.posterior import EncodedRows, MultiObjectivePosterior
from hwsearch.searchers.evolutionary.evolution import Mating, evolve, leading, row_keys
from hwsearch.searchers.options import RowFunction
from hwsearch.spaces.rows import distinct
from predictors.kernel_parts import Features

#: spaces up to this size are predicted whole
WHOLE = 20_000
#: members of the front whose neighbours are candidates
NEIGHBOURHOODS = 24
#: children a generation of the inner evolution, which are predicted together
OFFSPRING = 1000
#: candidates compared by joint posterior samples
SHORTLIST = 600
#: posterior deviations by which the optimistic bound lies below the mean cost (lower confidence bound)
LCB_BETA = 2.0
#: members of a front with which rows are compared at a time
FRONT_BLOCK = 64

#: k architectures to their costs (k, m) and violations of the limits (k,)
Scorer = Callable[[EncodedRows], tuple[FloatArray, FloatArray]]


class CandidateSearch:
    """Finds the architectures of a space that a posterior promises most of.

    Parameters
    ----------
    searcher : Searcher
        What was told and asked, and the source of randomness.
    posterior : MultiObjectivePosterior
        What is predicted; fitted anew by the tactic.
    limits : ChanceLimits
        How limits are judged.
    cost : callable
        Rows (n, genes) to positive costs (n,), over which part of the inner start is spread.
    population : int
        Of the inner NSGA-II.
    evaluations : int
        Architectures predicted a call of `find`; a space of at most `WHOLE` is predicted whole.

    Attributes
    ----------
    elite : ndarray (k, genes)
        The best predicted of the last call, with which the next one starts; part of a tactic's state.
    """

    def __init__(
        self,
        searcher: Searcher,
        posterior: MultiObjectivePosterior,
        limits: ChanceLimits,
        cost: RowFunction,
        population: int,
        evaluations: int,
    ) -> None:
        self._searcher, self._posterior, self._limits = searcher, posterior, limits
        self._cost, self._population, self._evaluations = cost, population, evaluations
        self.elite = np.empty((0, len(searcher.space.choices)), dtype=np.int64)
        self._everything: tuple[IntArray, Features] | None = None

    def everything(self) -> tuple[IntArray, Features] | None:
        """List the whole of a small space.

        Returns
        -------
        rows : ndarray (cardinality, genes)
            All rows.
        features : dict
            Their features, in single precision. None in place of both for a space larger than `WHOLE`.
        """
        if self._searcher.space.cardinality > WHOLE:
            return None
        if self._everything is None:
            rows = self._searcher.space.enumerate_array()
            self._everything = rows, self._posterior.kernel.row_features(rows, np.float32)
        return self._everything

    def find(self, busy: IntArray, values: FloatArray | None = None) -> tuple[IntArray, int]:
        """Find promising rows that are neither told nor busy.

        Parameters
        ----------
        busy : ndarray (k, genes)
            Rows that are part of the batch already, or pending.
        values : ndarray (told, m), optional
            Of the told rows, by which those to start from are chosen; default: as they were told.

        Returns
        -------
        rows : ndarray (n, genes)
            Distinct candidates.
        used : int
            How many architectures were predicted.
        """
        searcher, space = self._searcher, self._searcher.space
        posterior = self._posterior.single_precision()
        mean, lower_bound = self._mean_and_lower_bound(posterior)
        whole = self.everything()
        if whole is not None:
            every = EncodedRows(posterior, *whole)
            rows = self._fresh(every.rows, *mean(every), busy, 4 * SHORTLIST)
            some = EncodedRows(posterior, rows)
            found = [rows[: SHORTLIST // 2], self._fresh(rows, *lower_bound(some), busy, SHORTLIST // 2)]
            return distinct(np.concatenate(found)), len(every.rows)
        values = searcher.values if values is None else values
        best = searcher.rows_at(leading(searcher.costs(values), searcher.violation(values), self._population // 4))
        start = np.concatenate([best, self.elite])
        fresh = space.sample_balanced_array(max(2, self._population - len(start)), searcher.rng, self._cost)
        found, used = [], 0
        for k, scorer in enumerate((mean, self._lower_bound_of_the_promising(posterior))):
            rows, costs, violation = evolve(
                space,
                lambda rows, scorer=scorer: scorer(EncodedRows(posterior, rows)),  # type: ignore[misc]
                np.concatenate([start, fresh]),
                population=self._population,
                evaluations=max(self._population, self._evaluations // 2),
                mating=Mating(),
                rng=searcher.rng,
                offspring=OFFSPRING,
            )
            used += len(rows)
            found.append(self._fresh(rows, costs, violation, busy, SHORTLIST // 2))
            if k == 0:
                self.elite = rows[leading(costs, violation, self._population // 2)]
        near = distinct(np.concatenate([space.neighbours_array(row) for row in best[:NEIGHBOURHOODS]]))
        found.append(self._fresh(near, *mean(EncodedRows(posterior, near)), busy, SHORTLIST // 4))
        return distinct(np.concatenate(found)), used + len(near)

    def front(self, values: FloatArray) -> tuple[IntArray, FloatArray]:
        """Find the front of the posterior mean over the whole space.

        Parameters
        ----------
        values : ndarray (told, m)
            Of the told rows, without gaps: those to start from.

        Returns
        -------
        rows : ndarray (n, genes)
            Told or not.
        costs : ndarray (n, m)
            Their posterior means; where none meets the limits, those of the least violation.
        """
        searcher, space = self._searcher, self._searcher.space
        posterior = self._posterior.single_precision()
        mean, _ = self._mean_and_lower_bound(posterior)
        whole = self.everything()
        if whole is not None:
            every = EncodedRows(posterior, *whole)
            rows, (costs, violation) = every.rows, mean(every)
        else:
            best = searcher.rows_at(leading(searcher.costs(values), searcher.violation(values), self._population // 4))
            start = np.concatenate([best, self.elite])
            fresh = space.sample_balanced_array(max(2, self._population - len(start)), searcher.rng, self._cost)
            rows, costs, violation = evolve(
                space,
                lambda rows: mean(EncodedRows(posterior, rows)),
                np.concatenate([start, fresh]),
                population=self._population,
                evaluations=max(self._population, self._evaluations),
                mating=Mating(),
                rng=searcher.rng,
                offspring=OFFSPRING,
            )
        good = np.flatnonzero(violation <= violation.min())
        good = good[non_dominated(costs[good] * signs(searcher.objectives), searcher.objectives)]
        return rows[good], costs[good]

    def promising(self, rows: IntArray, n: int) -> IntArray:
        """Choose among given rows those that promise most.

        Parameters
        ----------
        rows : ndarray (k, genes)
            Candidates.
        n : int
            How many by the mean, and how many by the optimistic bound.

        Returns
        -------
        ndarray (at most 2 n, genes)
            In the order of `rows`.
        """
        if len(rows) <= n:
            return rows
        posterior = self._posterior.single_precision()
        every = EncodedRows(posterior, rows)
        return rows[np.union1d(*(leading(*scorer(every), n) for scorer in self._mean_and_lower_bound(posterior)))]

    def _mean_and_lower_bound(self, posterior: MultiObjectivePosterior) -> tuple[Scorer, Scorer]:
        """Evaluate by the posterior's mean, and by the lower confidence bound of the costs."""

        def by(predict: Callable[[EncodedRows], FloatArray]) -> Scorer:
            def score(rows: EncodedRows) -> tuple[FloatArray, FloatArray]:
                costs = predict(rows)
                return costs, self._limits.violation(posterior, rows, costs)

            return score

        return by(posterior.mean), by(lambda rows: posterior.bound(rows, -LCB_BETA))

    def _lower_bound_of_the_promising(self, posterior: MultiObjectivePosterior) -> Scorer:
        """Evaluate by the lower bound, but by the mean what would be dominated whatever its deviation: see `bound_where`.

        The scorer remembers the front of what it has scored, so it serves one evolution.
        """
        if self._limits.deviations is not None:
            return self._mean_and_lower_bound(posterior)[1]
        front = np.empty((0, len(self._searcher.objectives)))

        def score(rows: EncodedRows) -> tuple[FloatArray, FloatArray]:
            nonlocal front
            costs = posterior.bound_where(rows, -LCB_BETA, lambda best: ~dominated(best, front))
            violation = self._limits.violation(posterior, rows, costs)
            front = np.concatenate([front, costs[violation <= 0]])
            front = front[np.asarray(moocore.is_nondominated(front), dtype=bool)]
            return costs, violation

        return score

    def _fresh(self, rows: IntArray, costs: FloatArray, violation: FloatArray, busy: IntArray, n: int) -> IntArray:
        """Choose the best n of rows that are neither told nor busy, best first."""
        new = ~self._searcher.is_known_array(rows)
        if len(busy):
            new &= ~np.isin(row_keys(rows), row_keys(busy))
        rows, costs, violation = rows[new], costs[new], violation[new]
        return rows[leading(costs, violation, n)]


def dominated(costs: FloatArray, front: FloatArray) -> BoolArray:
    """Tell which rows a front dominates, equal ones not among them.

    Parameters
    ----------
    costs : ndarray (k, m)
        Smaller is better.
    front : ndarray (f, m)
        Mutually non-dominated costs.

    Returns
    -------
    ndarray of bool (k,)

    Examples
    --------
    >>> dominated(np.array([[0.5, 0.5], [0.5, 0.6], [0.1, 0.9]]), np.array([[0.5, 0.5]])).tolist()
    [False, True, False]
    """
    if costs.shape[1] == 2:  # by a binary search: the front's second column falls
        front = front[np.lexsort((front[:, 1], front[:, 0]))]
        last = np.searchsorted(front[:, 0], costs[:, 0], side="right") - 1
        there = last >= 0
        out = np.zeros(len(costs), dtype=bool)
        nearest = front[last[there]]
        out[there] = (nearest[:, 1] <= costs[there, 1]) & (nearest < costs[there]).any(axis=1)
        return out
    out = np.zeros(len(costs), dtype=bool)
    for start in range(0, len(front), FRONT_BLOCK):
        some = front[start : start + FRONT_BLOCK, None]
        out |= ((some <= costs).all(axis=2) & (some < costs).any(axis=2)).any(axis=0)
    return out
