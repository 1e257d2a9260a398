"""BRP-NAS-style search: the predicted best, and some at random from a shrinking top."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

import numpy as np

from hwsearch._typing import IntArray
from hwsearch.errors import SearchError, nearest
from hwsearch.objectives.objective import Objective
from hwsearch.searchers.predicted.models import KINDS
from hwsearch.searchers.predicted.rounds import Models, RoundSearcher
from hwsearch.spaces import SearchSpace


class BrpNasSearcher(RoundSearcher):
    """Iterative data selection in the style of BRP-NAS (Dudziak et al. 2020, arXiv 2007.08668).

    Each round measures the predicted best for one half, and for the other uniform draws from the better 1/2, 1/4, 1/8, …
    of the pool. Their predictor is a graph network that ranks pairs; here it is one of `make_model`'s for each objective,
    and several objectives rank by non-domination.

    exploit : share of a round that is the predicted best
    pool : how many uniform architectures are ranked; a space of up to 50,000 is ranked whole
    """

    name: ClassVar[str] = "brp-nas"

    def __init__(
        self,
        space: SearchSpace,
        objectives: Iterable[Objective | str],
        seed: int = 0,
        *,
        start: int = 20,
        batch: int = 20,
        exploit: float = 0.5,
        pool: int = 10_000,
        predictor: str = "xgboost",
    ) -> None:
        super().__init__(space, objectives, seed, start, batch, exploit=exploit, pool=pool, predictor=predictor)
        if not 0.0 <= exploit <= 1.0 or pool < 2:
            raise SearchError(
                f"exploit={exploit} and pool={pool} do not fit.", hint="exploit is in 0..1, pool is at least 2."
            )
        if predictor not in KINDS:
            raise SearchError(f"there is no predictor {predictor!r}.", hint=nearest(predictor, KINDS))
        self._exploit, self._pool_size, self._predictor = exploit, pool, predictor

    def _next_round(self, n: int) -> IntArray:
        pool = self._drawn(self._pool_size, None, self.rng)
        pool = pool[self._is_new(pool)]
        if not len(pool):
            return pool
        predicted = Models(self, self._predictor, self._seed()).predict(pool)
        best = round(n * self._exploit)
        shrunk = min(len(pool), max(n, len(pool) // 2 ** min(self._round, 40)))
        ranked = self._ranking(predicted, shrunk)
        return pool[np.concatenate([ranked[:best], self.rng.permutation(ranked[best:])])[:n]]
