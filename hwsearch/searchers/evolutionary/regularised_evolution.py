"""Regularised evolution: the oldest dies."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

import numpy as np

from hwsearch._typing import IntArray
from hwsearch.errors import SearchError
from hwsearch.objectives.objective import Objective
from hwsearch.searchers.base import Searcher
from hwsearch.searchers.evolutionary.evolution import rank_and_crowding
from hwsearch.spaces import SearchSpace


class RegularisedEvolutionSearcher(Searcher):
    """Regularised evolution (Real, Aggarwal, Huang, Le 2019, arXiv 1802.01548).

    The population is what was told last. A tournament of `sample` members gives the parent, which one gene's
    redrawing turns into a child. With several objectives, members compete by non-domination rank and crowding
    distance; limits rank first, failed measurements last.

    population : size of the first sample and of the population
    sample : size of a tournament
    """

    name: ClassVar[str] = "regularised-evolution"

    def __init__(
        self,
        space: SearchSpace,
        objectives: Iterable[Objective | str],
        seed: int = 0,
        *,
        population: int = 50,
        sample: int = 10,
    ) -> None:
        super().__init__(space, objectives, seed, population=population, sample=sample)
        if population < 2 or not 1 <= sample <= population:
            raise SearchError(
                f"population={population} and sample={sample} cannot evolve.",
                hint="Use a population of at least 2, and a sample between 1 and it.",
            )
        self._size, self._sample = population, sample

    def _propose(self, n: int) -> IntArray:
        missing = min(n, max(0, self._size - len(self._told) - len(self._pending)))
        first = self.space.sample_array(missing, self.rng)
        rows, values = self.rows_at(slice(-self._size, None)), self.values[-self._size :]
        if missing == n or not len(rows):
            return first
        rank, crowding = rank_and_crowding(self.costs(values), self.violation(values))
        order = np.empty(len(rows), dtype=np.int64)
        order[np.lexsort((-crowding, rank))] = np.arange(len(rows))
        drawn = self.rng.integers(0, len(rows), size=(4 * n, self._sample))  # four tries a child: some are known
        parents = drawn[np.arange(len(drawn)), np.argmin(order[drawn], axis=1)]
        return np.concatenate([first, self.space.mutate_array(rows[parents], self.rng, 0.0)])
