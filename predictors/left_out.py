"""Bases of predictors that take known noise of rows and keep predictions of rows left out."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from predictors._typing import FloatArray
from predictors.base import BasePredictor
from predictors.errors import PredictorError
from predictors.metrics import scores
from predictors.rows import known_noise


class LeftOutPredictor(BasePredictor):
    """Base of predictors whose `fit` takes the known noise of rows, and which keep predictions of rows left out.

    A subclass has `_learn`, `_mean` and `_held_out`, and lists what it learns in `_learned`.

    Attributes
    ----------
    oof_predictions_ : ndarray (n,)
        Predictions of the rows of the fit, each by a model that had not seen it, in the unit of y.
    """

    oof_predictions_: FloatArray

    @abstractmethod
    def _learn(self, X: FloatArray, y: FloatArray, given: FloatArray) -> None:
        """Learn from X (n, columns), y (n,) and the known standard deviations (n,) of these, 0 where unknown."""

    def _check_rows(self, X: FloatArray, y: FloatArray) -> None:
        """Check that rows, which are finite and enough, are such as can be learnt from."""

    def fit(self, X: ArrayLike, y: ArrayLike, noise: ArrayLike | None = None) -> Self:
        """Fit the predictor.

        Parameters
        ----------
        X : array-like (n, columns)
            Encoded architectures.
        y : array-like (n,)
            Measured values of one metric.
        noise : array-like (n,), optional
            Known standard deviation of each value, in the unit of y; 0 or NaN where unknown.

        Returns
        -------
        LeftOutPredictor
            Itself.

        Raises
        ------
        TooFewRowsError
            Below `minimum_rows`.
        PredictorError
            For values that are not finite numbers, noise that is negative or infinite, and what the class says that it refuses.
        """
        features, target = self._checked(X, y)
        self._check_rows(features, target)
        self._learn(features, target, known_noise(noise, len(target)))
        return self

    def _fit(self, X: FloatArray, y: FloatArray) -> None:
        self._learn(X, y, np.zeros(len(y)))


class LeftOutScores:
    """Mixin of predictors that are compared with others by their rows left out.

    Attributes
    ----------
    target_ : ndarray (n,)
        Measured values of the rows of the fit.
    oof_predictions_ : ndarray (n,)
        Predictions of them, each by a model that had not seen it.
    """

    target_: FloatArray
    oof_predictions_: FloatArray

    @property
    def procedure_scores_(self) -> dict[str, float]:
        """Scores of the rows left out in folds, as of `CrossValidatedPredictor`."""
        return scores(self.target_, self.oof_predictions_)


class LatencyPredictor(LeftOutScores, LeftOutPredictor):
    """Base of predictors of latencies whose model has intervals of its own: positive targets, learnt as logarithms.

    A subclass has `_learn`, `_mean`, `_mean_std` and `_interval`, and lists what it learns in `_learned`.

    Attributes
    ----------
    rows_, target_, given_noise_ : ndarray (n, columns), (n,), (n,)
        Encoded architectures of the fit, their latencies, and the known deviations of these.
    residuals_ : ndarray (n,)
        Residuals of the rows left out, in logarithms.
    """

    rows_: FloatArray
    given_noise_: FloatArray

    def _check_rows(self, X: FloatArray, y: FloatArray) -> None:
        if y.min() <= 0:
            raise PredictorError(
                f"latencies are positive, but the smallest is {y.min():g}.", hint="Drop failed measurements."
            )

    def _log(self) -> bool:
        return True

    def _held_out(self, X: FloatArray) -> tuple[FloatArray, NDArray[np.intp]]:
        """Return the prediction itself: of the models without some rows only what they predict of these is kept."""
        return self._mean(X)[:, None], np.zeros(len(self.residuals_), dtype=np.intp)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.positive_only = True
        return tags
