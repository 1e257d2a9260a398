"""MOEA/D: one architecture for each of many weightings of the objectives."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

import numpy as np
from pydantic import Field

from hwsearch._typing import FloatArray, IntArray
from hwsearch.objectives.objective import Objective
from hwsearch.searchers.evolutionary.population import PopulationOptions, PopulationSearcher, directions, unit_costs
from hwsearch.searchers.options import SearcherOptions
from hwsearch.spaces import SearchSpace


class MoeadOptions(PopulationOptions):
    """Options of MOEA/D, whose `population` is a weighting each, as many as it has room for."""

    neighbours: int = Field(10, ge=2, description="How many nearest weightings mate.")


class MoeadSearcher(PopulationSearcher):
    """MOEA/D with Tchebycheff weightings: one architecture for each of many weightings of the objectives.

    A weighting's incumbent and those of its neighbours mate. A generation's children compete where they fit best and
    in the neighbourhood of that, since asks need not be told in their order; a child takes two places at most, so that
    one architecture cannot fill the population. Limits: less violation wins. With one objective all weightings are the
    same. Written by hand: pymoo's MOEA/D replaces inside its own loop and has no survival operator.

    Parameters
    ----------
    space : SearchSpace
        What can be chosen.
    objectives : iterable of Objective or str
        As of `Searcher`.
    seed : int
        All randomness comes from it.
    **options : object
        Those of `MoeadOptions`.

    References
    ----------
    Zhang and Li 2007, "MOEA/D: a multiobjective evolutionary algorithm based on decomposition",
    doi 10.1109/TEVC.2007.892759.
    Wang, Zhang, Gong, Zhou 2014, "A replacement strategy for balancing convergence and diversity in MOEA/D".
    """

    name: ClassVar[str] = "moead"
    Options: ClassVar[type[SearcherOptions]] = MoeadOptions

    options: MoeadOptions

    def __init__(
        self, space: SearchSpace, objectives: Iterable[Objective | str], seed: int = 0, **options: object
    ) -> None:
        super().__init__(space, objectives, seed, **options)
        distance = np.linalg.norm(self._weights[:, None] - self._weights[None], axis=2)
        self._near = np.argsort(distance, axis=1, kind="stable")[:, : self.options.neighbours]

    def _room(self, population: int) -> int:
        one = len(self.objectives) == 1
        self._weights = np.ones((population, 1)) if one else directions(len(self.objectives), population)
        return len(self._weights)

    def _generation(self, new: list[int]) -> None:
        if self._population:
            return super()._generation(new)
        values = self.values[new]
        score, violation = self._weighted(self.costs(values)), self.violation(values)
        free = list(range(len(new)))
        self._population = [0] * len(new)
        for weighting in self.rng.permutation(len(new)):
            best = min(free, key=lambda i: (violation[i], score[i, weighting]))
            free.remove(best)
            self._population[weighting] = new[best]

    def _select(self, pool: list[int], n: int) -> list[int]:
        values = self.values[pool]
        score, violation = self._weighted(self.costs(values)), self.violation(values)
        holders = np.arange(n)  # the population comes first in the pool
        for child in range(n, len(pool)):
            home = int(np.argmin(score[child]))
            places = self.rng.permutation(self._near[home])
            held = holders[places]
            better = (violation[child] < violation[held]) | (
                (violation[child] == violation[held]) & (score[child, places] < score[held, places])
            )
            holders[places[better][:2]] = child
        return [pool[i] for i in holders]

    def _weighted(self, costs: FloatArray) -> FloatArray:
        """Compute Tchebycheff values (n, weightings) of costs (n, m); failed rows have infinity."""
        known = np.isfinite(costs).all(axis=1)
        score = np.full((len(costs), len(self._weights)), np.inf)
        if known.any():
            scaled = unit_costs(costs[known])
            score[known] = (scaled[:, None, :] * np.maximum(self._weights, 1e-4)[None]).max(axis=2)
        return score

    def _children(self, n: int) -> IntArray:
        if not self._population:
            return super()._children(n)
        rows = self.rows_at(self._population)
        home = self.rng.integers(0, len(rows), size=n)
        near = self._near[home]
        a, b = (near[np.arange(n), self.rng.integers(0, near.shape[1], size=n)] for _ in range(2))
        return self._mating.pairs(self.space, rows[a], rows[b], self.rng)
