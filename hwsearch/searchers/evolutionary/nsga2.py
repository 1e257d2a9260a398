"""NSGA-II on measured values, driven by ask and tell."""

from __future__ import annotations

from typing import ClassVar

from hwsearch.searchers.evolutionary.evolution import survive
from hwsearch.searchers.evolutionary.population import PopulationSearcher


class Nsga2Searcher(PopulationSearcher):
    """Generational NSGA-II: the survivors are the best by non-domination rank, then by crowding distance.

    The standard for two objectives when measurements are cheap. Options: `PopulationOptions`.

    References
    ----------
    Deb, Pratap, Agarwal, Meyarivan 2002, "A fast and elitist multiobjective genetic algorithm: NSGA-II",
    doi 10.1109/4235.996017.

    Examples
    --------
    >>> from hwsearch.spaces import Choice, SearchSpace
    >>> space = SearchSpace("grid", [Choice(f"x{i}", tuple(range(5))) for i in range(4)])
    >>> searcher = Nsga2Searcher(space, ["max accuracy", "min latency_ms"], seed=0, population=10)
    >>> for _ in range(3):
    ...     rows = searcher.ask_array(10)
    ...     searcher.tell_array(rows, [[row[0] + row[1], 1 + row.sum()] for row in rows])
    >>> len(searcher.evaluated[0])
    30
    """

    name: ClassVar[str] = "nsga2"

    def _select(self, pool: list[int], n: int) -> list[int]:
        values = self.values[pool]
        return [pool[i] for i in survive(self.costs(values), self.violation(values), n, self.rng)]
