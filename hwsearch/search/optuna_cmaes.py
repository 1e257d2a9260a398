"""Optuna's CMA-ES, for one objective on ordinal genes."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec
from typing import ClassVar

from optuna.distributions import IntDistribution
from optuna.samplers import BaseSampler, CmaEsSampler

from hwsearch.errors import SearchError
from hwsearch.objective import Objective
from hwsearch.search.optuna_base import OptunaSearcher
from hwsearch.spaces import SearchSpace


class OptunaCmaesSearcher(OptunaSearcher):
    """CMA-ES (Hansen and Ostermeier 2001; integers by a margin: Hamano et al. 2022, arXiv 2205.13482) as Optuna
    implements it. Genes are integers, in their order; the search is rebuilt from what was told for each ask.

    start : how many architectures are sampled uniformly first

    Raises SearchError for several objectives, for genes that are not ordinal or have a condition, and without the
    package cmaes.
    """

    name: ClassVar[str] = "optuna-cmaes"

    def __init__(
        self, space: SearchSpace, objectives: Iterable[Objective | str], seed: int = 0, *, start: int = 10
    ) -> None:
        super().__init__(space, objectives, seed, start=start)
        if len(self.objectives) > 1:
            raise SearchError(
                f"CMA-ES takes one objective, not {len(self.objectives)}.", hint="Use 'nsga2' or 'optuna-nsga3'."
            )
        unfit = [c.name for c in space.choices if not c.ordinal or c.when is not None]
        if unfit:
            raise SearchError(
                f"CMA-ES needs ordinal genes without conditions, and {unfit[0]!r} is none.",
                hint="Use 'optuna-tpe' or 'regularised-evolution'.",
            )
        if find_spec("cmaes") is None:
            raise SearchError("CMA-ES needs the package cmaes, which is not installed.", hint="pip install cmaes")
        self._start = start
        self._distributions = {c.name: IntDistribution(0, len(c.values) - 1) for c in space.choices}

    def _sampler(self, seed: int) -> BaseSampler:
        return CmaEsSampler(seed=seed, n_startup_trials=self._start, warn_independent_sampling=False, with_margin=True)
