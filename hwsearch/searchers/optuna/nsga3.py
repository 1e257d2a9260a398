"""Optuna's NSGA-III."""

from __future__ import annotations

from typing import ClassVar

import optuna
from optuna.samplers import BaseSampler, NSGAIIISampler
from pydantic import Field

from hwsearch._json import JsonObject
from hwsearch._typing import IntArray
from hwsearch.searchers.options import SearcherOptions
from hwsearch.searchers.optuna.base import OptunaSearcher


class OptunaNsga3Options(SearcherOptions):
    """Options of Optuna's NSGA-III sampler."""

    population: int = Field(50, ge=2, description="Size of a generation.")


class OptunaNsga3Searcher(OptunaSearcher):
    """NSGA-III as Optuna implements it, a generation being `population` complete measurements.

    Options: `OptunaNsga3Options`.

    References
    ----------
    Deb and Jain 2014, doi 10.1109/TEVC.2013.2281535.
    """

    name: ClassVar[str] = "optuna-nsga3"
    Options: ClassVar[type[SearcherOptions]] = OptunaNsga3Options

    options: OptunaNsga3Options

    def _sampler(self, seed: int) -> BaseSampler:
        return NSGAIIISampler(seed=seed, population_size=self.options.population)

    def _system_attrs(self, study: optuna.Study, row: IntArray, completed: int, running: bool) -> JsonObject:
        return {"NSGAIIISampler:generation": completed // self.options.population}
