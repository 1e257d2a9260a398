"""NSGA-II on measured values, driven by ask and tell."""

from __future__ import annotations

from typing import ClassVar

from hwsearch.searchers.evolutionary.evolution import survive
from hwsearch.searchers.evolutionary.population import PopulationSearcher


class Nsga2Searcher(PopulationSearcher):
    """Generational NSGA-II (Deb et al. 2002, doi 10.1109/4235.996017); options as of `PopulationSearcher`."""

    name: ClassVar[str] = "nsga2"

    def _select(self, pool: list[int], n: int) -> list[int]:
        values = self.values[pool]
        return [pool[i] for i in survive(self.costs(values), self.violation(values), n, self.rng)]
