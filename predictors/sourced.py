"""Latency predictor of a device on which little has been measured, with what other devices are known to do; one that can be saved."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike
from sklearn.model_selection import KFold

from predictors._typing import FloatArray
from predictors.base import register
from predictors.left_out import LatencyPredictor
from predictors.schema import Schema
from predictors.sources import Source
from predictors.transfer import DeviceTransferPredictor

#: folds by which it is judged whether sources help
FOLDS = 5
#: sets of sources of which is remembered what was learnt from them: it takes a second each, and devices share them
REMEMBERED = 4
_LEARNT: dict[str, DeviceTransferPredictor] = {}


@register
class SourcedPredictor(LatencyPredictor):
    """A `DeviceTransferPredictor` as an estimator that `save` and `load` handle; the sources are saved with it.

    Intervals are those of the hypotheses. Refused is what `DeviceTransferPredictor` refuses, and below five rows.

    Parameters
    ----------
    schema : Schema, optional
        What the columns say; default: each is a fact.
    sources : mapping of str to (X, y), optional
        By name of the device, its encoded architectures (n, columns) and their latencies (n,).
    seed : int
        Of the folds.

    Attributes
    ----------
    shares_ : dict of str to float
        Name of a hypothesis to its probability.
    trusted_ : str
        What was trusted, in a clause.
    oof_predictions_ : ndarray (n,)
        Predictions of the rows left out in folds.
    residuals_ : ndarray (n,)
        Their residuals, in logarithms.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(1.0, 2.0, (60, 2))
    >>> model = SourcedPredictor(sources={"old": (X, X[:, 0] + X[:, 1])}).fit(X[:8], 3.0 * (X[:8, 0] + X[:8, 1]))
    >>> model.predict([[1.5, 1.5]]).round(1).tolist()
    [9.0]
    """

    minimum_rows: ClassVar[int] = FOLDS
    _learned: ClassVar[tuple[str, ...]] = (
        "rows_", "target_", "given_noise_", "shares_", "trusted_", "oof_predictions_", "residuals_",
    )  # fmt: skip

    shares_: dict[str, float]
    trusted_: str

    def __init__(
        self,
        schema: Schema | None = None,
        sources: Mapping[str, tuple[ArrayLike, ArrayLike]] | None = None,
        seed: int = 0,
    ) -> None:
        self.schema = schema
        self.sources = sources
        self.seed = seed

    def _learn(self, X: FloatArray, y: FloatArray, noise: FloatArray) -> None:
        self.rows_, self.target_, self.given_noise_ = X, y, noise
        model = self._model_of(X.shape[1])
        whole = model.with_sources(X)
        self.oof_predictions_ = np.empty(len(y))
        for inside, outside in KFold(FOLDS, shuffle=True, random_state=self.seed).split(X):
            model.fit_with_sources(whole[inside], y[inside], noise[inside])
            self.oof_predictions_[outside] = model.predict_with_sources(whole[outside])
        self.residuals_ = np.log(y) - np.log(self.oof_predictions_)
        # without sources a kernel is scaled on the rows of its first fit, so that of the folds is not the one for all rows
        self._model = self._model_of(X.shape[1]).fit_with_sources(whole, y, noise)
        self.shares_, self.trusted_ = self._model.shares_, self._model.explain()

    def _model_of(self, columns: int) -> DeviceTransferPredictor:
        schema = Schema.of_facts(columns) if self.schema is None else self.schema
        sources = {
            name: Source(np.asarray(source[0], dtype=np.float64), np.asarray(source[1], dtype=np.float64))
            for name, source in (self.sources or {}).items()
        }
        return _learnt(schema, sources)

    def _restore(self) -> None:
        self._model = self._model_of(self.rows_.shape[1]).fit(self.rows_, self.target_, self.given_noise_)

    # ------------------------------------------------------------------ predictions
    def _mean(self, X: FloatArray) -> FloatArray:
        return np.log(self._model.predict(X))

    def _mean_std(self, X: FloatArray) -> tuple[FloatArray, FloatArray]:
        mean, variance, _ = self._model._posterior(self._model.with_sources(X))
        return mean, np.sqrt(variance)

    def _interval(self, X: FloatArray, coverage: float) -> tuple[FloatArray, FloatArray]:
        return self._model.predict_interval(X, coverage)


def _learnt(schema: Schema, sources: Mapping[str, Source]) -> DeviceTransferPredictor:
    """Make a predictor that is not fitted; what is learnt from the same sources again is what was learnt before."""
    key = hashlib.sha256(schema.digest.encode())
    for name, source in sources.items():
        for part in (name.encode(), repr(source.X.shape).encode(), source.X.tobytes(), source.y.tobytes()):
            key.update(part)
    found = _LEARNT.pop(key.hexdigest(), None) or DeviceTransferPredictor(schema, sources)
    _LEARNT[key.hexdigest()] = found
    while len(_LEARNT) > REMEMBERED:
        del _LEARNT[next(iter(_LEARNT))]
    return copy.copy(found)


def no_worse(with_sources: FloatArray, without: FloatArray, y: FloatArray) -> bool:
    """Tell whether predictions with sources are no worse than those without, by the rows left out.

    Parameters
    ----------
    with_sources, without : ndarray (n,)
        Predictions of rows left out.
    y : ndarray (n,)
        Their latencies, positive.

    Returns
    -------
    bool
        By the mean absolute error relative to the latency.

    Examples
    --------
    >>> no_worse(np.array([1.1, 2.0]), np.array([1.2, 2.0]), np.array([1.0, 2.0]))
    True
    """
    with np.errstate(over="ignore", invalid="ignore"):
        errors = [float(np.abs(found / y - 1.0).mean()) for found in (with_sources, without)]
    return not np.isfinite(errors[1]) or bool(np.isfinite(errors[0]) and errors[0] <= errors[1])
