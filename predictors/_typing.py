"""Types of this package, once: arrays, and what a candidate must have."""

from __future__ import annotations

from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


class Regressor(Protocol):
    """A regressor with scikit-learn's `fit` and `predict`.

    Anything with these two methods can be a candidate of `CrossValidatedPredictor`, which copies it as `sklearn.base.clone`
    does, and a model of a search tactic.

    Examples
    --------
    >>> from sklearn.linear_model import LinearRegression
    >>> model: Regressor = LinearRegression()
    >>> model.fit(np.array([[0.0], [1.0]]), np.array([1.0, 3.0])).predict(np.array([[2.0]])).round(3).tolist()
    [5.0]
    """

    def fit(self, X: FloatArray, y: FloatArray) -> Self:
        """Fit the regressor.

        Parameters
        ----------
        X : ndarray (n, columns)
            Encoded architectures.
        y : ndarray (n,)
            Values to be predicted.

        Returns
        -------
        Regressor
            Itself.
        """
        ...

    def predict(self, X: FloatArray) -> FloatArray:
        """Predict values.

        Parameters
        ----------
        X : ndarray (m, columns)
            Encoded architectures.

        Returns
        -------
        ndarray (m,)
            Predictions, in the unit of y.
        """
        ...
