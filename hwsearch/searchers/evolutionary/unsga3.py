"""U-NSGA-III: NSGA-III whose parents compete within their niche."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pymoo.algorithms.moo.nsga3 import associate_to_niches

from hwsearch._typing import IntArray
from hwsearch.searchers.evolutionary.evolution import rank_and_crowding
from hwsearch.searchers.evolutionary.nsga3 import Nsga3Searcher
from hwsearch.searchers.evolutionary.population import directions, unit_costs


class UNsga3Searcher(Nsga3Searcher):
    """U-NSGA-III: NSGA-III with niched tournaments, one algorithm for one, two and many objectives.

    Of two parents of one niche the better rank wins, then the one nearer to the direction; between two niches, chance
    decides. Niches are pymoo's. Options: `PopulationOptions`.

    References
    ----------
    Seada and Deb 2016, "A unified evolutionary optimization procedure for single, multiple, and many objectives",
    doi 10.1109/TEVC.2015.2459718.
    """

    name: ClassVar[str] = "unsga3"

    def _children(self, n: int) -> IntArray:
        parents = np.array(self._population or self._offspring)
        values = self.values[parents]
        costs, violation = self.costs(values), self.violation(values)
        rank, _ = rank_and_crowding(costs, violation)
        finite = np.isfinite(costs).all(axis=1)
        niche, distance = np.full(len(parents), -1), np.zeros(len(parents))
        if finite.any():
            scaled = unit_costs(costs[finite])
            weights = directions(costs.shape[1], self._size)
            ends = np.zeros(costs.shape[1]), np.ones(costs.shape[1])
            niche[finite], distance[finite], _ = associate_to_niches(scaled, weights, *ends)

        def tournament() -> IntArray:
            one, two = self.rng.integers(0, len(parents), size=(2, n))
            met = violation == 0
            comparable = (niche[one] == niche[two]) | ~met[one] | ~met[two]
            better = (rank[two] < rank[one]) | ((rank[two] == rank[one]) & (distance[two] < distance[one]))
            return np.asarray(np.where(comparable & better, two, one), dtype=np.int64)

        rows = self.rows_at(parents)
        return self._mating.pairs(self.space, rows[tournament()], rows[tournament()], self.rng)
