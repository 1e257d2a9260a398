"""BRP-NAS-style search: the predicted best, and some at random from a shrinking top."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from hwsearch._typing import IntArray
from hwsearch.searchers.options import SearcherOptions
from hwsearch.searchers.predicted.models import PredictorKind
from hwsearch.searchers.predicted.rounds import Models, RoundSearcher


class BrpNasOptions(SearcherOptions):
    """Options of BRP-NAS-style search."""

    start: int = Field(20, ge=2, description="Size of the uniform first sample.")
    batch: int = Field(20, ge=1, description="Size of a round.")
    exploit: float = Field(0.5, ge=0.0, le=1.0, description="Share of a round that is the predicted best.")
    pool: int = Field(
        10_000, ge=2, description="Uniform architectures that are ranked; a space of up to 50,000 is ranked whole."
    )
    predictor: PredictorKind = Field("xgboost", description="Kind of predictor, see `make_model`.")


class BrpNasSearcher(RoundSearcher):
    """Iterative data selection in the style of BRP-NAS: the predicted best, and some from a shrinking top.

    Each round measures the predicted best for one half, and for the other uniform draws from the better 1/2, 1/4, 1/8, …
    of the pool. Their predictor is a graph network that ranks pairs; here it is one of `make_model`'s for each objective,
    and several objectives rank by non-domination. Options: `BrpNasOptions`.

    References
    ----------
    Dudziak et al. 2020, "BRP-NAS: prediction-based NAS using GCNs", arXiv 2007.08668.
    """

    name: ClassVar[str] = "brp-nas"
    Options: ClassVar[type[SearcherOptions]] = BrpNasOptions

    options: BrpNasOptions

    def _sizes(self) -> tuple[int, int]:
        return self.options.start, self.options.batch

    def _next_round(self, n: int) -> IntArray:
        pool = self._drawn(self.options.pool, None, self.rng)
        pool = pool[self._is_new(pool)]
        if not len(pool):
            return pool
        predicted = Models(self, self.options.predictor, self._seed()).predict(pool)
        best = round(n * self.options.exploit)
        shrunk = min(len(pool), max(n, len(pool) // 2 ** min(self._round, 40)))
        ranked = self._ranking(predicted, shrunk)
        return pool[np.concatenate([ranked[:best], self.rng.permutation(ranked[best:])])[:n]]
