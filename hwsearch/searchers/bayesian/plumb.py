"""The default tactic, PLUMB: predicted limits, uncertainty, measured batches."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import NormalDist
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from hwsearch._typing import BoolArray, FloatArray, IntArray
from hwsearch.errors import SearchError, nearest
from hwsearch.objectives.objective import Objective, signs
from hwsearch.objectives.pareto import cost_hypervolume
from hwsearch.searchers.archive import Archive, packed, unpacked
from hwsearch.searchers.base import RowFunction, Searcher, by_id, natural
from hwsearch.searchers.bayesian.gain import expected_batch, search_reference
from hwsearch.searchers.bayesian.posterior import Beliefs, Rows, View
from hwsearch.searchers.bayesian.structure import Features, Structure
from hwsearch.searchers.evolutionary.evolution import Mating, evolve, leading, rank_and_crowding, row_keys
from hwsearch.spaces import Architecture, SearchSpace
from hwsearch.spaces.rows import distinct

#: spaces up to this size are predicted whole; of a larger one, the neighbours of so many front members are
WHOLE, NEIGHBOURHOODS = 20_000, 24
#: children a generation of the inner evolution, which are predicted together
OFFSPRING = 1000
#: measurements that are learnt from, at most
MOST = 400
#: joint posterior samples, candidates they are taken of, and measured architectures that these are compared with
SAMPLES, SHORTLIST, COMPARED = 64, 600, 150
#: samples with three objectives and more, where hypervolume costs more
MANY_SAMPLES = 8
#: posterior deviations by which hope is above the mean
HOPE = 2.0
#: architectures from which a first sample is chosen, and the noise it is planned with, in variances of an objective
POOL, PLANNED_NOISE = 800, 0.02

#: k architectures to their costs (k, m) and violations of the limits (k,)
Scorer = Callable[[Rows], tuple[FloatArray, FloatArray]]


class PlumbSearcher(Searcher):
    """Bayesian multi-objective search with structured Gaussian processes.

    The first sample spreads over cost, both extremes included, and among architectures of like cost takes those that
    tell most about the rest (largest prior variance given the sample so far). Then each ask

    - fits a Gaussian process an objective, whose kernel is a sum of parts: effects of each gene, alike at neighbouring
      places or the same in all, of pairs of genes in a slot, of counts, of what is known beforehand, and curved ones;
      weights, noise and a warp of the quantity are found from the measurements (`structure`, `process`, `warp`);
    - seeks candidates by evolution on the posterior's mean and on an optimistic bound, and among the front's neighbours;
    - takes, one by one, those with the largest expected joint hypervolume improvement over joint samples of the
      posterior, in which the measured ones are uncertain, too.

    Related: expected hypervolume improvement of batches under noise (Daulton et al. 2021, arXiv 2105.08195).

    known : rows (n, genes) to a float array (n, columns), what is known of architectures without measuring: costs,
        predictions of other devices; default: what the space says of them
    earlier : the same of what earlier campaigns measured, whose weight against the rest is found for itself
    cost : rows to a positive cost (n,) that the first sample is spread over; default: the sum of the genes' places
    exact : objective name to a function of rows, for what can be computed (macs, params) and need not be predicted
    confidence : objective name to the probability with which its limit must be met; default: as likely as not
    start : size of the first sample
    inner_evaluations : predicted architectures an ask; a space of at most 20,000 is predicted whole
    population : of the inner NSGA-II

    After an ask `info` holds `round` (0 in the first sample), `told`, and, once predicting, `inner_evaluations` and
    `expected_gain`: the expected joint hypervolume improvement of what was asked for, as a share of the measured front's
    hypervolume (None when that is zero). A search may stop when that is not worth the measurements.
    `inner_cpu_seconds` is the processor time of the last ask's inner evaluations, evolution included.
    """

    name: ClassVar[str] = "plumb"
    learns_from_parts: ClassVar[bool] = True
    screens: ClassVar[bool] = True

    def __init__(
        self,
        space: SearchSpace,
        objectives: Iterable[Objective | str],
        seed: int = 0,
        *,
        known: Callable[[IntArray], FloatArray] | None = None,
        earlier: Callable[[IntArray], FloatArray] | None = None,
        cost: RowFunction | None = None,
        exact: Mapping[str, RowFunction] | None = None,
        confidence: Mapping[str, float] | None = None,
        start: int = 20,
        inner_evaluations: int = 40_000,
        population: int = 200,
    ) -> None:
        plain = {"start": start, "inner_evaluations": inner_evaluations, "population": population}
        super().__init__(space, objectives, seed, **plain)
        if start < 2 or population < 2 or inner_evaluations < population:
            raise SearchError(
                f"plumb cannot work with {', '.join(f'{k}={v}' for k, v in plain.items())}.",
                hint="Use start and population >= 2, and inner_evaluations >= population.",
            )
        self._start, self._evaluations, self._population = start, inner_evaluations, population
        self._samples = SAMPLES if len(self.objectives) < 3 else MANY_SAMPLES
        self._deviations = self._safety(confidence or {})
        self._cost = cost or (lambda rows: self.space.encode_array(rows, "ordinal").sum(axis=1))
        rng = np.random.default_rng(0)
        sample = np.concatenate([space.sample_balanced_array(256, rng, self._cost), space.sample_array(256, rng)])
        structure = Structure(space, sample, known or space.describe_array, earlier)
        self._beliefs = Beliefs(structure, self.objectives, exact or {}, MOST)
        self._exact = frozenset(exact or {})
        self._plan: list[list[int]] | None = None  # what is left of the first sample
        self._round = 0
        self.inner_cpu_seconds = 0.0
        self._elite = np.empty((0, len(space.choices)), dtype=np.int64)  # the best predicted of the last ask
        self._everything: tuple[IntArray, Features] | None = None
        self._hinted = Archive(space.sizes, len(self.objectives))

    def _safety(self, confidence: Mapping[str, float]) -> FloatArray | None:
        """By how many deviations the mean must be off each limit, on the side of the limit in costs; None: no matter."""
        names = [o.name for o in self.objectives]
        out = np.zeros(len(names))
        for name, probability in confidence.items():
            if name not in names:
                raise SearchError(f"'confidence' names {name!r}, which is not an objective.", hint=nearest(name, names))
            objective = self.objectives[names.index(name)]
            if objective.limit is None:
                raise SearchError(f"'confidence' is about {name!r}, which has no limit.", hint="Give it a limit.")
            if not 0.5 <= probability < 1.0:
                raise SearchError(f"confidence {name}={probability!r} is not in 0.5..1, 1 excluded.")
            above = (objective.limit.op == "<=") == (objective.sign > 0)
            out[names.index(name)] = NormalDist().inv_cdf(probability) * (1.0 if above else -1.0)
        return out if out.any() else None

    # ------------------------------------------------------------------ ask
    def _propose(self, n: int) -> IntArray:
        if self._plan is None:
            missing = max(0, self._start - int(self._complete().sum()))
            self._plan = self._first_sample()[:missing].tolist() if missing else []
        plan = np.array(self._plan, dtype=np.int64).reshape(-1, len(self.space.choices))
        plan = plan[~self.is_known_array(plan)]
        first, self._plan = plan[:n], plan[n:].tolist()
        if len(first) == n:
            self.info = {"round": 0, "told": len(self.values)}
            return first
        if int(self._complete().sum()) < self._fewest():
            self.info = {"round": 0, "told": len(self.values)}
            more = self.space.sample_balanced_array(n - len(first), self.rng, self._cost)
            return np.concatenate([first, more])
        return np.concatenate([first, self._chosen(n - len(first), first)])

    def _complete(self) -> BoolArray:
        return np.asarray(~np.isnan(self.values).any(axis=1))

    def _fit(self) -> None:
        rows, values, noise = self.rows, self.values, self.noise
        if len(self._hinted):  # in the columns that have not been told
            places = self._told.find(self._hinted.rows)
            told, new = np.flatnonzero(places >= 0), np.flatnonzero(places < 0)
            at = places[told]
            values, noise = values.copy(), noise.copy()
            values[at], noise[at] = _filled(values[at], noise[at], self._hinted, told)
            rows = np.concatenate([rows, self._hinted.rows_at(new)])
            values = np.concatenate([values, self._hinted.values[new]])
            noise = np.concatenate([noise, self._hinted.noise[new]])
        self._beliefs.fit(rows, values, noise, self.violation(values))

    def _chosen(self, n: int, also: IntArray) -> IntArray:
        """Up to n new rows; `also` (k, genes) are part of the same batch already."""
        self._fit()
        busy = np.concatenate([self.pending_rows, also])
        clock = time.process_time()
        candidates, used = self._candidates(busy)
        self.inner_cpu_seconds = time.process_time() - clock
        return self._best_of(candidates, busy, n, used)

    def _best_of(self, candidates: IntArray, busy: IntArray, n: int, used: int) -> IntArray:
        """Up to n of the candidates; used : how many architectures were predicted to find these."""
        self._round += 1
        reference = search_reference(self)
        picks, gains = self._batch(candidates, busy, n, reference)
        complete = self._complete() & (self.violation(self.values) == 0)
        volume = cost_hypervolume(self.costs(self.values[complete]), reference)
        self.info = {
            "round": self._round,
            "told": len(self.values),
            "inner_evaluations": used,
            "expected_gain": sum(gains) / volume if volume > 0 else None,
        }
        return candidates[picks]

    # ------------------------------------------------------------------ screening
    def hint(self, archs: Sequence[Architecture], values: Any, noise: Any) -> None:
        """Tell what is less than a measurement: an accuracy on few images, a latency on a like device.

        archs, values, noise : as of `tell`; noise is needed wherever there is a value, and is the standard deviation by
            which the measured one may differ from it

        It is learnt from until the value itself is told. The architecture does not count as measured by it: it can be
        asked for and is not on the front. What is hinted again takes the new values, and keeps the former ones in columns
        that have none now. Raises SearchError and SpaceError as `tell` does, and SearchError where a noise is missing.
        """
        archs = list(archs)
        rows = self._checked(self.space.to_array(archs))
        told, spread = self._with_noise(by_id(archs, values), by_id(archs, noise), len(rows))
        missing = np.isnan(spread) & ~np.isnan(told)
        if missing.any():
            raise SearchError(
                f"hint() got {int(missing.sum())} values without their noise.",
                hint="Give the standard deviation of each; tell() is for measurements.",
            )
        places = self._hinted.find(rows)
        there = np.flatnonzero(places >= 0)
        told[there], spread[there] = _filled(told[there], spread[there], self._hinted, places[there])
        self._hinted.put(rows, told, spread)

    def choose(self, archs: Sequence[Architecture], n: int) -> list[Architecture]:
        """Which n of these to measure, or to measure completely, next: by joint expected improvement, the best first.

        For candidates of which parts are known: one objective was told and the others are NaN, or something was hinted.
        Left out are those whose values are all told, and those that failed: told without any value, and not hinted. Fewer
        than n come back only where no more are left. Until as much is complete as a prediction takes, half of `start`, the
        first n come back. Nothing is noted by it: tell what was measured before choosing or asking again.
        Raises SearchError when n is not a number of things, and SpaceError for an architecture of another space.
        """
        n = natural(n, "the number of architectures to choose")
        rows = distinct(self._checked(self.space.to_array(list(archs)))).astype(np.int64)
        lacking = np.isnan(self.values[:, [o.name not in self._exact for o in self.objectives]])
        failed = lacking.all(axis=1) & ~self._hinted.has(self.rows)
        rows = rows[~np.isin(self._told.find(rows), np.flatnonzero(~lacking.any(axis=1) | failed))]
        if not n or not len(rows):
            self.info = {"round": self._round, "told": len(self.values)}
            return []
        if int(self._complete().sum()) < self._fewest():
            self.info = {"round": 0, "told": len(self.values)}
            return self.space.from_array(rows[:n])
        self._fit()
        busy = self.pending_rows
        busy = busy[~np.isin(row_keys(busy), row_keys(rows))]
        return self.space.from_array(self._best_of(self._promising(rows, max(n, SHORTLIST // 2)), busy, n, len(rows)))

    def _promising(self, rows: IntArray, n: int) -> IntArray:
        """The best n of the rows by the mean, and those by hope."""
        if len(rows) <= n:
            return rows
        beliefs = self._beliefs.single()
        every = Rows(beliefs, rows)
        return rows[np.union1d(*(leading(*view(every), n) for view in self._mean_and_hope(beliefs)))]

    def _fewest(self) -> int:
        """Complete measurements that it takes to predict."""
        return max(4, min(self._start // 2, self.space.cardinality // 2))

    # ------------------------------------------------------------------ the first sample
    def _first_sample(self) -> IntArray:
        """`start` rows (fewer of a smaller space), the extremes first."""
        ends = self.space.sample_balanced_array(2, self.rng, self._cost)
        if self._start <= 2:
            return ends[: self._start]
        if self.space.cardinality <= self._start:
            return distinct(np.concatenate([ends, self.rng.permutation(self._all()[0])]))
        if self.space.cardinality <= WHOLE:
            pool = self.rng.permutation(self._all()[0])[:POOL]
        else:
            draws = [self.space.sample_balanced_array(POOL // 5, self.rng, self._cost) for _ in range(5)]
            pool = np.concatenate(draws)
        pool = distinct(np.concatenate([ends, pool]))
        value = np.log(np.maximum(np.asarray(self._cost(pool), dtype=np.float64), 1e-12))
        size = min(self._start, len(pool))
        goals = np.linspace(value.min(), value.max(), size)
        structure = self._beliefs.structure
        features = structure.features(pool)
        plan = _Plan(structure.average(features) + 1.0)
        free = np.ones(len(pool), dtype=bool)
        for k in range(min(2, len(ends), size)):
            plan.take(k)
            free[k] = False
        for goal in goals[self.rng.permutation(np.arange(1, size - 1))]:
            gap = np.where(free, np.abs(value - goal), np.inf)
            near = gap <= max(0.5 * float(goals[1] - goals[0]), float(gap.min()))
            best = int(np.argmax(np.where(near, plan.variance, -np.inf)))
            plan.take(best)
            free[best] = False
        return pool[plan.taken]

    # ------------------------------------------------------------------ candidates
    def _all(self) -> tuple[IntArray, Features]:
        """The whole of a small space: rows (n, genes) and their features."""
        if self._everything is None:
            rows = self.space.enumerate_array()
            self._everything = rows, self._beliefs.structure.features(rows, np.float32)
        return self._everything

    def _score(self, beliefs: Beliefs, view: View) -> Scorer:
        """A view's costs and violations of the limits, in which a limit asked for with confidence has its margin."""

        def score(rows: Rows) -> tuple[FloatArray, FloatArray]:
            costs = view(rows)
            judged = costs if self._deviations is None else beliefs.bound(rows, self._deviations)
            return costs, self.violation(judged * signs(self.objectives))

        return score

    def _mean_and_hope(self, beliefs: Beliefs) -> tuple[Scorer, Scorer]:
        """By the posterior's mean, and by an optimistic bound."""
        return self._score(beliefs, beliefs.mean), self._score(beliefs, lambda rows: beliefs.bound(rows, -HOPE))

    def _candidates(self, busy: IntArray) -> tuple[IntArray, int]:
        """Promising rows that are neither told nor busy, and how many were predicted."""
        beliefs = self._beliefs.single()
        mean, hope = self._mean_and_hope(beliefs)
        if self.space.cardinality <= WHOLE:
            every = Rows(beliefs, *self._all())
            rows = self._fresh(every.rows, *mean(every), busy, 4 * SHORTLIST)
            some = Rows(beliefs, rows)
            found = [rows[: SHORTLIST // 2], self._fresh(rows, *hope(some), busy, SHORTLIST // 2)]
            return distinct(np.concatenate(found)), len(every.rows)
        best = self.rows_at(leading(self.costs(self.values), self.violation(self.values), self._population // 4))
        start = np.concatenate([best, self._elite])
        fresh = self.space.sample_balanced_array(max(2, self._population - len(start)), self.rng, self._cost)
        found, used = [], 0
        for k, view in enumerate((mean, hope)):
            rows, costs, violation = evolve(
                self.space,
                lambda rows, view=view: view(Rows(beliefs, rows)),  # type: ignore[misc]
                np.concatenate([start, fresh]),
                population=self._population,
                evaluations=max(self._population, self._evaluations // 2),
                mating=Mating(),
                rng=self.rng,
                offspring=OFFSPRING,
            )
            used += len(rows)
            found.append(self._fresh(rows, costs, violation, busy, SHORTLIST // 2))
            if k == 0:
                self._elite = rows[leading(costs, violation, self._population // 2)]
        near = distinct(np.concatenate([self.space.neighbours_array(row) for row in best[:NEIGHBOURHOODS]]))
        found.append(self._fresh(near, *mean(Rows(beliefs, near)), busy, SHORTLIST // 4))
        return distinct(np.concatenate(found)), used + len(near)

    def _fresh(self, rows: IntArray, costs: FloatArray, violation: FloatArray, busy: IntArray, n: int) -> IntArray:
        """The best n of rows that are neither told nor busy, best first."""
        new = ~self.is_known_array(rows) & ~np.isin(row_keys(rows), row_keys(busy))
        rows, costs, violation = rows[new], costs[new], violation[new]
        return rows[leading(costs, violation, n)]

    # ------------------------------------------------------------------ the batch
    def _batch(
        self, candidates: IntArray, busy: IntArray, n: int, reference: FloatArray
    ) -> tuple[list[int], list[float]]:
        """Positions of up to n candidates with the largest joint expected improvement, and each one's share of it."""
        if not len(candidates):
            return [], []
        complete = np.flatnonzero(self._complete())
        costs, violation = self.costs(self.values[complete]), self.violation(self.values[complete])
        best = leading(costs, violation, COMPARED)
        good = complete[best[rank_and_crowding(costs[best], violation[best])[0] <= 1]]
        there = np.concatenate([busy, self.rows_at(good)])
        samples = self._beliefs.samples(np.concatenate([candidates, there]), self._samples, self.rng)
        count, total, objectives = samples.shape
        violation = self.violation((samples * signs(self.objectives)).reshape(-1, objectives)).reshape(count, total)
        samples[violation > 0] = np.inf
        picks, gains = expected_batch(
            samples[:, : len(candidates)],
            samples[:, len(candidates) :],
            reference,
            n,
            self._sure(candidates),
        )
        # without an improvement: those that come nearest to meeting the limits, and of these the best predicted
        spare = np.argsort(violation[:, : len(candidates)].mean(axis=0), kind="stable")
        taken = set(picks)
        picks += [int(k) for k in spare if k not in taken][: n - len(picks)]
        return picks, gains

    def _sure(self, rows: IntArray) -> BoolArray:
        """Which rows meet the limits with the probabilities asked for; all where none is asked for."""
        if self._deviations is None or not len(rows):
            return np.ones(len(rows), dtype=bool)
        bound = self._beliefs.bound(Rows(self._beliefs, rows), self._deviations)
        return np.asarray(self.violation(bound * signs(self.objectives)) == 0)

    # ------------------------------------------------------------------ what is believed
    def predict(self, archs: Sequence[Architecture], coverage: float = 0.9) -> pd.DataFrame:
        """Beliefs about architectures, measured or not: `arch_id`, and for each objective NAME, NAME_low, NAME_high.

        Posterior medians and central intervals of the noiseless values, in natural units. Raises SearchError while
        too little has been told.
        """
        if int(self._complete().sum()) < 4:
            raise SearchError("predict() needs four complete measurements.", hint="Tell more of them first.")
        if not 0.0 < coverage < 1.0:
            raise SearchError(f"coverage={coverage!r} is not between 0 and 1.")
        self._fit()
        rows = Rows(self._beliefs, self.space.to_array(archs))
        z = NormalDist().inv_cdf(0.5 + coverage / 2)
        middle, low, high = (self._beliefs.bound(rows, d) * signs(self.objectives) for d in (0.0, -z, z))
        columns: dict[str, Any] = {"arch_id": [arch.id for arch in archs]}
        for j, objective in enumerate(self.objectives):
            columns[objective.name] = middle[:, j]
            columns[f"{objective.name}_low"] = np.minimum(low, high)[:, j]
            columns[f"{objective.name}_high"] = np.maximum(low, high)[:, j]
        return pd.DataFrame(columns)

    def _feasible(self) -> BoolArray:
        """By the values; a limit asked for with `confidence` must be met by the beliefs, too, where any meets it so."""
        met = super()._feasible()
        if self._deviations is None or int(self._complete().sum()) < 4:
            return met
        self._fit()
        sure = met & self._sure(self.rows)
        return sure if sure.any() else met

    # ------------------------------------------------------------------ state
    def _extra_state(self) -> dict[str, Any]:
        hints = [packed(a) for a in (self._hinted.compact_rows, self._hinted.values, self._hinted.noise)]
        extra = {"plan": self._plan, "round": self._round, "elite": self._elite.tolist()}
        return {**extra, "hints": hints} if len(self._hinted) else extra

    def _load_extra_state(self, extra: Mapping[str, Any]) -> None:
        self._plan, self._round = extra["plan"], int(extra["round"])
        self._elite = np.array(extra["elite"], dtype=np.int64).reshape(-1, len(self.space.choices))
        self._hinted = Archive(self.space.sizes, len(self.objectives))
        if "hints" in extra:
            rows, values, noise = map(unpacked, extra["hints"])
            self._hinted.put(self._checked(rows), *self._with_noise(values, noise, len(rows)))


def _filled(values: FloatArray, noise: FloatArray, hints: Archive, places: IntArray) -> tuple[FloatArray, FloatArray]:
    """Values and noise (n, m), with those of the hints at `places` (n,) where there is no value."""
    blank = np.isnan(values)
    return np.where(blank, hints.values[places], values), np.where(blank, hints.noise[places], noise)


class _Plan:
    """Choosing by prior variance given what has been chosen; kernel (k, k)."""

    def __init__(self, kernel: FloatArray) -> None:
        self._kernel = kernel
        self._seen = np.empty((len(kernel), 0))
        self.variance = np.diag(kernel).copy()
        self.taken: list[int] = []

    def take(self, k: int) -> None:
        column = self._kernel[:, k] - self._seen @ self._seen[k]
        column /= math.sqrt(self.variance[k] + PLANNED_NOISE)
        self._seen = np.column_stack([self._seen, column])
        self.variance = self.variance - column**2
        self.taken.append(k)
