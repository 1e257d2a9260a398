"""Optuna's NSGA-II."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from optuna.samplers import BaseSampler, NSGAIISampler

from hwsearch.errors import SearchError
from hwsearch.objective import Objective
from hwsearch.search.optuna_base import OptunaSearcher
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
        if population < 2:
            raise SearchError(f"a population of {population} cannot evolve.", hint="Use at least 2.")
        self._size = population

    def _sampler(self, seed: int) -> BaseSampler:
        return NSGAIISampler(seed=seed, population_size=self._size)

    def _system_attrs(self, completed: int) -> dict[str, Any]:
        return {"NSGAIISampler:generation": completed // self._size}
