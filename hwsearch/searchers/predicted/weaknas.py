"""WeakNAS: weak predictors that narrow the search down round by round."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

import numpy as np

from hwsearch._typing import BoolArray, IntArray
from hwsearch.errors import SearchError, nearest
from hwsearch.objectives.objective import Objective
from hwsearch.searchers.base import RowFunction
from hwsearch.searchers.predicted.models import KINDS
from hwsearch.searchers.predicted.rounds import Models, RoundSearcher
from hwsearch.spaces import SearchSpace


class WeakNasSearcher(RoundSearcher):
    """Weak predictors (Wu et al. 2021, arXiv 2102.10490).

    Each round fits a predictor from scratch on all that was told, ranks a pool by it, and measures `batch` uniform
    draws from the `top` of the pool; when these are all known, the ranking goes on below. With several objectives,
    which the publication does not have, there is a predictor for each and the top is by non-domination rank, then crowding.

    start, batch : first sample and rounds; published: 10 and 10 (NAS-Bench-201), 100 and 100 (ImageNet)
    top : published 100 and 1,000
    pool : how many uniform architectures are the pool; a space of up to 50,000 is its own pool
    predictor : "xgboost", "mlp" or "forest", see `make_model`
    cost, band : only architectures whose cost (n,) of rows (n, genes) lies in the band (low, high) are in the pool
    """

    name: ClassVar[str] = "weaknas"

    def __init__(
        self,
        space: SearchSpace,
        objectives: Iterable[Objective | str],
        seed: int = 0,
        *,
        start: int = 10,
        batch: int = 10,
        top: int = 100,
        pool: int = 10_000,
        predictor: str = "xgboost",
        cost: RowFunction | None = None,
        band: tuple[float, float] | None = None,
    ) -> None:
        low, high = band or (None, None)
        plain = {"top": top, "pool": pool, "predictor": predictor, "band_low": low, "band_high": high}
        super().__init__(space, objectives, seed, start, batch, **plain)
        if top < 1 or pool < 2:
            raise SearchError(f"top={top} and pool={pool} leave nothing to choose.", hint="Use 1 and 2 at least.")
        if predictor not in KINDS:
            raise SearchError(f"there is no predictor {predictor!r}.", hint=nearest(predictor, KINDS))
        if band is not None and not band[0] <= band[1]:
            raise SearchError(f"the band {band} is empty.", hint="Give (low, high).")
        if (cost is None) != (band is None):
            raise SearchError("a band needs a cost, and a cost a band.", hint="Give both: cost=..., band=(low, high).")
        self._top, self._pool_size, self._predictor = top, pool, predictor
        self._cost, self._band = cost, band
        self._pool: tuple[int, IntArray] | None = None  # the seed that it was drawn with, and the pool

    def _within(self, rows: IntArray) -> BoolArray:
        if self._cost is None or self._band is None:
            return np.ones(len(rows), dtype=bool)
        cost = np.asarray(self._cost(rows))
        return np.asarray((cost >= self._band[0]) & (cost <= self._band[1]))

    def _candidates(self) -> IntArray:
        """The pool; it follows from the seed alone, so that a resume has the same."""
        if self._pool is None or self._pool[0] != self.seed:
            rng = np.random.default_rng([abs(self.seed), 0xB001])
            self._pool = self.seed, self._drawn(self._pool_size, self._within, rng)
        return self._pool[1]

    def _first_sample(self, n: int) -> IntArray:
        pool = self._candidates()
        return pool[self.rng.choice(len(pool), size=min(n, len(pool)), replace=False)]

    def _next_round(self, n: int) -> IntArray:
        pool = self._candidates()
        predicted = Models(self, self._predictor, self._seed()).predict(pool)
        known = len(self._told) + len(self._pending)
        ranked = self._ranking(predicted, min(len(pool), self._top + known + n))
        new = self._is_new(pool[ranked])
        best = self.rng.permutation(ranked[: self._top][new[: self._top]])[:n]
        below = ranked[self._top :][new[self._top :]]
        return pool[np.concatenate([best, below])[:n]]
