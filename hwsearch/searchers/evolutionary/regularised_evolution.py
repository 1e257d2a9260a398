"""Regularised evolution: the oldest dies."""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np
from pydantic import Field, model_validator

from hwsearch._typing import IntArray
from hwsearch.errors import SearchError
from hwsearch.searchers.base import Searcher
from hwsearch.searchers.evolutionary.evolution import rank_and_crowding
from hwsearch.searchers.options import SearcherOptions


class RegularisedEvolutionOptions(SearcherOptions):
    """Options of regularised evolution."""

    population: int = Field(50, ge=2, description="Size of the first sample and of the population.")
    sample: int = Field(10, ge=1, description="Size of a tournament, at most the population.")

    @model_validator(mode="after")
    def _sample_fits(self) -> Self:
        if self.sample > self.population:
            raise SearchError(
                f"sample={self.sample} is larger than population={self.population}.", hint="Use a smaller sample."
            )
        return self


class RegularisedEvolutionSearcher(Searcher):
    """Regularised evolution: tournaments among what was told last; the oldest dies.

    The winner of a tournament of `sample` members is the parent, which one gene's redrawing turns into a child. With
    several objectives, members compete by non-domination rank and crowding distance; limits rank first, failed
    measurements last. Simple, robust against noise, good with thousands of cheap evaluations. Options:
    `RegularisedEvolutionOptions`.

    References
    ----------
    Real, Aggarwal, Huang, Le 2019, "Regularized evolution for image classifier architecture search", arXiv 1802.01548.
    """

    name: ClassVar[str] = "regularised-evolution"
    Options: ClassVar[type[SearcherOptions]] = RegularisedEvolutionOptions

    options: RegularisedEvolutionOptions

    def _propose(self, n: int) -> IntArray:
        size = self.options.population
        missing = min(n, max(0, size - len(self._told) - len(self._pending)))
        first = self.space.sample_array(missing, self.rng)
        rows, values = self.rows_at(slice(-size, None)), self.values[-size:]
        if missing == n or not len(rows):
            return first
        rank, crowding = rank_and_crowding(self.costs(values), self.violation(values))
        order = np.empty(len(rows), dtype=np.int64)
        order[np.lexsort((-crowding, rank))] = np.arange(len(rows))
        drawn = self.rng.integers(0, len(rows), size=(4 * n, self.options.sample))  # four tries a child: some are known
        parents = drawn[np.arange(len(drawn)), np.argmin(order[drawn], axis=1)]
        return np.concatenate([first, self.space.mutate_array(rows[parents], self.rng, 0.0)])
