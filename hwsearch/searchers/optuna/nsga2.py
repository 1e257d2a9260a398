"""Optuna's NSGA-II."""

from __future__ import annotations

from typing import ClassVar

import optuna
from optuna.samplers import BaseSampler, NSGAIISampler
from pydantic import Field

from hwsearch._json import JsonObject
from hwsearch._typing import IntArray
from hwsearch.searchers.options import SearcherOptions
from hwsearch.searchers.optuna.base import OptunaSearcher


class OptunaNsga2Options(SearcherOptions):
    """Options of Optuna's NSGA-II sampler."""

    population: int = Field(50, ge=2, description="Size of a generation.")


class OptunaNsga2Searcher(OptunaSearcher):
    """NSGA-II as Optuna implements it, a generation being `population` complete measurements.

    Genes that are active in some architectures only are uniform. Options: `OptunaNsga2Options`.

    References
    ----------
    Deb, Pratap, Agarwal, Meyarivan 2002, doi 10.1109/4235.996017.
    """

    name: ClassVar[str] = "optuna-nsga2"
    Options: ClassVar[type[SearcherOptions]] = OptunaNsga2Options

    options: OptunaNsga2Options

    def _sampler(self, seed: int) -> BaseSampler:
        return NSGAIISampler(seed=seed, population_size=self.options.population)

    def _system_attrs(self, study: optuna.Study, row: IntArray, completed: int, running: bool) -> JsonObject:
        return {"NSGAIISampler:generation": completed // self.options.population}
