"""C-TAEA: a convergence archive that meets the limits and a diversity archive that need not."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pymoo.algorithms.moo.ctaea import CADASurvival
from pymoo.core.population import Population

from hwsearch._json import JsonObject
from hwsearch._typing import BoolArray, IntArray
from hwsearch.searchers.evolutionary.evolution import rank_and_crowding, survive
from hwsearch.searchers.evolutionary.population import PopulationSearcher, directions, unit_costs

#: the violation of a failed measurement, where infinity cannot be computed with
FAILED = 1e9


class CTaeaSearcher(PopulationSearcher):
    """C-TAEA, made for hard limits: a convergence archive that meets them and a diversity archive that need not.

    The archives are updated by pymoo. The size of an archive and of a generation is the number of evenly spread
    directions that `population` has room for. Where one archive holds more of the joint front, parents come from it
    more often. Options: `PopulationOptions`.

    References
    ----------
    Li, Chen, Fu, Yao 2019, "Two-archive evolutionary algorithm for constrained multiobjective optimization",
    doi 10.1109/TEVC.2018.2855411.
    """

    name: ClassVar[str] = "ctaea"

    _diverse: list[int]  # the second archive: positions in `evaluated`

    def _room(self, population: int) -> int:
        self._weights = directions(len(self.objectives), population)
        self._diverse = []
        return len(self._weights) if len(self.objectives) > 1 else population

    def _select(self, pool: list[int], n: int) -> list[int]:
        """Select the best of one objective, where no archive needs diversity."""
        values = self.values[pool]
        return [pool[i] for i in survive(self.costs(values), self.violation(values), n, self.rng)]

    def _generation(self, new: list[int]) -> None:
        if len(self.objectives) == 1:
            return super()._generation(new)
        survival = CADASurvival(self._weights)
        pool = list(dict.fromkeys([*self._population, *self._diverse, *new]))
        values = self.values[pool]
        costs, violation = self.costs(values), np.minimum(self.violation(values), FAILED)
        known = np.isfinite(costs).all(axis=1)
        scaled = np.ones_like(costs)
        if known.any():
            scaled[known] = unit_costs(costs[known])
        place = {position: k for k, position in enumerate(pool)}

        def population(positions: list[int]) -> Population:
            at = [place[p] for p in positions]
            return Population.new("F", scaled[at], "G", violation[at][:, None], "position", np.array(positions))

        survival.ideal_point = np.zeros(costs.shape[1])
        with np.errstate(all="ignore"):
            kept, diverse = survival.do(
                None,
                population([*self._population, *new]),
                population(self._diverse) if self._diverse else Population(),
                n_survive=len(new),
                random_state=self.rng,
            )
        self._population = [int(p) for p in kept.get("position")]
        self._diverse = [int(p) for p in diverse.get("position")]

    def _children(self, n: int) -> IntArray:
        if not self._population or not self._diverse:
            return super()._children(n)
        archives = [*self._population, *self._diverse]
        values = self.values[archives]
        rank, _ = rank_and_crowding(self.costs(values), self.violation(values))
        converged = len(self._population)
        share = float((rank[:converged] == 0).sum()), float((rank[converged:] == 0).sum())
        chance = share[0] / len(archives)

        def tournament(from_converged: BoolArray) -> IntArray:
            low = np.where(from_converged, 0, converged)
            high = np.where(from_converged, converged, len(archives))
            one, two = self.rng.integers(low, high, size=(2, n))
            return np.asarray(np.where(rank[two] < rank[one], two, one), dtype=np.int64)

        rows = self.rows_at(archives)
        first = tournament(np.full(n, share[0] > share[1]))
        second = tournament(self.rng.random(n) < chance)
        return self._mating.pairs(self.space, rows[first], rows[second], self.rng)

    def _extra_state(self) -> JsonObject:
        return {**super()._extra_state(), "diverse": self._diverse}

    def _load_extra_state(self, extra: JsonObject) -> None:
        super()._load_extra_state(extra)
        self._diverse = [int(i) for i in extra["diverse"]]
