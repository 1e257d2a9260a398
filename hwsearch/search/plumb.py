"""The default tactic, PLUMB: a Gaussian process an objective, and batches by their joint hypervolume improvement."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

import numpy as np

from hwsearch.errors import SearchError
from hwsearch.front import cost_hypervolume, reference_point
from hwsearch.objective import Objective, signs
from hwsearch.search.base import BoolArray, FloatArray, IntArray, RowFunction, Searcher
from hwsearch.search.evolution import Mating, evolve, rank_and_crowding, row_keys
from hwsearch.search.gain import improvements
from hwsearch.search.process import Process
from hwsearch.search.structure import Structure
from hwsearch.spaces import SearchSpace

Features = Callable[[IntArray], FloatArray]
#: spaces up to this size are predicted whole
WHOLE = 20_000
#: at most so many measurements are learnt from
MOST = 400


class PlumbSearcher(Searcher):
    name: ClassVar[str] = "plumb"

    def __init__(
        self,
        space: SearchSpace,
        objectives: Iterable[Objective | str],
        seed: int = 0,
        *,
        features: Features | None = None,
        cost: RowFunction | None = None,
        exact: Mapping[str, RowFunction] | None = None,
        start: int = 20,
        inner_evaluations: int = 20_000,
        population: int = 200,
        draws: int = 64,
        views: int = 4,
        optimism: float = 1.0,
        shortlist: int = 400,
        design: str = "spread",
        explore: str = "0",
    ) -> None:
        super().__init__(space, objectives, seed, start=start, inner_evaluations=inner_evaluations, population=population)
        self._start, self._evaluations, self._population = start, inner_evaluations, population
        self._draws, self._views, self._optimism, self._short, self._design = draws, views, optimism, shortlist, design
        self._explore = eval("lambda n:" + explore)
        self._cost = cost or (lambda rows: self.space.encode_array(rows, "ordinal").sum(axis=1))
        self._exact = dict(exact or {})
        sample = space.sample_balanced_array(256, np.random.default_rng(0), self._cost)
        if space.cardinality <= WHOLE:
            sample = np.unique(np.concatenate([sample, space.sample_array(256, np.random.default_rng(0))]), axis=0)
        self._structure = Structure(space, sample, features)
        self._plan = None
        self._round = 0
        self._elite = np.empty((0, len(space.choices)), dtype=np.int64)
        self._whole = None
        self.clock = dict.fromkeys(("fit", "candidates", "choose"), 0.0)

    # ------------------------------------------------------------------ ask
    def _propose(self, n):
        if self._plan is None:
            missing = max(0, self._start - int(self._complete().sum()))
            self._plan = self._first_sample(self._start)[:missing].tolist()
        known = {tuple(row) for row in np.concatenate([self.rows, self.pending_rows]).tolist()}
        self._plan = [row for row in self._plan if tuple(row) not in known]
        first = np.array(self._plan[:n], dtype=np.int64).reshape(-1, len(self.space.choices))
        self._plan = self._plan[n:]
        if len(first) == n or not self._ready():
            self.info = {"round": 0, "told": len(self._told)}
            more = self.space.sample_balanced_array(n - len(first), self.rng, self._cost) if len(first) < n else first[:0]
            return np.concatenate([first, more])
        return np.concatenate([first, self._chosen(n - len(first), first)])

    def _complete(self):
        return ~np.isnan(self.values).any(axis=1)

    def _ready(self):
        return int(self._complete().sum()) >= max(4, min(self._start // 2, self.space.cardinality // 2))

    def _first_sample(self, n: int) -> IntArray:
        if self._design == "balanced" or n <= 2:
            return self.space.sample_balanced_array(n, self.rng, self._cost)
        if self.space.cardinality <= WHOLE:
            pool = np.concatenate([self.space.sample_balanced_array(2, self.rng, self._cost), self.rng.permutation(self._everything())[:1500]])
        else:
            pool = np.concatenate([self.space.sample_balanced_array(300, self.rng, self._cost) for _ in range(5)])
        pool = pool[np.sort(np.unique(row_keys(pool), return_index=True)[1])]
        return pool[self._spread_out(pool, n)]

    def _spread_out(self, pool, n):
        value = np.log(np.maximum(np.asarray(self._cost(pool), dtype=np.float64), 1e-12))
        goals = np.linspace(value.min(), value.max(), n)
        step = goals[1] - goals[0] if n > 1 else 1.0
        f = self._structure.features(pool)
        K = self._structure.stack(f, f).mean(axis=0) + 1.0
        var, C, chosen = np.diag(K).copy(), np.zeros((len(pool), 0)), []
        def add(j):
            nonlocal C, var
            c = (K[:, j] - C @ C[j]) / math.sqrt(max(var[j] + 0.02, 1e-9))
            C = np.column_stack([C, c]); var = var - c**2
            chosen.append(int(j))
        ends = self.space.sample_balanced_array(2, self.rng, self._cost)
        for e in ends:
            add(int(np.flatnonzero((pool == e).all(axis=1))[0]))
        for g in self.rng.permutation(np.arange(1, n - 1)):
            near = np.abs(value - goals[g]) <= 0.5 * step
            near[chosen] = False
            if not near.any():
                near = np.ones(len(pool), bool); near[chosen] = False
                if not near.any(): break
                near &= np.abs(value - goals[g]) <= np.abs(value - goals[g])[near].min() + 1e-9
            add(int(np.argmax(np.where(near, var, -np.inf))))
        return chosen

    # ------------------------------------------------------------------ model
    def _fit(self):
        rows, values = self.rows, self.values
        kept = np.flatnonzero(~np.isnan(values).all(axis=1))
        if len(kept) > MOST:
            rank, crowd = rank_and_crowding(self.costs(values[kept]), self.violation(values[kept]))
            kept = np.sort(kept[np.lexsort((-crowd, rank))[:MOST]])
        self._measured = self._structure.features(rows[kept])
        stack = self._structure.stack(self._measured, self._measured)
        costs = self.costs(values[kept])
        self._models = []
        for j, o in enumerate(self.objectives):
            if o.name in self._exact:
                self._models.append(None); continue
            there = np.flatnonzero(~np.isnan(costs[:, j]))
            p = Process(self._structure)
            p.fit({k: v[there] for k, v in self._measured.items()}, stack[:, there][:, :, there], costs[there, j], np.zeros(len(there)))
            self._models.append((p, there))

    def _score(self, functions):
        """functions: one an objective, of (features, curves) to standardised."""
        sign = signs(self.objectives)
        def score(rows):
            f = self._whole_features if rows is self._whole else self._structure.features(rows)
            curves = self._structure.curves(f, self._measured)
            out = np.empty((len(rows), len(self.objectives)))
            for j, (o, m) in enumerate(zip(self.objectives, self._models)):
                if m is None:
                    out[:, j] = self._exact[o.name](rows) * sign[j]; continue
                p, there = m
                cv = curves if len(there) == curves[0].shape[1] else [c[:, there] for c in curves]
                out[:, j] = p.natural(functions[j](f, cv))
            return out, self.violation(out * sign)
        return score

    def _optimistic(self, rows):
        f = self._structure.features(rows)
        stack = self._structure.stack(f, self._measured)
        diag = self._structure.diagonal(f)
        sign = signs(self.objectives)
        out = np.empty((len(rows), len(self.objectives)))
        for j, (o, m) in enumerate(zip(self.objectives, self._models)):
            if m is None:
                out[:, j] = self._exact[o.name](rows) * sign[j]; continue
            p, there = m
            cross = p.cross(stack[:, :, there])
            out[:, j] = p.natural(cross @ p.alpha - self._optimism * p.deviation(cross, diag))
        return out, self.violation(out * sign)

    def _everything(self):
        if self._whole is None:
            self._whole = self.space.enumerate_array()
            self._whole_features = self._structure.features(self._whole)
        return self._whole

    # ------------------------------------------------------------------ candidates
    def _best(self, rows, costs, violation, known, n):
        fresh = ~np.isin(row_keys(rows), known)
        rows, costs, violation = rows[fresh], costs[fresh], violation[fresh]
        rank, crowding = rank_and_crowding(costs, violation, n)
        return rows[np.lexsort((-crowding, rank))[:n]]

    def _candidates(self, known, view_count):
        means = [None if m is None else m[0].mean for m in self._models]
        views = [self._score(means)]
        for _ in range(view_count):
            fs = [None if m is None else m[0].draw(self.rng) for m in self._models]
            views.append(self._score(fs))
        found, used = [], 0
        each = self._short // 2
        if self.space.cardinality <= WHOLE:
            rows = self._everything()
            c, v = views[0](rows); used += len(rows)
            pool = self._best(rows, c, v, known, 2000)
            found.append(pool[: self._short // 2])
            c, v = self._optimistic(pool); used += len(pool)
            found.append(self._best(pool, c, v, known, self._short // 2))
        else:
            values = self.values
            rank, crowding = rank_and_crowding(self.costs(values), self.violation(values))
            top = self.rows[np.lexsort((-crowding, rank))[: self._population // 4]]
            budget = [self._evaluations // 2] + [self._evaluations // (2 * max(1, view_count))] * view_count
            elite = np.concatenate([top, self._elite[: self._population // 2]])
            if self._optimism and not view_count:
                views.append(self._optimistic)
                budget = [self._evaluations // 2] * 2
            for k, (view, b) in enumerate(zip(views, budget)):
                fresh = self.space.sample_balanced_array(max(4, self._population - len(elite)), self.rng, self._cost)
                r, c, v = evolve(self.space, view, np.concatenate([elite, fresh]), population=self._population, evaluations=b, mating=Mating(), rng=self.rng)
                used += len(r)
                best = self._best(r, c, v, known, each)
                found.append(best)
                if k == 0:
                    rank, crowding = rank_and_crowding(c, v, self._population)
                    self._elite = r[np.lexsort((-crowding, rank))[: self._population // 2]]
        rows = np.concatenate(found)
        return rows[np.sort(np.unique(row_keys(rows), return_index=True)[1])], used

    def _chosen(self, n, also):
        self._round += 1
        t0 = time.process_time()
        self._fit()
        t1 = time.process_time(); self.clock["fit"] += t1 - t0
        busy = np.concatenate([self.pending_rows, also])
        known = row_keys(np.concatenate([self.rows, busy]))
        cand, used = self._candidates(known, self._views)
        t2 = time.process_time(); self.clock["candidates"] += t2 - t1
        values = self.values
        reference = self._reference(values)
        complete = np.flatnonzero(self._complete())
        rank = rank_and_crowding(self.costs(values[complete]), self.violation(values[complete]))[0]
        good = complete[rank <= 1][:150]
        there = np.concatenate([busy, self.rows[good]])
        every = np.concatenate([cand, there])
        D = self._samples(every)  # (S, E, m) costs
        S, E, m = D.shape
        viol = self.violation((D * signs(self.objectives)).reshape(-1, m)).reshape(S, E)
        D[viol > 0] = np.inf
        nc = len(cand)
        fronts = [D[s, nc:] for s in range(S)]
        picks, gains = [], []
        free = np.ones(nc, bool)
        e = self._explore(len(self._told)) * n
        e = int(e) + (self.rng.random() < e - int(e))
        if e:
            picks = self._informative(cand, e)
            free[picks] = False
            for k in picks:
                for s in range(S):
                    fronts[s] = np.concatenate([fronts[s], D[s, k : k + 1]])
        for _ in range(min(n - len(picks), nc)):
            gain = sum(improvements(fronts[s], D[s, :nc], reference) for s in range(S)) / S
            gain[~free] = -1
            k = int(np.argmax(gain))
            free[k] = False
            picks.append(k); gains.append(float(gain[k]))
            for s in range(S):
                fronts[s] = np.concatenate([fronts[s], D[s, k : k + 1]])
        self.clock["choose"] += time.process_time() - t2
        volume = cost_hypervolume(self.costs(values[complete]), reference)
        self.info = {"round": self._round, "told": len(self._told), "inner_evaluations": used, "inner_cpu_seconds": t2 - t1,
                     "expected_gain": sum(gains) / volume if volume > 0 else None}
        return cand[picks]

    def _informative(self, rows, n):
        f = self._structure.features(rows)
        stack = self._structure.stack(f, self._measured)
        own = self._structure.stack(f, f)
        covs = []
        for j, (o, m) in enumerate(zip(self.objectives, self._models)):
            if m is None: continue
            p, there = m
            _, cov = p.joint(p.cross(stack[:, :, there]), np.tensordot(p.weights, own, 1))
            covs.append([cov, p.noise + 1e-6])
        picks = []
        norm = [np.trace(c) for c, _ in covs]
        for _ in range(n):
            score = sum((c**2).sum(0) / (np.diag(c) + nz) / t for (c, nz), t in zip(covs, norm))
            score[picks] = -1
            k = int(np.argmax(score)); picks.append(k)
            for q in covs:
                c, nz = q
                q[0] = c - np.outer(c[:, k], c[:, k]) / (c[k, k] + nz)
        return picks

    def _samples(self, rows):
        f = self._structure.features(rows)
        stack = self._structure.stack(f, self._measured)
        own = self._structure.stack(f, f)
        sign = signs(self.objectives)
        out = np.empty((self._draws, len(rows), len(self.objectives)))
        for j, (o, m) in enumerate(zip(self.objectives, self._models)):
            if m is None:
                out[:, :, j] = self._exact[o.name](rows) * sign[j]; continue
            p, there = m
            mean, cov = p.joint(p.cross(stack[:, :, there]), np.tensordot(p.weights, own, 1))
            jitter = 1e-7
            while True:
                try:
                    root = np.linalg.cholesky(cov + jitter * np.eye(len(cov))); break
                except np.linalg.LinAlgError:
                    jitter *= 10
            out[:, :, j] = p.natural(mean + self.rng.standard_normal((self._draws, len(rows))) @ root.T)
        return out

    def _reference(self, values, margin=0.05):
        point = self.costs(reference_point(values, self.objectives, margin)[None, :])[0]
        costs = self.costs(values)
        for j, objective in enumerate(self.objectives):
            if objective.limit is not None and (objective.limit.op == "<=") == (objective.direction == "min"):
                edge = objective.sign * objective.limit.value
                point[j] = min(point[j], edge + margin * max(edge - np.nanmin(costs[:, j]), abs(edge) * margin))
        return point

    def _extra_state(self):
        return {"plan": self._plan, "round": self._round, "elite": self._elite.tolist()}

    def _load_extra_state(self, extra):
        self._plan, self._round = extra["plan"], int(extra["round"])
        self._elite = np.array(extra["elite"], dtype=np.int64).reshape(-1, len(self.space.choices))
