"""Optuna's Gaussian-process sampler."""

from __future__ import annotations

from typing import ClassVar

from optuna.samplers import BaseSampler, GPSampler
from pydantic import Field

from hwsearch.searchers.options import SearcherOptions
from hwsearch.searchers.optuna.base import OptunaSearcher


class OptunaGpOptions(SearcherOptions):
    """Options of Optuna's Gaussian-process sampler."""

    start: int = Field(10, ge=1, description="Architectures that are sampled uniformly first.")


class OptunaGpSearcher(OptunaSearcher):
    """Gaussian-process optimisation as Optuna implements it.

    Expected improvement, for several objectives of the hypervolume. Genes that are active in some architectures only
    are uniform. Needs torch; O(n^3) an architecture, about a second each. Options: `OptunaGpOptions`.

    References
    ----------
    Akiba et al. 2019, "Optuna: a next-generation hyperparameter optimization framework", arXiv 1907.10902.
    """

    name: ClassVar[str] = "optuna-gp"
    Options: ClassVar[type[SearcherOptions]] = OptunaGpOptions

    options: OptunaGpOptions

    def _sampler(self, seed: int) -> BaseSampler:
        return GPSampler(seed=seed, n_startup_trials=self.options.start, warn_independent_sampling=False)
