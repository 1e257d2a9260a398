"""NSGA-III: niches along reference directions instead of crowding."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pymoo.algorithms.moo.nsga3 import ReferenceDirectionSurvival
from pymoo.core.population import Population
from pymoo.core.problem import Problem

from hwsearch._typing import FloatArray, IntArray
from hwsearch.searchers.evolutionary.evolution import rank_and_crowding, survive
from hwsearch.searchers.evolutionary.population import PopulationSearcher, directions, unit_costs


class Nsga3Searcher(PopulationSearcher):
    """NSGA-III, for three objectives and more: survival by niches along evenly spread reference directions.

    As many directions as the population has room for; parents that meet the limits mate at random. The survival is
    pymoo's, made anew for each generation, so that nothing but the population has to be kept for a resume: ideal and
    nadir points are the generation's. Objectives that are constant in a generation are left out; where one is left or
    none, the best are kept. What does not meet the limits follows what does, the least violating first; failed
    measurements come last. Options: `PopulationOptions`.

    References
    ----------
    Deb and Jain 2014, "An evolutionary many-objective optimization algorithm using reference-point-based
    nondominated sorting approach", doi 10.1109/TEVC.2013.2281535.
    Blank and Deb 2020, "pymoo: multi-objective optimization in Python", doi 10.1109/ACCESS.2020.2990567.
    """

    name: ClassVar[str] = "nsga3"

    def _select(self, pool: list[int], n: int) -> list[int]:
        values = self.values[pool]
        costs, violation = self.costs(values), self.violation(values)
        feasible = np.flatnonzero(violation == 0)
        scaled = unit_costs(costs[feasible]) if len(feasible) else costs[feasible]
        scaled = scaled[:, scaled.any(axis=0)]
        if len(feasible) <= n or scaled.shape[1] < 2:
            return [pool[i] for i in survive(costs, violation, n, self.rng)]
        kept = ReferenceDirectionSurvival(directions(scaled.shape[1], self._size)).do(
            Problem(n_var=1, n_obj=scaled.shape[1]),
            Population.new("F", scaled),
            n_survive=n,
            random_state=self.rng,
            return_indices=True,
        )
        return [pool[feasible[i]] for i in kept]

    def _preference(self, costs: FloatArray, violation: FloatArray) -> tuple[IntArray, FloatArray]:
        rank, _ = rank_and_crowding(np.zeros_like(costs), violation)
        return rank, np.zeros(len(rank))
