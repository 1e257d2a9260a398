"""BANANAS-style search: an ensemble, independent Thompson samples, mutations of the best."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

import numpy as np

from hwsearch._typing import IntArray
from hwsearch.errors import SearchError, nearest
from hwsearch.objectives.objective import Objective
from hwsearch.searchers.evolutionary.evolution import row_keys
from hwsearch.searchers.predicted.models import KINDS
from hwsearch.searchers.predicted.rounds import Models, RoundSearcher
from hwsearch.spaces import SearchSpace


class BananasSearcher(RoundSearcher):
    """Bayesian optimisation with an ensemble in the style of BANANAS (White, Neiswanger, Savani 2021, arXiv 1910.11858).

    Candidates are mutations of the best measured. Each gets an independent draw from the normal distribution of
    the ensemble's predictions, and the best draws are measured. Their members are networks on a path encoding; here they
    are `make_model`'s on the one-hot encoding, and several objectives rank by non-domination.

    ensemble : how many members; parents : how many of the best are mutated; candidates : how many mutations are drawn
    """

    name: ClassVar[str] = "bananas"

    def __init__(
        self,
        space: SearchSpace,
        objectives: Iterable[Objective | str],
        seed: int = 0,
        *,
        start: int = 10,
        batch: int = 10,
        ensemble: int = 5,
        parents: int = 10,
        candidates: int = 1000,
        predictor: str = "small-mlp",
    ) -> None:
        plain = {"ensemble": ensemble, "parents": parents, "candidates": candidates, "predictor": predictor}
        super().__init__(space, objectives, seed, start, batch, **plain)
        if ensemble < 2 or parents < 1 or candidates < 1:
            raise SearchError(
                f"ensemble={ensemble}, parents={parents} and candidates={candidates} do not work.",
                hint="Use at least 2 members, 1 parent and 1 candidate.",
            )
        if predictor not in KINDS:
            raise SearchError(f"there is no predictor {predictor!r}.", hint=nearest(predictor, KINDS))
        self._ensemble, self._parents, self._candidates, self._predictor = ensemble, parents, candidates, predictor

    def _next_round(self, n: int) -> IntArray:
        complete = np.flatnonzero(~np.isnan(self.values).any(axis=1))
        best = self.rows[complete[self._ranking(self.values[complete], self._parents)]]
        drawn = best[self.rng.integers(0, len(best), size=max(self._candidates, 2 * n))]
        rows = np.concatenate(
            [self.space.mutate_array(drawn, self.rng), self.space.sample_array(self._candidates // 10, self.rng)]
        )
        rows = rows[np.unique(row_keys(rows), return_index=True)[1]]
        rows = rows[self._is_new(rows)]
        if not len(rows):
            return rows
        members = Models(self, self._predictor, self._seed(), self._ensemble).members(rows)
        sampled = members.mean(axis=0) + members.std(axis=0) * self.rng.standard_normal(members.shape[1:])
        return rows[self._ranking(sampled, n)]
