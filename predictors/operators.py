"""Predict latencies with what single operators take on the device as the first guess."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from predictors._typing import FloatArray
from predictors.base import register
from predictors.errors import PredictorError
from predictors.fidelity import Fidelity, FidelityPredictor
from predictors.left_out import LeftOutScores
from predictors.schema import OPERATOR, Column, Schema

#: a class of operators with a smaller share of the time, in the mean, is no column
SHARE = 0.01
#: names of the column of sums and of the kind of those of classes
SUM, CLASS = "sum", "classes"


@register
class OperatorPredictor(LeftOutScores, FidelityPredictor):
    """Gaussian process of latencies whose columns are also the sum of the operators of an architecture, and what classes of them take.

    The logarithm of the sum is a column whose part of the kernel has a large prior weight, so that few measured networks suffice; it has
    a curved part, too, for what does not grow with the sum. The shares of classes of operators in the sum are further columns: which class takes longer in whole
    networks than by itself. What is left, fusion, caches and launches, is learnt of genes and facts. Sums are known of architectures whose operators were
    counted; those of others are predicted by a process that learns them (see `FidelityPredictor`), whose uncertainty widens intervals.

    Parameters
    ----------
    schema : Schema, optional
        What the columns of X say; default: each is a fact.
    rows : array-like (k, columns)
        Encoded architectures whose operators were counted.
    times : mapping of str to array-like (k,)
        What the operators of each class take in these, in the unit of the latencies; the sum over classes is positive.
    warp, noise, prior, interval_folds, seed
        As of `GaussianProcessPredictor`; the prior of ``operator sum`` is 1.

    Attributes
    ----------
    operators_ : dict of str to float
        Share of the variance that the sum and the shares of classes explain.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(1.0, 2.0, (60, 3))
    >>> times = {"conv": X[:, 0] * X[:, 1], "add": 0.1 * X[:, 2]}
    >>> latency = 1.0 + 1.2 * sum(times.values())
    >>> model = OperatorPredictor(rows=X, times=times).fit(X[:8], latency[:8])
    >>> bool(abs(model.predict(X) / latency - 1).mean() < 0.02)
    True
    """

    def __init__(
        self,
        schema: Schema | None = None,
        rows: ArrayLike | None = None,
        times: Mapping[str, ArrayLike] | None = None,
        warp: Literal["auto", "plain", "log"] = "auto",
        noise: Literal["learned", "scaled", "given"] = "learned",
        prior: Mapping[str, float] | None = None,
        interval_folds: int = 5,
        seed: int = 0,
    ) -> None:
        super().__init__(schema, None, warp, noise, prior, interval_folds, seed)
        self.rows = rows
        self.times = times

    def _given(self) -> Mapping[str, Fidelity]:
        if self.rows is None or not self.times:
            return {}
        each = {str(name): np.asarray(ms, dtype=np.float64) for name, ms in self.times.items()}
        shapes = {ms.shape for ms in each.values()} | {(len(np.asarray(self.rows)),)}
        if len(shapes) > 1:
            raise PredictorError(
                f"times of operators have the shapes {sorted(shapes)}.", hint="Give a time a row of each class."
            )
        total = np.sum(list(each.values()), axis=0)
        if not (np.isfinite(total).all() and total.min(initial=np.inf) > 0):
            raise PredictorError(
                f"the sum of an architecture's operators is {total[~(total > 0)][0] if (~(total > 0)).any() else np.inf:g}.",
                hint="Times are finite, and their sums positive.",
            )
        shares = {name: ms / total for name, ms in each.items()}
        kept = {n: s for n, s in shares.items() if s.mean() >= SHARE and np.ptp(s) > 1e-6 and len(shares) > 1}
        return {SUM: (self.rows, total)} | {f"{CLASS} {name}": (self.rows, s) for name, s in kept.items()}

    def _shown(self, k: int, values: FloatArray, variances: FloatArray) -> tuple[FloatArray, FloatArray]:
        if k:
            return values, variances
        some = np.maximum(values, np.min(self._tables[SUM][1]) / 2)  # a predicted sum may be below all that were seen
        return np.log(some), variances / some**2

    def _added(self, name: str) -> Column:
        return Column(f"{OPERATOR} {name}", OPERATOR, SUM if name == SUM else CLASS)

    def _centre(self, names: list[str]) -> FloatArray:
        centre = super()._centre(names)
        if f"{OPERATOR} {SUM}" in names and f"{OPERATOR} {SUM}" not in (self.prior or {}):
            centre[names.index(f"{OPERATOR} {SUM}")] = 0.0
        return centre

    def _worthless(self) -> list[str]:
        return []

    @property
    def operators_(self) -> dict[str, float]:
        """Share of the variance that the sum and the shares of classes explain."""
        found = {kind: f"{OPERATOR} {kind}" for kind in (SUM, CLASS)}
        return {k: self.parts_.get(p, 0.0) + self.parts_.get(f"{p} curved", 0.0) for k, p in found.items()}
