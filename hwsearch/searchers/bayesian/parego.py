"""ParEGO: Gaussian-process optimisation of random weightings."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

import numpy as np
from scipy.special import ndtr

from hwsearch._typing import FloatArray, IntArray
from hwsearch.errors import SearchError
from hwsearch.objectives.objective import Objective
from hwsearch.searchers.bayesian.gaussian import GaussianProcess
from hwsearch.searchers.evolutionary.evolution import Mating, evolve
from hwsearch.searchers.evolutionary.population import unit_costs
from hwsearch.searchers.predicted.rounds import RoundSearcher
from hwsearch.spaces import SearchSpace

#: more rows than this are thinned to the best half and a uniform half, as the cost of a fit is cubic
MOST = 400


class ParegoSearcher(RoundSearcher):
    """ParEGO (Knowles 2006, doi 10.1109/TEVC.2005.851274).

    For each architecture to measure, a weighting of the objectives is drawn, a Gaussian process is fitted to the
    augmented Tchebycheff values, and evolution finds the largest expected improvement. What exceeds limits is
    charged with its violation. With one objective this is efficient global optimisation.

    start : uniform first sample; inner_evaluations : predicted architectures for each one measured
    """

    name: ClassVar[str] = "parego"

    def __init__(
        self,
        space: SearchSpace,
        objectives: Iterable[Objective | str],
        seed: int = 0,
        *,
        start: int = 20,
        inner_evaluations: int = 2000,
    ) -> None:
        super().__init__(space, objectives, seed, start, 1, inner_evaluations=inner_evaluations)
        if inner_evaluations < 20:
            raise SearchError(f"inner_evaluations={inner_evaluations} is too few.", hint="Use at least 20.")
        self._evaluations = inner_evaluations

    def _next_round(self, n: int) -> IntArray:
        values = self.values
        complete = np.flatnonzero(~np.isnan(values).any(axis=1))
        rows, values = self.rows[complete], values[complete]
        costs, violation = unit_costs(self.costs(values)), self.violation(values)
        chosen: dict[bytes, IntArray] = {}
        for _ in range(n):
            weights = self.rng.dirichlet(np.ones(costs.shape[1]))
            scalar = (costs * weights).max(axis=1) + 0.05 * costs @ weights + np.minimum(violation, 1.0)
            found = [row for row in self._best(rows, scalar) if row.tobytes() not in chosen]
            chosen.update((row.tobytes(), row) for row in found[:1])
        return np.array([*chosen.values()], dtype=np.int64).reshape(-1, len(self.space.choices))

    def _best(self, rows: IntArray, scalar: FloatArray) -> IntArray:
        """New rows by falling expected improvement on costs (n,) of measured rows."""
        order = np.argsort(scalar, kind="stable")
        if len(order) > MOST:
            rest = self.rng.choice(order[MOST // 2 :], MOST // 2, replace=False)
            order = np.concatenate([order[: MOST // 2], rest])
        process = GaussianProcess().fit(self.space.encode_array(rows[order]), scalar[order])
        least = float(scalar.min())

        def score(candidates: IntArray) -> tuple[FloatArray, FloatArray]:
            mean, deviation = process.predict(self.space.encode_array(candidates))
            z = (least - mean) / deviation
            density = np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi)
            gain = deviation * (z * ndtr(z) + density)
            return -gain[:, None], np.zeros(len(candidates))

        population = min(20, self._evaluations)
        start = rows[order[: population // 2]]
        found, costs, _ = evolve(
            self.space,
            score,
            start,
            population=population,
            evaluations=self._evaluations,
            mating=Mating(),
            rng=self.rng,
        )
        new = self._is_new(found)
        return found[new][np.argsort(costs[new, 0], kind="stable")]
