"""Optuna's tree-structured Parzen estimator."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from optuna.samplers import BaseSampler, TPESampler

from hwsearch.objectives.objective import Objective
from hwsearch.searchers.optuna.base import OptunaSearcher
from hwsearch.spaces import SearchSpace


class OptunaTpeSearcher(OptunaSearcher):
    """TPE, for several objectives in the form of Ozaki et al. 2022 (JAIR 73), as Optuna implements it.

    start : how many architectures are sampled uniformly first
    candidates : how many candidates are compared for each gene
    """

    name: ClassVar[str] = "optuna-tpe"

    def __init__(
        self,
        space: SearchSpace,
        objectives: Iterable[Objective | str],
        seed: int = 0,
        *,
        start: int = 10,
        candidates: int = 24,
    ) -> None:
        super().__init__(space, objectives, seed, start=start, candidates=candidates)
        self._start, self._candidates = start, candidates

    def _sampler(self, seed: int) -> BaseSampler:
        return TPESampler(seed=seed, n_startup_trials=self._start, n_ei_candidates=self._candidates)
