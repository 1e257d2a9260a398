"""Optuna's Gaussian-process sampler."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from optuna.samplers import BaseSampler, GPSampler

from hwsearch.objectives.objective import Objective
from hwsearch.searchers.optuna.base import OptunaSearcher
from hwsearch.spaces import SearchSpace


class OptunaGpSearcher(OptunaSearcher):
    """Gaussian-process optimisation as Optuna implements it: expected improvement, for several objectives of the
    hypervolume. Genes that are active in some architectures only are uniform. Needs torch; O(n^3) an architecture.

    start : how many architectures are sampled uniformly first
    """

    name: ClassVar[str] = "optuna-gp"

    def __init__(
        self, space: SearchSpace, objectives: Iterable[Objective | str], seed: int = 0, *, start: int = 10
    ) -> None:
        super().__init__(space, objectives, seed, start=start)
        self._start = start

    def _sampler(self, seed: int) -> BaseSampler:
        return GPSampler(seed=seed, n_startup_trials=self._start, warn_independent_sampling=False)
