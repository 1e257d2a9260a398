"""Batches by expected hypervolume improvement under Gaussian processes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

import numpy as np

from hwsearch._typing import FloatArray, IntArray
from hwsearch.errors import SearchError
from hwsearch.objectives.objective import Objective
from hwsearch.objectives.pareto import cost_hypervolume, non_dominated, reference_point
from hwsearch.searchers.bayesian.gaussian import GaussianProcess
from hwsearch.searchers.bayesian.parego import MOST
from hwsearch.searchers.evolutionary.evolution import Mating, evolve
from hwsearch.searchers.predicted.rounds import RoundSearcher
from hwsearch.spaces import SearchSpace
from hwsearch.spaces.rows import distinct


class QnehviSearcher(RoundSearcher):
    """Noisy expected hypervolume improvement, after Daulton, Balandat, Bakshy (2021, arXiv 2105.08195).

    A Gaussian process an objective; joint posterior draws over the measured front and a shortlist of candidates, so
    that the front itself is uncertain; the batch is chosen one by one by the mean improvement over the draws. Candidates
    come from evolution on posterior means and on optimistic bounds instead of from gradients. A draw that exceeds a limit
    improves nothing.

    start : uniform first sample; draws : posterior draws; shortlist : candidates compared; inner_evaluations : predicted
    architectures a round
    """

    name: ClassVar[str] = "qnehvi"

    def __init__(
        self,
        space: SearchSpace,
        objectives: Iterable[Objective | str],
        seed: int = 0,
        *,
        start: int = 20,
        draws: int = 16,
        shortlist: int = 100,
        inner_evaluations: int = 4000,
    ) -> None:
        plain = {"draws": draws, "shortlist": shortlist, "inner_evaluations": inner_evaluations}
        super().__init__(space, objectives, seed, start, 1, **plain)
        if draws < 1 or shortlist < 2 or inner_evaluations < 80:
            raise SearchError(
                f"draws={draws}, shortlist={shortlist} and inner_evaluations={inner_evaluations} do not work.",
                hint="Use at least 1, 2 and 80.",
            )
        self._draws, self._shortlist, self._evaluations = draws, shortlist, inner_evaluations

    def _next_round(self, n: int) -> IntArray:
        values = self.values
        complete = np.flatnonzero(~np.isnan(values).any(axis=1))
        rows, values = self.rows[complete], values[complete]
        kept = self._kept(values)
        features = self.space.encode_array(rows[kept])
        processes = [GaussianProcess().fit(features, column) for column in values[kept].T]
        candidates = self._candidates(rows, values, processes, n)
        met = self.violation(values) == 0
        front = rows[met][non_dominated(values[met], self.objectives)] if met.any() else rows[:0]
        points = self.space.encode_array(np.concatenate([front, candidates]))
        drawn = np.stack([process.sample(points, self._draws, self.rng) for process in processes], axis=2)
        flat = drawn.reshape(-1, len(self.objectives))
        costs = self.costs(flat).reshape(drawn.shape)
        costs[self.violation(flat).reshape(drawn.shape[:2]) > 0] = np.inf
        reference = self.costs(reference_point(values, self.objectives)[None, :])[0]
        picks = self._greedy(costs[:, : len(front)], costs[:, len(front) :], reference, n)
        spare = [i for i in range(len(candidates)) if i not in set(picks)]
        return candidates[[*picks, *spare][:n]]

    def _kept(self, values: FloatArray) -> IntArray:
        """Positions of the rows that are fitted."""
        order = self._ranking(values, len(values))
        if len(order) > MOST:
            order = np.concatenate([order[: MOST // 2], self.rng.choice(order[MOST // 2 :], MOST // 2, replace=False)])
        return np.sort(order)

    def _candidates(self, rows: IntArray, values: FloatArray, processes: list[GaussianProcess], n: int) -> IntArray:
        """New rows that are best by posterior mean and, the other half, by an optimistic bound."""
        wanted = max(self._shortlist, 2 * n)
        start = rows[self._ranking(values, 20)]
        signs = np.array([o.sign for o in self.objectives])
        found = []
        for optimism in (0.0, 1.0):

            def predicted(candidates: IntArray, optimism: float = optimism) -> FloatArray:
                x = self.space.encode_array(candidates)
                means, deviations = (
                    np.stack(part, axis=1) for part in zip(*(p.predict(x) for p in processes), strict=True)
                )
                return np.asarray(means - optimism * signs * deviations)

            def score(candidates: IntArray) -> tuple[FloatArray, FloatArray]:
                values = predicted(candidates)
                return self.costs(values), self.violation(values)

            scored, costs, _ = evolve(
                self.space,
                score,
                start,
                population=40,
                evaluations=self._evaluations // 2,
                mating=Mating(),
                rng=self.rng,
            )
            new = self._is_new(scored)
            scored, costs = scored[new], costs[new]
            found.append(scored[self._ranking(costs * signs, wanted // 2)])
        both = np.concatenate(found)
        return distinct(both)

    @staticmethod
    def _greedy(front: FloatArray, costs: FloatArray, reference: FloatArray, n: int) -> list[int]:
        """Positions of up to n candidates by mean joint improvement.

        front : (draws, f, m), costs : (draws, k, m)
        """
        fronts = [list(draw[(draw < reference).all(axis=1)]) for draw in front]
        inside = np.asarray((costs < reference).all(axis=2))
        chosen: list[int] = []
        for _ in range(min(n, costs.shape[1])):
            gains = np.zeros(costs.shape[1])
            for draw, there in enumerate(fronts):
                current = np.array(there).reshape(-1, len(reference))
                volume = cost_hypervolume(current, reference)
                for i in np.flatnonzero(inside[draw]):
                    if i not in chosen and not (current <= costs[draw, i]).all(axis=1).any():
                        gains[i] += cost_hypervolume(np.vstack([current, costs[draw, i]]), reference) - volume
            best = int(np.argmax(gains))
            if gains[best] <= 0:
                break
            chosen.append(best)
            for draw, there in enumerate(fronts):
                if inside[draw, best]:
                    there.append(costs[draw, best])
        return chosen
