"""Predict latencies of a device at one batch and number of threads with those that it has at others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from predictors._typing import FloatArray
from predictors.base import register
from predictors.errors import PredictorError
from predictors.gp import GaussianProcessPredictor
from predictors.left_out import LatencyPredictor
from predictors.rows import evenly, known_noise
from predictors.schema import DEVICE, Column, Schema

#: latencies at one of the other settings: architectures (n, columns), latencies (n,), deviations (n,) or None, and the setting's values
Setting = Sequence[ArrayLike | None]
#: rows of another setting that are learnt from, at most
MOST = 200
#: folds in which rows are left out
FOLDS = 5


@register
class SettingsPredictor(LatencyPredictor):
    """Gaussian process of all settings of a device: latencies at other batches and numbers of threads are further rows.

    The settings are columns of their own: the level of latencies is a function of them, and effects of facts and of values of genes
    vary with them, alike at near settings (a product of kernels; Bonilla, Chai and Williams 2007, "Multi-task Gaussian process
    prediction"), while all other parts are common. What is predicted are latencies at the setting of the rows of the fit.

    Rows are left out with the rows of the same architecture at other settings: what is predicted has been measured at none. Intervals
    are those of the process, with the errors of these rows (`GaussianProcessPredictor.interval_factor`). Refused are latencies that are
    not positive, below five rows, and settings or rows of others that do not fit.

    Parameters
    ----------
    schema : Schema, optional
        What the columns of X say; default: each is a fact.
    setting : sequence of float
        Batch and threads of the rows of the fit, or other positive numbers.
    others : mapping of str to (X, y, noise, setting)
        By a name, latencies at other settings; the noise may be None.
    seed : int
        Of the folds.

    Attributes
    ----------
    shared_ : float
        Share of the variance over architectures, without noise, that is common to all settings; the rest is that of parts which vary with them.
    oof_predictions_ : ndarray (n,)
        Predictions of the rows left out in folds.
    residuals_ : ndarray (n,)
        Their residuals, in logarithms.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(1.0, 2.0, (60, 4))
    >>> one, four = X.sum(axis=1), 1.0 + 3.0 * X.sum(axis=1)
    >>> model = SettingsPredictor(setting=(1, 1), others={"four": (X[8:], four[8:], None, (4, 1))}).fit(X[:8], one[:8])
    >>> bool(abs(model.predict(X) / one - 1).mean() < 0.02)
    True
    """

    minimum_rows: ClassVar[int] = FOLDS
    _learned: ClassVar[tuple[str, ...]] = (
        "rows_", "target_", "given_noise_", "model_", "oof_predictions_", "residuals_",
    )  # fmt: skip

    model_: GaussianProcessPredictor

    def __init__(
        self,
        schema: Schema | None = None,
        setting: Sequence[float] = (1, 1),
        others: Mapping[str, Setting] | None = None,
        seed: int = 0,
    ) -> None:
        self.schema = schema
        self.setting = setting
        self.others = others
        self.seed = seed

    def _learn(self, X: FloatArray, y: FloatArray, noise: FloatArray) -> None:
        self.rows_, self.target_, self.given_noise_ = X, y, noise
        rows, latencies, deviations = [self._with_setting(X, self.setting)], [y], [noise]
        level = float(np.exp(np.log(y).mean()))
        for name, given in (self.others or {}).items():
            other, values, known, setting = self._checked_other(name, given, X.shape[1])
            some = evenly(values, MOST)
            rows.append(self._with_setting(other[some], setting))
            # levels of settings differ more than architectures do, and are told by as many rows: none of the variance is left to them
            ratio = np.exp(np.log(values).mean()) / level
            latencies.append(values[some] / ratio)
            deviations.append(known[some] / ratio)
        base = Schema.of_facts(X.shape[1]) if self.schema is None else self.schema
        names = [f"device setting {k}" for k in range(len(self.setting))]
        schema = Schema((*base.columns, *(Column(name, DEVICE) for name in names)))
        model = GaussianProcessPredictor(schema, warp="log", noise="scaled", interval_folds=0, seed=self.seed)
        self.model_ = model.fit(np.concatenate(rows), np.concatenate(latencies), np.concatenate(deviations))
        group = np.random.default_rng(self.seed).permutation(len(y)) % FOLDS
        self.oof_predictions_, errors = self._without(group)
        self.model_.left_out_ = np.sort(errors)
        self.residuals_ = np.log(y / self.oof_predictions_)

    def left_out(self, group: NDArray[np.intp]) -> FloatArray:
        """Predict each row of the fit from the architectures of other groups, at any setting.

        Parameters
        ----------
        group : ndarray of int (n,)
            The group of each row.

        Returns
        -------
        ndarray (n,)
            In the unit of y.
        """
        return self._without(group)[0]

    def _without(self, group: NDArray[np.intp]) -> tuple[FloatArray, FloatArray]:
        """Predictions (n,) of rows left out with their architectures, and their errors in deviations."""
        n, columns = len(group), self.rows_.shape[1]
        keys = [row.tobytes() for row in self.model_.rows_[:, :columns] + 0.0]
        own = dict(zip(keys[:n], group.tolist(), strict=True))
        spare = (np.arange(len(keys)) % (int(group.max()) + 1)).tolist()
        every = np.array([own.get(key, other) for key, other in zip(keys, spare, strict=True)])
        every[:n] = group
        predictions, errors = self.model_.left_out_with_errors(every)
        return predictions[:n], errors[:n]

    def _checked_other(
        self, name: str, given: Setting, columns: int
    ) -> tuple[FloatArray, FloatArray, FloatArray, Sequence[float]]:
        if not isinstance(given, list | tuple) or len(given) != 4:
            raise PredictorError(f"setting {name!r} is not (X, y, noise, setting).")
        X, y = (np.asarray(a, dtype=np.float64) for a in given[:2])
        if X.ndim != 2 or X.shape[1] != columns or y.shape != (len(X),) or not len(y):
            raise PredictorError(
                f"setting {name!r} has shapes {X.shape} and {y.shape}, but X has {columns} columns.",
                hint="Give rows of the same columns, and a latency for each.",
            )
        if not (np.isfinite(X).all() and np.isfinite(y).all() and y.min() > 0):
            raise PredictorError(
                f"setting {name!r} has values that are not finite, or latencies that are not positive.",
                hint="Drop those rows.",
            )
        noise = known_noise(cast("ArrayLike | None", given[2]), len(y))
        return X, y, noise, cast("Sequence[float]", given[3])

    def _with_setting(self, X: FloatArray, setting: Sequence[float]) -> FloatArray:
        """Append the logarithms of a setting's values to rows."""
        values = np.asarray(setting, dtype=np.float64)
        if values.shape != (len(self.setting),) or not (np.isfinite(values).all() and (values > 0).all()):
            raise PredictorError(
                f"{setting!r} is no setting like {self.setting!r}.",
                hint="Give as many positive numbers: batch, threads.",
            )
        return np.column_stack([X, np.tile(np.log2(values), (len(X), 1))])

    # ------------------------------------------------------------------ predictions
    def _mean(self, X: FloatArray) -> FloatArray:
        return np.log(self.model_.predict(self._with_setting(X, self.setting)))

    def _mean_std(self, X: FloatArray) -> tuple[FloatArray, FloatArray]:
        return self.model_.predict_warped(self._with_setting(X, self.setting))

    def _interval(self, X: FloatArray, coverage: float) -> tuple[FloatArray, FloatArray]:
        return self.model_.predict_interval(self._with_setting(X, self.setting), coverage)

    @property
    def shared_(self) -> float:
        """Share of the variance over architectures that is common to all settings."""
        parts = {k: v for k, v in self.model_.parts_.items() if k not in (DEVICE, f"{DEVICE} curved", "noise")}
        return sum(v for k, v in parts.items() if not k.startswith(DEVICE)) / sum(parts.values())
