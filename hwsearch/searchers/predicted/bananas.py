"""BANANAS-style search: an ensemble, independent Thompson samples, mutations of the best."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from hwsearch._typing import IntArray
from hwsearch.searchers.evolutionary.evolution import row_keys
from hwsearch.searchers.options import SearcherOptions
from hwsearch.searchers.predicted.models import PredictorKind
from hwsearch.searchers.predicted.rounds import Models, RoundSearcher


class BananasOptions(SearcherOptions):
    """Options of BANANAS-style search."""

    start: int = Field(10, ge=2, description="Size of the uniform first sample.")
    batch: int = Field(10, ge=1, description="Size of a round.")
    ensemble: int = Field(5, ge=2, description="Models whose predictions differ by their seeds.")
    parents: int = Field(10, ge=1, description="How many of the best measured are mutated.")
    candidates: int = Field(1000, ge=1, description="How many mutations are drawn a round.")
    predictor: PredictorKind = Field("small-mlp", description="Kind of predictor, see `make_model`.")


class BananasSearcher(RoundSearcher):
    """Bayesian optimisation with an ensemble in the style of BANANAS.

    Candidates are mutations of the best measured. Each gets an independent draw from the normal distribution of the
    ensemble's predictions, and the best draws are measured. Their members are networks on a path encoding; here
    they are `make_model`'s on the one-hot encoding, and several objectives rank by non-domination. Options: `BananasOptions`.

    References
    ----------
    White, Neiswanger, Savani 2021, "BANANAS: Bayesian optimization with neural architectures for neural architecture
    search", arXiv 1910.11858.
    """

    name: ClassVar[str] = "bananas"
    Options: ClassVar[type[SearcherOptions]] = BananasOptions

    options: BananasOptions

    def _sizes(self) -> tuple[int, int]:
        return self.options.start, self.options.batch

    def _next_round(self, n: int) -> IntArray:
        complete = np.flatnonzero(~np.isnan(self.values).any(axis=1))
        best = self.rows[complete[self._ranking(self.values[complete], self.options.parents)]]
        drawn = best[self.rng.integers(0, len(best), size=max(self.options.candidates, 2 * n))]
        rows = np.concatenate(
            [self.space.mutate_array(drawn, self.rng), self.space.sample_array(self.options.candidates // 10, self.rng)]
        )
        rows = rows[np.unique(row_keys(rows), return_index=True)[1]]
        rows = rows[self._is_new(rows)]
        if not len(rows):
            return rows
        members = Models(self, self.options.predictor, self._seed(), self.options.ensemble).members(rows)
        sampled = members.mean(axis=0) + members.std(axis=0) * self.rng.standard_normal(members.shape[1:])
        return rows[self._ranking(sampled, n)]
