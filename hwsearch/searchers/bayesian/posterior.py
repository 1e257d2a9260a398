"""What is believed of all objectives of architectures after some were measured: a process each, on shared features."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy

import numpy as np

from hwsearch._typing import BoolArray, FloatArray, IntArray
from hwsearch.errors import SearchError, nearest
from hwsearch.objectives.objective import Objective, signs
from hwsearch.searchers.base import RowFunction
from hwsearch.searchers.bayesian.process import Process
from hwsearch.searchers.bayesian.structure import Features, Structure
from hwsearch.searchers.evolutionary.evolution import leading

#: k architectures to their costs (k, m)
View = Callable[["Rows"], FloatArray]


class Rows:
    """Architectures (k, genes) with their features, and their curved kernels with what was measured, computed once."""

    def __init__(self, beliefs: Beliefs, rows: IntArray, features: Features | None = None) -> None:
        self.rows = rows
        self.features = beliefs.structure.features(rows, beliefs.precision) if features is None else features
        self.curves = beliefs.structure.curves(self.features, beliefs.measured)

    def with_measured(self, there: IntArray) -> FloatArray:
        """The curved kernels with those of the measured rows at positions `there`, which ascend."""
        return self.curves if len(there) == self.curves.shape[2] else self.curves[:, :, there]


class Beliefs:
    """Posteriors of the objectives, as costs (smaller is better), from at most `most` complete measurements.

    exact : objective name to a function of rows; these are computed and known

    Where more has been measured, the best are learnt from: by non-domination rank, then crowding. As many incomplete ones and
    as many again, the last ones, are taken into account, without finding the kernel's weights anew from more than `most`.
    Raises SearchError when `exact` names no objective.
    """

    def __init__(
        self, structure: Structure, objectives: Sequence[Objective], exact: Mapping[str, RowFunction], most: int
    ) -> None:
        names = [o.name for o in objectives]
        for name in exact:
            if name not in names:
                raise SearchError(f"'exact' names {name!r}, which is not an objective.", hint=nearest(name, names))
        self.structure = structure
        self.precision: type[np.floating] = np.float64
        self.measured: Features = {}
        self._sign = signs(objectives)
        self._exact = [exact.get(o.name) for o in objectives]
        self._most = most
        self._models: list[tuple[Process, IntArray] | None] = []

    def fit(self, rows: IntArray, values: FloatArray, noise: FloatArray, violation: FloatArray) -> None:
        """Rows (n, genes); values and noise (n, m), NaN where a measurement failed or its noise is unknown; (n,)."""
        costs = values * self._sign
        lacking = np.asarray(np.isnan(costs).any(axis=1))
        kept, parts = np.flatnonzero(~lacking), np.flatnonzero(lacking & ~np.isnan(costs).all(axis=1))
        if len(kept) > self._most:
            kept = kept[leading(costs[kept], violation[kept], self._most)]
        kept = np.sort(np.concatenate([kept, parts[-2 * self._most :]]))
        self.measured = self.structure.features(rows[kept])
        stack = self.structure.stack(self.measured, self.measured)
        self._models = []
        for j, exact in enumerate(self._exact):
            if exact is not None:
                self._models.append(None)
                continue
            there = np.flatnonzero(~np.isnan(costs[kept, j]))
            process = Process(self.structure)
            features = {name: block[there] for name, block in self.measured.items()}
            known = np.nan_to_num(noise[kept[there], j])
            process.fit(
                features,
                stack[np.ix_(np.arange(len(stack)), there, there)],
                costs[kept[there], j],
                known,
                self._learnt(lacking[kept[there]]),
            )
            self._models.append((process, there))

    def _learnt(self, lacking: BoolArray) -> IntArray | None:
        """Positions of at most `most` rows to find weights from: the complete ones, and of the others evenly; None: all."""
        if len(lacking) <= self._most:
            return None
        whole, parts = np.flatnonzero(~lacking), np.flatnonzero(lacking)
        room = self._most - len(whole)
        return np.sort(np.concatenate([whole, parts[np.linspace(0, len(parts) - 1, room).astype(np.int64)]]))

    def single(self) -> Beliefs:
        """The same beliefs in single precision, for views of many; see `Process.single`."""
        out = copy(self)
        out.precision = np.float32
        out.measured = {name: block.astype(np.float32) for name, block in self.measured.items()}
        out._models = [None if model is None else (model[0].single(), model[1]) for model in self._models]
        return out

    def _columns(self, rows: IntArray, fill: Callable[[int, Process, IntArray], FloatArray]) -> FloatArray:
        """Costs (k, m), or (draws, k, m): exact ones computed, others by `fill` of its number, process and measured rows."""
        columns = []
        for j, (exact, model) in enumerate(zip(self._exact, self._models, strict=True)):
            if model is None:
                assert exact is not None
                columns.append(np.asarray(exact(rows), dtype=np.float64) * self._sign[j])
            else:
                columns.append(fill(j, *model))
        return np.stack(np.broadcast_arrays(*columns), axis=-1)

    # ------------------------------------------------------------------ views
    def mean(self, rows: Rows) -> FloatArray:
        """Posterior means (k, m), of the warped quantity and back."""
        return self._columns(rows.rows, lambda j, p, there: p.natural(p.mean(rows.features, rows.with_measured(there))))

    def bound(self, rows: Rows, deviations: float | FloatArray) -> FloatArray:
        """Costs (k, m) that lie so many posterior deviations, one number or one an objective, above the mean."""
        steps = dict(enumerate(np.broadcast_to(deviations, len(self._models)).tolist()))
        return self._columns(
            rows.rows, lambda j, p, there: p.natural(p.bound(rows.features, rows.with_measured(there), steps[j]))
        )

    def samples(self, rows: IntArray, count: int, rng: np.random.Generator) -> FloatArray:
        """Joint posterior samples (count, k, m) of costs."""
        every = Rows(self, rows)

        def fill(j: int, p: Process, there: IntArray) -> FloatArray:
            mean, covariance = p.joint(every.features, every.with_measured(there))
            return p.natural(mean + rng.standard_normal((count, len(rows))) @ _root(covariance).T)

        return self._columns(rows, fill)


def _root(covariance: FloatArray) -> FloatArray:
    """A Cholesky factor, with as much added to the diagonal as it takes."""
    jitter = 1e-8 * (1.0 + float(np.diag(covariance).max(initial=0.0)))
    while True:
        try:
            return np.asarray(np.linalg.cholesky(covariance + jitter * np.eye(len(covariance))))
        except np.linalg.LinAlgError:
            jitter *= 10.0
