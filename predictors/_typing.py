"""Types of this package, once: arrays, and what a candidate must have."""

from __future__ import annotations

from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


class Regressor(Protocol):
    """Candidate of cross-validation: scikit-learn's `fit` and `predict`."""

    def fit(self, X: FloatArray, y: FloatArray) -> Self:
        """Fit the regressor.

        Parameters
        ----------
        X : ndarray (n, columns)
            Encoded architectures.
        y : ndarray (n,)
            Measured values of one metric.

        Returns
        -------
        Regressor
            Itself.
        """
        ...

    def predict(self, X: FloatArray) -> FloatArray:
        """Predict the metric.

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
