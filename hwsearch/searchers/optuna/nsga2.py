"""Optuna's NSGA-II."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

import optuna
from optuna.samplers import BaseSampler, NSGAIISampler

from hwsearch._typing import IntArray
from hwsearch.objectives.objective import Objective
from hwsearch.searchers.optuna.base import OptunaSearcher
from hwsearch.spaces import SearchSpace


class OptunaNsga2Searcher(OptunaSearcher):
    """NSGA-II (Deb et al. 2002) as Optuna implements it: genes that are active in some architectures only are uniform.

    population : size of a generation
    """

    name: ClassVar[str] = "optuna-nsga2"

    def __init__(
        self, space: SearchSpace, objectives: Iterable[Objective | str], seed: int = 0, *, population: int = 50
    ) -> None:
        super().__init__(space, objectives, seed, population=population)
        self._size = population

    def _sampler(self, seed: int) -> BaseSampler:
        return NSGAIISampler(seed=seed, population_size=self._size)

    def _system_attrs(self, study: optuna.Study, row: IntArray, completed: int, running: bool) -> dict[str, Any]:
        return {"NSGAIISampler:generation": completed // self._size}
