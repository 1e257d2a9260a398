"""WeakNAS: weak predictors that narrow the search down round by round."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Self

import numpy as np
from pydantic import Field, model_validator

from hwsearch._typing import BoolArray, IntArray
from hwsearch.errors import SearchError
from hwsearch.objectives.objective import Objective
from hwsearch.searchers.options import RowFunction, SearcherOptions, function_option
from hwsearch.searchers.predicted.models import PredictorKind
from hwsearch.searchers.predicted.rounds import WHOLE, Models, RoundSearcher
from hwsearch.spaces import SearchSpace

#: candidates for each member of a balanced pool
OVERSAMPLE = 4


class WeakNasOptions(SearcherOptions):
    """Options of WeakNAS."""

    start: int = Field(10, ge=2, description="Size of the first sample; published: 10 (NAS-Bench-201), 100 (ImageNet).")
    batch: int = Field(10, ge=1, description="Size of a round; published as `start`.")
    top: int = Field(
        100, ge=1, description="Best predicted of the pool from which rounds are drawn; published: 100, 1,000."
    )
    pool: int = Field(
        10_000, ge=2, description="Uniform architectures that are the pool; a space of up to 50,000 is its own pool."
    )
    predictor: PredictorKind = Field("xgboost", description="Kind of predictor, see `make_model`.")
    balance: RowFunction | None = function_option(
        "Rows to a positive cost (n,) over whose logarithm the pool is spread evenly; default: uniform genes, as published."
    )
    cost: RowFunction | None = function_option("Rows to a cost (n,), for `band`.")
    band: tuple[float, float] | None = Field(
        None, description="(low, high): only architectures whose cost lies between them are in the pool."
    )

    @model_validator(mode="after")
    def _band_fits(self) -> Self:
        if self.band is not None and not self.band[0] <= self.band[1]:
            raise SearchError(f"the band {self.band} is empty.", hint="Give (low, high).")
        if (self.cost is None) != (self.band is None):
            raise SearchError("a band needs a cost, and a cost a band.", hint="Give both: cost=..., band=(low, high).")
        if self.band is not None and self.balance is not None:
            raise SearchError("a pool within a band is uniform, and 'balance' is given, too.", hint="Leave one out.")
        return self


class WeakNasSearcher(RoundSearcher):
    """WeakNAS: weak predictors that narrow the search down round by round.

    Each round fits a predictor from scratch on all that was told, ranks a pool by it, and measures `batch` uniform
    draws from the `top` of the pool; when these are all known, the ranking goes on below. With several objectives,
    which the publication does not have, there is a predictor for each and the top is by non-domination rank, then crowding.

    Parameters
    ----------
    space : SearchSpace
        What can be chosen.
    objectives : iterable of Objective or str
        As of `Searcher`.
    seed : int
        All randomness comes from it.
    **options : object
        Those of `WeakNasOptions`.

    References
    ----------
    Wu et al. 2021, "Stronger NAS with weaker predictors", arXiv 2102.10490.
    """

    name: ClassVar[str] = "weaknas"
    Options: ClassVar[type[SearcherOptions]] = WeakNasOptions

    options: WeakNasOptions

    def __init__(
        self, space: SearchSpace, objectives: Iterable[Objective | str], seed: int = 0, **options: object
    ) -> None:
        super().__init__(space, objectives, seed, **options)
        self._pool: tuple[int, IntArray] | None = None  # the seed that it was drawn with, and the pool

    @property
    def pool(self) -> IntArray:
        """The rows (n, genes) that are ranked; nothing else is ever measured, so their front is the tactic's ceiling."""
        return self._candidates()

    def _sizes(self) -> tuple[int, int]:
        return self.options.start, self.options.batch

    def _within(self, rows: IntArray) -> BoolArray:
        if self.options.cost is None or self.options.band is None:
            return np.ones(len(rows), dtype=bool)
        cost = np.asarray(self.options.cost(rows))
        low, high = self.options.band
        return np.asarray((cost >= low) & (cost <= high))

    def _candidates(self) -> IntArray:
        """Draw the pool; it follows from the seed alone, so that a resume has the same."""
        if self._pool is None or self._pool[0] != self.seed:
            rng = np.random.default_rng([abs(self.seed), 0xB001])
            size, balance = self.options.pool, self.options.balance
            if balance is None or self.space.cardinality <= max(size, WHOLE):
                self._pool = self.seed, self._drawn(size, self._within, rng)
            else:
                self._pool = self.seed, self.space.sample_balanced_array(size, rng, balance, oversample=OVERSAMPLE)
        return self._pool[1]

    def _first_sample(self, n: int) -> IntArray:
        pool = self._candidates()
        return pool[self.rng.choice(len(pool), size=min(n, len(pool)), replace=False)]

    def _next_round(self, n: int) -> IntArray:
        pool = self._candidates()
        predicted = Models(self, self.options.predictor, self._seed()).predict(pool)
        known = len(self._told) + len(self._pending)
        ranked = self._ranking(predicted, min(len(pool), self.options.top + known + n))
        new = self._is_new(pool[ranked])
        best = self.rng.permutation(ranked[: self.options.top][new[: self.options.top]])[:n]
        below = ranked[self.options.top :][new[self.options.top :]]
        return pool[np.concatenate([best, below])[:n]]
