"""Guide a search by any predictor: fit, search on predictions, measure what promises most, repeat."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar

import numpy as np
from pydantic import Field

from hwsearch._json import JsonObject
from hwsearch._typing import BoolArray, FloatArray, IntArray
from hwsearch.objectives.objective import Objective
from hwsearch.objectives.pareto import cost_hypervolume
from hwsearch.searchers.base import Searcher
from hwsearch.searchers.capabilities import Capabilities
from hwsearch.searchers.evolutionary.evolution import Mating, evolve, leading, row_keys
from hwsearch.searchers.gain import greedy_batch, search_reference
from hwsearch.searchers.info import AskInfo
from hwsearch.searchers.options import InnerEvolutionOptions, RowFeatures, RowFunction, SearcherOptions, function_option
from hwsearch.searchers.predicted.surrogate import MakePredictor, Surrogate, default_predictor
from hwsearch.spaces import SearchSpace

#: how many candidates of an inner search are compared by hypervolume gain
SHORTLIST = 400


class GuidedOptions(InnerEvolutionOptions):
    """Options of predictor-guided search."""

    features: RowFeatures | None = function_option(
        "Rows to the features (n, columns) that predictors see; default: the space's one-hot encoding."
    )
    cost: RowFunction | None = function_option(
        "Rows to a positive cost (n,) over which the first sample is spread; default: the sum of the genes' places."
    )
    exact: Mapping[str, RowFunction] | None = function_option(
        "Objective to a function of rows, for what can be computed (macs, params) and need not be predicted."
    )
    start: int = Field(20, ge=2, description="Size of the first sample.")
    inner_evaluations: int = Field(
        20_000, ge=2, description="Predicted architectures an ask; a space that is not larger is predicted whole."
    )
    population: int = Field(200, ge=2, description="Population of the inner NSGA-II, at most `inner_evaluations`.")
    explore: float = Field(
        0.5, ge=0.0, le=1.0, description="Share of the batch chosen under a sample of the predictors' errors."
    )
    make_predictor: MakePredictor | None = function_option(
        "Seed to a fresh predictor; default: `predictors.CrossValidatedPredictor`."
    )


class GuidedSearcher(Searcher):
    """Predictor-guided multi-objective search with any predictor.

    Starts with a sample balanced over cost, both extremes included. Then each ask fits one predictor an objective
    on all that was told, searches on predictions alone with NSGA-II, and takes, one by one, the new architectures
    with the largest joint hypervolume gain over what was measured. A share of each batch is chosen under a
    sample of the predictors' errors instead of the mean, so that what is uncertain gets tried.

    After an ask, `info` holds the round, the scores of each objective's predictor on rows left out, the inner
    evaluations, how many of the batch explore, and the expected gain: the hypervolume that the n best would add by
    their predicted means, as a share of the measured front's. It is a prediction about the best of many predictions,
    hence rather too large than too small.

    Parameters
    ----------
    space : SearchSpace
        What can be chosen.
    objectives : iterable of Objective or str
        As of `Searcher`.
    seed : int
        All randomness comes from it.
    **options : object
        Those of `GuidedOptions`.

    Raises
    ------
    SearchError
        If `exact` names what is not an objective.

    References
    ----------
    Related: Cummings et al. 2022, arXiv 2202.12954 (LINAS); Wu et al. 2021, arXiv 2102.10490 (weak predictors);
    Bradford et al. 2018, doi 10.1007/s10898-018-0609-2 (batches by Thompson sampling and hypervolume).
    """

    name: ClassVar[str] = "guided"
    Options: ClassVar[type[SearcherOptions]] = GuidedOptions
    capabilities: ClassVar[Capabilities] = Capabilities(
        incomplete_rows=True, features=True, cost=True, exact=True, inner_evaluations=True
    )

    options: GuidedOptions

    def __init__(
        self, space: SearchSpace, objectives: Iterable[Objective | str], seed: int = 0, **options: object
    ) -> None:
        super().__init__(space, objectives, seed, **options)
        own = self.options
        self._start, self._evaluations = own.start, own.inner_evaluations
        self._population, self._explore = own.population, own.explore
        self._cost = own.cost or (lambda rows: self.space.encode_array(rows, "ordinal").sum(axis=1))
        self._surrogate = Surrogate(
            self.objectives,
            own.features or space.encode_array,
            own.exact or {},
            own.make_predictor or default_predictor,
        )
        self._plan: list[list[int]] | None = None  # what is left of the first sample
        self._round = 0
        self._whole: IntArray | None = None

    # ------------------------------------------------------------------ ask
    def _propose(self, n: int) -> IntArray:
        if self._plan is None:
            self._plan = self._first_sample()
        known = {tuple(row) for row in np.concatenate([self.rows, self.pending_rows]).tolist()}
        self._plan = [row for row in self._plan if tuple(row) not in known]
        first = np.array(self._plan[:n], dtype=np.int64).reshape(-1, len(self.space.choices))
        self._plan = self._plan[n:]
        if len(first) == n or not self._ready():
            self.info = AskInfo(told=len(self._told))
            more = (
                self.space.sample_balanced_array(n - len(first), self.rng, self._cost) if len(first) < n else first[:0]
            )
            return np.concatenate([first, more])
        return np.concatenate([first, self._guided(n - len(first), first)])

    def _first_sample(self) -> list[list[int]]:
        """Draw the balanced sample, shortened by what was told before the first ask; extremes first."""
        rows = self.space.sample_balanced_array(self._start, self.rng, self._cost).tolist()
        missing = max(0, self._start - int(self._complete().sum()))
        return list(rows[:missing])

    def _complete(self) -> BoolArray:
        return np.asarray(~np.isnan(self.values).any(axis=1))

    def _ready(self) -> bool:
        """Tell whether enough has been measured to fit predictors: half of the first sample, and four."""
        return int(self._complete().sum()) >= max(4, min(self._start // 2, self.space.cardinality // 2))

    def _guided(self, n: int, also: IntArray) -> IntArray:
        """Propose up to n new rows; `also` (k, genes) are part of the same batch already."""
        self._round += 1
        rows, values = self.rows, self.values
        self._surrogate.fit(rows, values, self.rng)
        busy = np.concatenate([self.pending_rows, also])
        reference = search_reference(self)
        measured = self.costs(values[self.violation(values) == 0])
        explored = min(n, int(n * self._explore + self.rng.random()))
        views = [self._surrogate.mean] + ([self._surrogate.sample(self.rng)] if explored else [])
        chosen = np.empty((0, len(self.space.choices)), dtype=np.int64)
        used, expected = 0, 0.0
        for k, view in enumerate(views):
            wanted = n - explored if k == 0 else n - len(chosen)
            taken = np.concatenate([busy, chosen])
            candidates, costs, violation, scored = self._candidates(view, np.concatenate([rows, taken]), len(views))
            used += scored
            there = np.concatenate([measured, self._met(view, taken)])
            picks, gains = greedy_batch(costs, there, reference, max(n, wanted), violation <= 0)
            if k == 0:
                expected = sum(gains)
            picks = picks[:wanted]
            spare = [i for i in range(len(candidates)) if i not in set(picks)]  # without gain: the best ranked
            picks += spare[: wanted - len(picks)]
            chosen = np.concatenate([chosen, candidates[picks]])
        volume = cost_hypervolume(measured, reference)
        self.info = AskInfo(
            round=self._round,
            told=len(rows),
            scores={name: dict(found) for name, found in self._surrogate.scores.items()},
            inner_evaluations=used,
            explored=explored,
            expected_gain=expected / volume if volume > 0 else None,
        )
        return chosen

    # ------------------------------------------------------------------ on predictions
    def _candidates(
        self, view: RowFeatures, known: IntArray, views: int
    ) -> tuple[IntArray, FloatArray, FloatArray, int]:
        """Find the best unknown rows, best first, by predictions `view`: rows, costs, violations, how many were scored."""

        def score(rows: IntArray) -> tuple[FloatArray, FloatArray]:
            predicted = view(rows)
            return self.costs(predicted), self.violation(predicted)

        if self.space.cardinality <= self._evaluations:
            rows = self._everything()
            costs, violation = score(rows)
        else:
            rows, costs, violation = evolve(
                self.space,
                score,
                self._inner_start(),
                population=self._population,
                evaluations=max(self._population, self._evaluations // views),
                mating=Mating(),
                rng=self.rng,
            )
        scored = len(rows)
        fresh = ~np.isin(row_keys(rows), row_keys(known))
        rows, costs, violation = rows[fresh], costs[fresh], violation[fresh]
        best = leading(costs, violation, SHORTLIST)
        return rows[best], costs[best], violation[best], scored

    def _inner_start(self) -> IntArray:
        """Return half a population of what was measured, best first, the rest balanced over cost."""
        values = self.values
        best = leading(self.costs(values), self.violation(values), self._population // 2)
        spread = self.space.sample_balanced_array(self._population - len(best), self.rng, self._cost)
        return np.concatenate([self.rows[best], spread])

    def _everything(self) -> IntArray:
        if self._whole is None:
            self._whole = self.space.to_array(self.space.enumerate())
        return self._whole

    def _met(self, view: RowFeatures, rows: IntArray) -> FloatArray:
        """Select the predicted costs of those rows that are predicted to meet the limits."""
        if not len(rows):
            return np.empty((0, len(self.objectives)))
        predicted = view(rows)
        return self.costs(predicted[self.violation(predicted) == 0])

    # ------------------------------------------------------------------ state
    def _extra_state(self) -> JsonObject:
        return {"plan": self._plan, "round": self._round}

    def _load_extra_state(self, extra: JsonObject) -> None:
        self._plan, self._round = extra["plan"], int(extra["round"])
