"""Optuna's tree-structured Parzen estimator."""

from __future__ import annotations

from typing import ClassVar

from optuna.samplers import BaseSampler, TPESampler
from pydantic import Field

from hwsearch.searchers.options import SearcherOptions
from hwsearch.searchers.optuna.base import OptunaSearcher


class OptunaTpeOptions(SearcherOptions):
    """Options of Optuna's TPE sampler."""

    start: int = Field(10, ge=1, description="Architectures that are sampled uniformly first.")
    candidates: int = Field(24, ge=1, description="How many candidates are compared for each gene.")


class OptunaTpeSearcher(OptunaSearcher):
    """Tree-structured Parzen estimator as Optuna implements it, for one and several objectives.

    Options: `OptunaTpeOptions`.

    References
    ----------
    Ozaki et al. 2022, "Multiobjective tree-structured Parzen estimator", JAIR 73.
    """

    name: ClassVar[str] = "optuna-tpe"
    Options: ClassVar[type[SearcherOptions]] = OptunaTpeOptions

    options: OptunaTpeOptions

    def _sampler(self, seed: int) -> BaseSampler:
        return TPESampler(seed=seed, n_startup_trials=self.options.start, n_ei_candidates=self.options.candidates)
