"""Base of all predictors: checks, the log target, predictive deviation and intervals."""

from __future__ import annotations

import logging
from abc import abstractmethod
from typing import Any, ClassVar, Literal, Self, TypeVar, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from predictors._typing import FloatArray
from predictors.conformal import plus_bounds, quantile_rank, rows_needed
from predictors.errors import PredictorError, TooFewRowsError

logger = logging.getLogger("predictors")
logger.addHandler(logging.NullHandler())

BLOCK = 2048  # rows of X at a time when an interval needs an array (rows, n)

#: classes that `predictors.save` and `predictors.load` know, by name
REGISTRY: dict[str, type[BasePredictor]] = {}
P = TypeVar("P", bound="type[BasePredictor]")


def register(cls: P) -> P:
    """Let `save` and `load` handle a predictor; a class decorator.

    Parameters
    ----------
    cls : type of BasePredictor
        Known by its name from then on.

    Returns
    -------
    type of BasePredictor
        The same class.
    """
    REGISTRY[cls.__name__] = cls
    return cls


class BasePredictor(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """A regressor from encoded architectures X (n, columns) to one metric y (n,); a scikit-learn estimator.

    X and y must be finite: drop failed measurements first. With a log target all fitting is done on log(y),
    predictions are exp of it (a median rather than a mean), and errors and intervals are multiplicative.
    A subclass has `_fit`, `_mean` and `_held_out`, and lists what it learns in `_learned`; with a predictive distribution of its
    own also `_mean_std` and `_interval`.

    Attributes
    ----------
    minimum_rows : int
        Fewest rows that can be fitted.
    residuals_ : ndarray (n,)
        Out-of-fold residuals, in the target's scale (log with a log target).
    n_features_in_ : int
        Number of columns seen by `fit`.
    """

    minimum_rows: ClassVar[int] = 2
    _learned: ClassVar[tuple[str, ...]] = ()

    residuals_: FloatArray
    n_features_in_: int

    # ------------------------------------------------------------------ for subclasses
    @abstractmethod
    def _fit(self, X: FloatArray, y: FloatArray) -> None:
        """Learn from X (n, columns) and y (n,), which is log(y) with a log target."""

    @abstractmethod
    def _mean(self, X: FloatArray) -> FloatArray:
        """Predict (m,) in the target's scale (log with a log target)."""

    @abstractmethod
    def _held_out(self, X: FloatArray) -> tuple[FloatArray, NDArray[np.intp]]:
        """Predict (m, k), in the target's scale, by models without one of k groups each; group (n,) of the rows."""

    def _mean_std(self, X: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Predict mean and deviation (m,), (m,): size of the out-of-fold residuals and spread of the held-out models.

        The two overlap a little, so the deviation errs on the large side.
        """
        held_out, _ = self._held_out(X)
        return self._mean(X), np.sqrt(np.mean(self.residuals_**2) + held_out.var(axis=1))

    def _interval(self, X: FloatArray, coverage: float) -> tuple[FloatArray, FloatArray]:
        """Compute intervals (m,), (m,) in the unit of y: the jackknife+ or CV+ of `_held_out`."""
        n = len(self.residuals_)
        if quantile_rank(n, coverage) > n:
            logger.warning(
                "coverage %g needs %d rows, the fit had %d: intervals are infinite", coverage, rows_needed(coverage), n
            )
        lower, upper = np.empty(len(X)), np.empty(len(X))
        for start in range(0, len(X), BLOCK):
            part = slice(start, start + BLOCK)
            held_out, group = self._held_out(X[part])
            lower[part], upper[part] = plus_bounds(held_out, group, self.residuals_, coverage)
        mean = self._mean(X)
        lower, upper = np.minimum(lower, mean), np.maximum(upper, mean)
        return (np.exp(lower), np.exp(upper)) if self._log() else (lower, upper)

    def _restore(self) -> None:
        """Compute what follows from what was learned, after it has been read from a file."""

    def _log(self) -> bool:
        """Tell whether the fitted scale is logarithmic."""
        return self._log_asked

    # ------------------------------------------------------------------ scikit-learn
    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Fit the predictor.

        Parameters
        ----------
        X : array-like (n, columns)
            Encoded architectures.
        y : array-like (n,)
            Measured values of one metric.

        Returns
        -------
        BasePredictor
            Itself.

        Raises
        ------
        TooFewRowsError
            Below `minimum_rows`.
        PredictorError
            For values that are not finite numbers and, with a log target, for targets that are not positive.
        """
        features, target = self._checked(X, y)
        if self._log_asked:
            if target.min() <= 0:
                raise PredictorError(
                    f"log_target needs positive targets, but the smallest is {target.min():g}.",
                    hint="Use log_target=False or drop failed measurements.",
                )
            target = np.log(target)
        self._fit(features, target)
        if not type(self).__module__.startswith("predictors."):
            self._check_learned(features)
        return self

    @overload
    def predict(self, X: ArrayLike, return_std: Literal[False] = False) -> FloatArray: ...
    @overload
    def predict(self, X: ArrayLike, return_std: Literal[True]) -> tuple[FloatArray, FloatArray]: ...
    def predict(self, X: ArrayLike, return_std: bool = False) -> FloatArray | tuple[FloatArray, FloatArray]:
        """Predict the metric.

        Parameters
        ----------
        X : array-like (m, columns)
            Encoded architectures.
        return_std : bool
            Whether to return standard deviations, too.

        Returns
        -------
        mean : ndarray (m,)
            Predictions, in the unit of y.
        std : ndarray (m,)
            Only with `return_std`: deviations of a new measurement, noise included. With a log target those of the
            lognormal distribution whose median is the prediction.

        Raises
        ------
        PredictorError
            For values that are not finite numbers, and where the fit knows no deviation.
        """
        features = self._validate(X)
        if not return_std:
            mean = self._mean(features)
            return np.exp(mean) if self._log() else mean
        mean, std = self._mean_std(features)
        if self._log():
            variance = std**2
            return np.exp(mean), np.exp(mean + variance / 2) * np.sqrt(np.expm1(variance))
        return mean, std

    def predict_interval(self, X: ArrayLike, coverage: float = 0.9) -> tuple[FloatArray, FloatArray]:
        """Predict intervals meant to hold a new measurement with probability `coverage`.

        Jackknife+ or CV+ (Barber et al. 2021, arXiv 1905.02928; see `predictors.conformal`), widened where needed
        so that the prediction lies inside; those of its posterior where a predictor has one, as its class says. The noise
        of the measurement is included: the mean of many lies in a narrower one. It is supposed that X is like the rows of
        the fit; points that a search picks for being extreme are not, so intervals there are optimistic.

        Parameters
        ----------
        X : array-like (m, columns)
            Encoded architectures.
        coverage : float
            In (0, 1).

        Returns
        -------
        lower, upper : ndarray (m,)
            In the unit of y. When the fit had too few rows for the coverage (9 are needed for 0.9, 19 for 0.95) those of the
            jackknife+ and CV+ are -inf and inf, or 0 and inf with a log target, and a warning is logged.

        Raises
        ------
        PredictorError
            For a coverage that is not in (0, 1), and for values that are not finite numbers.

        References
        ----------
        Barber, Candès, Ramdas, Tibshirani 2021, "Predictive inference with the jackknife+", arXiv 1905.02928.
        """
        return self._interval(self._validate(X), coverage)

    def __sklearn_is_fitted__(self) -> bool:
        return all(hasattr(self, name) for name in self._learned)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.positive_only = self._log_asked
        return tags

    @property
    def log_scale_(self) -> bool:
        """Whether the fitted scale is logarithmic, so that errors and intervals are multiplicative."""
        return self._log()

    # ------------------------------------------------------------------ checks
    @property
    def _log_asked(self) -> bool:
        return bool(getattr(self, "log_target", False))

    def _check_learned(self, X: FloatArray) -> None:
        """Check what a subclass has learnt, in words that its author understands."""
        name = type(self).__name__
        missing = [learned for learned in ("residuals_", *self._learned) if not hasattr(self, learned)]
        if missing:
            raise PredictorError(f"_fit of {name} has not set {', '.join(dict.fromkeys(missing))}.")
        few = X[:2]
        shape = np.shape(self._mean(few))
        if shape != (len(few),):
            raise PredictorError(f"_mean of {name} must return shape ({len(few)},) for {len(few)} rows, got {shape}.")
        held_out = self._held_out(few)
        if not (isinstance(held_out, tuple) and len(held_out) == 2):
            raise PredictorError(f"_held_out of {name} must return two arrays, got {type(held_out).__name__}.")
        predictions, group = map(np.asarray, held_out)
        if predictions.ndim != 2 or len(predictions) != len(few) or group.shape != np.shape(self.residuals_):
            raise PredictorError(
                f"_held_out of {name} must return predictions (m, k) and the group (n,) of each row of the fit, "
                f"got {predictions.shape} and {group.shape} for m = {len(few)} and n = {len(self.residuals_)}."
            )

    def _checked(self, X: ArrayLike, y: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Check what is to be fitted: finite numbers, and enough rows."""
        if y is None:
            raise PredictorError(f"{type(self).__name__} requires y to be passed, but the target y is None.")
        features, target = self._validate(X, y)
        if len(target) < self.minimum_rows:
            raise TooFewRowsError(
                f"{type(self).__name__} cannot be fitted on n_samples = {len(target)}.",
                hint=f"Measure at least {self.minimum_rows} architectures.",
            )
        return features, target

    @overload
    def _validate(self, X: ArrayLike) -> FloatArray: ...
    @overload
    def _validate(self, X: ArrayLike, y: ArrayLike) -> tuple[FloatArray, FloatArray]: ...
    def _validate(self, X: ArrayLike, y: ArrayLike | None = None) -> FloatArray | tuple[FloatArray, FloatArray]:
        """Convert X, or (X, y), to finite float64 arrays; scikit-learn's refusals of values become PredictorError."""
        if y is None:
            check_is_fitted(self)
        options: dict[str, object] = {"dtype": np.float64, "reset": y is not None}
        if y is not None:
            options |= {"y": y, "y_numeric": True}
        try:
            checked = validate_data(self, X, **options)
        except ValueError as error:
            raise PredictorError(str(error)) from error
        return checked if y is None else (checked[0], np.asarray(checked[1], dtype=np.float64))
