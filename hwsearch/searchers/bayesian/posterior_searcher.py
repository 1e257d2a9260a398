"""A searcher that learns a structured Gaussian process an objective: what is told and hinted, and what it predicts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import NormalDist
from typing import ClassVar

import numpy as np
import pandas as pd
from typing_extensions import override

from hwsearch._json import JsonObject
from hwsearch._typing import BoolArray, FloatArray, IntArray
from hwsearch.errors import SearchError
from hwsearch.objectives.objective import Objective, signs
from hwsearch.searchers.archive import Archive, packed, unpacked
from hwsearch.searchers.arguments import Measured, by_id, natural, values_and_noise
from hwsearch.searchers.base import Searcher
from hwsearch.searchers.bayesian.candidates import CandidateSearch
from hwsearch.searchers.bayesian.chance_limits import ChanceLimits
from hwsearch.searchers.bayesian.partial import filled_by_hints, filled_by_mean, least_known
from hwsearch.searchers.bayesian.plumb_options import PlumbOptions
from hwsearch.searchers.bayesian.posterior import EncodedRows, MultiObjectivePosterior
from hwsearch.searchers.bayesian.space_kernel import SpaceKernel
from hwsearch.searchers.gain import greedy_batch, search_reference
from hwsearch.searchers.options import SearcherOptions
from hwsearch.searchers.threads import one_blas_thread
from hwsearch.spaces import Architecture, SearchSpace

#: measurements that are learnt from, at most: a fit takes time cubic in them
MAX_OBSERVATIONS = 400
#: joint posterior samples by which a batch is chosen
SAMPLES = 64
#: the same with three objectives and more, where hypervolume costs more
MANY_OBJECTIVES_SAMPLES = 8
#: every so many asks the kernels' weights are sought from the prior on, lest they stay where they were found first
AFRESH = 8


class PosteriorSearcher(Searcher):
    """Knowledge and predictions of the default tactic; how it chooses is up to `hwsearch.searchers.bayesian.plumb.PlumbSearcher`.

    Parameters
    ----------
    space : SearchSpace
        What can be chosen.
    objectives : iterable of Objective or str
        As of `Searcher`.
    seed : int
        All randomness comes from it.
    **options : object
        Those of `PlumbOptions`.

    Attributes
    ----------
    inner_cpu_seconds : float
        Processor time of the last ask's inner evaluations, evolution included, in seconds.
    """

    Options: ClassVar[type[SearcherOptions]] = PlumbOptions

    options: PlumbOptions

    def __init__(
        self, space: SearchSpace, objectives: Iterable[Objective | str], seed: int = 0, **options: object
    ) -> None:
        super().__init__(space, objectives, seed, **options)
        own = self.options
        self._start = own.start
        self._samples = SAMPLES if len(self.objectives) < 3 else MANY_OBJECTIVES_SAMPLES
        self._limits = ChanceLimits(self.objectives, own.confidence or {}, self.violation)
        self._cost = own.cost or (lambda rows: self.space.encode_array(rows, "ordinal").sum(axis=1))
        rng = np.random.default_rng(0)
        sample = np.concatenate([space.sample_balanced_array(256, rng, self._cost), space.sample_array(256, rng)])
        known = own.known or space.describe_array or (space.range_places if len(space.ranges) else None)
        kernel = SpaceKernel(space, sample, known, own.warm_start)
        self._posterior = MultiObjectivePosterior(kernel, self.objectives, own.exact or {}, MAX_OBSERVATIONS)
        self._exact = frozenset(own.exact or {})
        self._search = CandidateSearch(
            self, self._posterior, self._limits, self._cost, own.population, own.inner_evaluations
        )
        self._plan: list[list[int]] | None = None  # what is left of the first sample
        self._round = 0
        self._weights: list[dict[str, FloatArray]] | None = None  # of the kernels, by the last ask
        self.inner_cpu_seconds = 0.0
        self._hinted = Archive(space.sizes, len(self.objectives))

    def _complete(self) -> BoolArray:
        return np.asarray(~np.isnan(self.values).any(axis=1))

    def _informed(self) -> int:
        """Count the measurements of the objective that is known least; rows that lack others count, too."""
        return least_known(self.values, [o.name not in self._exact for o in self.objectives])

    def _partly(self) -> bool:
        """Tell whether most of what is known are parts, as on a new device: values to judge by are then predicted."""
        complete = int(self._complete().sum())
        return complete < self._fewest() <= self._informed()

    def _judged(self) -> FloatArray:
        """Return the values (n, m) that the reference point and the inner search go by."""
        if not self._partly():
            return self.values
        return filled_by_mean(self._posterior, self.rows, self.values, signs(self.objectives))

    def _fewest(self) -> int:
        """Measurements of each objective that it takes to predict."""
        return max(4, min(self._start // 2, self.space.cardinality // 2))

    def _fit(self) -> None:
        rows, values, noise = self.rows, self.values, self.noise
        if len(self._hinted):  # in the columns that have not been told
            places = self._told.find(self._hinted.rows)
            told, new = np.flatnonzero(places >= 0), np.flatnonzero(places < 0)
            at = places[told]
            values, noise = values.copy(), noise.copy()
            values[at], noise[at] = filled_by_hints(values[at], noise[at], self._hinted, told)
            rows = np.concatenate([rows, self._hinted.rows_at(new)])
            values = np.concatenate([values, self._hinted.values[new]])
            noise = np.concatenate([noise, self._hinted.noise[new]])
        self._posterior.fit(rows, values, noise, self.violation(values), self._weights)

    def _learn(self) -> None:
        """Fit for an ask: weights are sought from those of the last ask, and now and then from the prior."""
        if self._round % AFRESH == 0:
            self._weights = None
        self._fit()
        self._weights = self._posterior.found

    def _met(self, rows: IntArray) -> BoolArray:
        """Tell which rows meet the limits with the probabilities asked for; all where none is asked for."""
        if self._limits.deviations is None or not len(rows):
            return np.ones(len(rows), dtype=bool)
        return self._limits.met(self._posterior, EncodedRows(self._posterior, rows))

    def _feasible(self) -> BoolArray:
        """Judge feasibility by the values; with `confidence`, the posterior must agree, too, where it does for any."""
        met = super()._feasible()
        if self._limits.deviations is None or int(self._complete().sum()) < 4:
            return met
        self._fit()
        sure = met & self._met(self.rows)
        return sure if sure.any() else met

    @override
    def hint(self, archs: Sequence[Architecture], values: Measured, noise: Measured | None) -> None:
        """Tell what is less than a measurement: an accuracy on few images, a latency on a like device.

        It is learnt from until the value itself is told. The architecture does not count as measured by it: it can be
        asked for and is not on the front. What is hinted again takes the new values, and keeps the former ones in columns
        that have none now.

        Parameters
        ----------
        archs : sequence of Architecture
            The n architectures.
        values : array-like (n, m) or DataFrame
            As of `tell`.
        noise : array-like (n, m) or DataFrame
            The standard deviation by which the measured value may differ from each value; needed wherever there is one.

        Raises
        ------
        SearchError
            As of `tell`, and where a noise is missing.
        SpaceError
            For an architecture of another space.
        """
        archs = list(archs)
        rows = self._checked(self.space.to_array(archs))
        told, spread = values_and_noise(self.objectives, by_id(archs, values), by_id(archs, noise), len(rows))
        missing = np.isnan(spread) & ~np.isnan(told)
        if missing.any():
            raise SearchError(
                f"hint() got {int(missing.sum())} values without their noise.",
                hint="Give the standard deviation of each; tell() is for measurements.",
            )
        places = self._hinted.find(rows)
        there = np.flatnonzero(places >= 0)
        told[there], spread[there] = filled_by_hints(told[there], spread[there], self._hinted, places[there])
        self._hinted.put(rows, told, spread)

    @one_blas_thread()
    def predict(self, archs: Sequence[Architecture], coverage: float = 0.9) -> pd.DataFrame:
        """Predict the objectives of architectures, measured or not, with intervals.

        Parameters
        ----------
        archs : sequence of Architecture
            The k architectures.
        coverage : float
            Posterior probability of an interval, in (0, 1).

        Returns
        -------
        DataFrame
            ``arch_id``, and for each objective NAME, NAME_low, NAME_high: posterior median and central interval of the
            noiseless value, in natural units.

        Raises
        ------
        SearchError
            While fewer than four values of an objective are known, and for a coverage that is not in (0, 1).
        """
        if self._informed() < 4:
            raise SearchError("predict() needs four measurements of each objective.", hint="Tell more of them first.")
        if not 0.0 < coverage < 1.0:
            raise SearchError(f"coverage must be in (0, 1), got {coverage!r}.")
        self._fit()
        rows = EncodedRows(self._posterior, self.space.to_array(archs))
        z = NormalDist().inv_cdf(0.5 + coverage / 2)
        middle, low, high = (self._posterior.bound(rows, d) * signs(self.objectives) for d in (0.0, -z, z))
        columns: dict[str, list[str] | FloatArray] = {"arch_id": [arch.id for arch in archs]}
        for j, objective in enumerate(self.objectives):
            columns[objective.name] = middle[:, j]
            columns[f"{objective.name}_low"] = np.minimum(low, high)[:, j]
            columns[f"{objective.name}_high"] = np.maximum(low, high)[:, j]
        return pd.DataFrame(columns)

    def predicted_front(self, n: int) -> list[Architecture]:
        """Name the front that the posterior mean has over the whole space, told architectures included.

        Nothing is noted by it: a further ask is the same as without.

        Parameters
        ----------
        n : int
            How many at most: those that enlarge its hypervolume most, one by one.

        Returns
        -------
        list of Architecture
            Mutually non-dominated by their predictions, in the order of the first objective's, best first.

        Raises
        ------
        SearchError
            While fewer than four values of an objective are known, and if n is not a whole number, 0 or more.
        """
        n = natural(n, "the number of architectures to name")
        if self._informed() < 4:
            raise SearchError(
                "predicted_front() needs four measurements of each objective.", hint="Tell more of them first."
            )
        state, elite = self.rng.bit_generator.state, self._search.elite
        try:
            with one_blas_thread():
                self._fit()
                judged = self._judged()
                rows, costs = self._search.front(judged)
                # a front may lie beyond all that is known
                known = np.concatenate([judged, costs * signs(self.objectives)])
                picks = greedy_batch(costs, np.empty((0, costs.shape[1])), search_reference(self, known), n)[0]
        finally:
            self.rng.bit_generator.state, self._search.elite = state, elite
        return self.space.from_array(rows[sorted(picks, key=lambda k: float(costs[k, 0]))])

    def _extra_state(self) -> JsonObject:
        hints = [packed(a) for a in (self._hinted.compact_rows, self._hinted.values, self._hinted.noise)]
        extra: JsonObject = {"plan": self._plan, "round": self._round, "elite": self._search.elite.tolist()}
        if self._weights is not None:
            extra["weights"] = [{key: packed(theta) for key, theta in found.items()} for found in self._weights]
        return {**extra, "hints": hints} if len(self._hinted) else extra

    def _load_extra_state(self, extra: JsonObject) -> None:
        self._plan, self._round = extra["plan"], int(extra["round"])
        self._search.elite = np.array(extra["elite"], dtype=np.int64).reshape(-1, len(self.space.choices))
        found = extra.get("weights")
        self._weights = found and [{key: unpacked(theta) for key, theta in by.items()} for by in found]
        self._hinted = Archive(self.space.sizes, len(self.objectives))
        if "hints" in extra:
            rows, values, noise = map(unpacked, extra["hints"])
            self._hinted.put(self._checked(rows), *values_and_noise(self.objectives, values, noise, len(rows)))
