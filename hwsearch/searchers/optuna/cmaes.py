"""Optuna's CMA-ES, for one objective on ordinal genes."""

from __future__ import annotations

import math
from collections.abc import Iterable
from importlib.util import find_spec
from typing import Any, ClassVar

import numpy as np
import optuna
from optuna.distributions import IntDistribution
from optuna.samplers import BaseSampler, CmaEsSampler
from optuna.trial import TrialState
from pydantic import Field

from hwsearch._json import JsonObject
from hwsearch._typing import FloatArray, IntArray
from hwsearch.errors import SearchError
from hwsearch.objectives.objective import Objective
from hwsearch.searchers.options import SearcherOptions
from hwsearch.searchers.optuna.base import OptunaSearcher
from hwsearch.spaces import SearchSpace


class OptunaCmaesOptions(SearcherOptions):
    """Options of Optuna's CMA-ES sampler."""

    start: int = Field(10, ge=1, description="Architectures that are sampled uniformly first.")


class OptunaCmaesSearcher(OptunaSearcher):
    """CMA-ES with margin as Optuna implements it, for one objective on ordinal genes.

    Genes are integers, in their order; the search is rebuilt from what was told for each ask. The objective's own limit
    needs no care, since what is good meets it; a limit against the objective's direction would, and is refused.

    Parameters
    ----------
    space : SearchSpace
        Ordinal genes without conditions.
    objectives : iterable of Objective or str
        One objective.
    seed : int
        All randomness comes from it.
    **options : object
        Those of `OptunaCmaesOptions`.

    Raises
    ------
    SearchError
        For several objectives, a limit against the direction, genes that are not ordinal or have a condition, and
        without the package cmaes.

    References
    ----------
    Hansen and Ostermeier 2001, "Completely derandomized self-adaptation in evolution strategies".
    Hamano et al. 2022, "CMA-ES with margin", arXiv 2205.13482.
    """

    name: ClassVar[str] = "optuna-cmaes"
    Options: ClassVar[type[SearcherOptions]] = OptunaCmaesOptions

    options: OptunaCmaesOptions

    def __init__(
        self, space: SearchSpace, objectives: Iterable[Objective | str], seed: int = 0, **options: object
    ) -> None:
        super().__init__(space, objectives, seed, **options)
        if len(self.objectives) > 1:
            raise SearchError(
                f"CMA-ES supports one objective, got {len(self.objectives)}.", hint="Use 'nsga2' or 'optuna-nsga3'."
            )
        limit = self.objectives[0].limit
        if limit is not None and (limit.op == "<=") != (self.objectives[0].direction == "min"):
            raise SearchError(
                f"CMA-ES cannot search under a limit against the direction of its objective: "
                f"{self.objectives[0].direction} {self.objectives[0].name} {limit}.",
                hint="Use 'optuna-tpe'.",
            )
        unfit = [c.name for c in space.choices if not c.ordinal or c.when is not None]
        if unfit:
            raise SearchError(
                f"CMA-ES needs ordinal genes without conditions, but {unfit[0]!r} is not such a gene.",
                hint="Use 'optuna-tpe' or 'regularised-evolution'.",
            )
        if find_spec("cmaes") is None:
            raise SearchError(
                "CMA-ES needs the package cmaes, which is not installed.", hint="pip install 'hwsearch[cmaes]'"
            )
        self._start = self.options.start
        self._distributions = {c.name: IntDistribution(0, len(c.values) - 1) for c in space.choices}
        varied = [i for i in range(len(space.choices)) if space.sizes[i] > 1]
        self._varied = np.array(
            sorted(varied, key=lambda i: space.names[i]), dtype=np.int64
        )  # what Optuna searches over, in its order
        self._size = 4 + int(3 * math.log(max(len(self._varied), 1)))

    def _constraints(self, values: FloatArray) -> dict[str, float] | None:
        return None  # the sampler would warn that it does not use them

    def _sampler(self, seed: int) -> BaseSampler:
        return CmaEsSampler(
            seed=seed,
            n_startup_trials=self._start,
            warn_independent_sampling=False,
            with_margin=True,
            popsize=self._size,
        )

    def _system_attrs(self, study: optuna.Study, row: IntArray, completed: int, running: bool) -> JsonObject:
        """Say what Optuna notes in a trial of CMA-ES.

        The generation, the place in 0..1 in which Optuna takes the row, and, in the first trial of a generation, the
        optimiser after the one before: a further ask, given up again, makes Optuna work it out.
        """
        generation, place = divmod(completed - self._start, self._size)
        if generation < 0 or running:
            return {}
        attrs: dict[str, Any] = {
            "cmawm:generation": generation,
            "x_for_tell": (row / np.maximum(self.space.sizes - 1, 1))[self._varied].tolist(),
        }
        if generation > 0 and place == 0:
            trial = study.ask()
            noted = study.get_trials(deepcopy=False)[trial.number].system_attrs
            attrs |= {key: value for key, value in noted.items() if key.startswith("cmawm:optimizer")}
            study.tell(trial, state=TrialState.FAIL)
        return attrs
