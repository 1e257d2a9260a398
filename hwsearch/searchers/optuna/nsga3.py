"""Optuna's NSGA-III."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

import optuna
from optuna.samplers import BaseSampler, NSGAIIISampler

from hwsearch._typing import IntArray
from hwsearch.objectives.objective import Objective
from hwsearch.searchers.optuna.base import OptunaSearcher
from hwsearch.spaces import SearchSpace


class OptunaNsga3Searcher(OptunaSearcher):
    """NSGA-III (Deb and Jain 2014, doi 10.1109/TEVC.2013.2281535) as Optuna implements it.

    population : size of a generation
    """

    name: ClassVar[str] = "optuna-nsga3"

    def __init__(
        self, space: SearchSpace, objectives: Iterable[Objective | str], seed: int = 0, *, population: int = 50
    ) -> None:
        super().__init__(space, objectives, seed, population=population)
        self._size = population

    def _sampler(self, seed: int) -> BaseSampler:
        return NSGAIIISampler(seed=seed, population_size=self._size)

    def _system_attrs(self, study: optuna.Study, row: IntArray, completed: int, running: bool) -> dict[str, Any]:
        return {"NSGAIIISampler:generation": completed // self._size}
