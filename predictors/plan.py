"""Which rows to measure next: those that take most away from what is not known of all."""

from __future__ import annotations

import numpy as np

from predictors._typing import BoolArray, FloatArray, IntArray
from predictors.errors import PredictorError


def a_optimal(covariance: FloatArray, noise: float, n: int, allowed: BoolArray | None = None) -> IntArray:
    """Choose rows one after the other, each with the greatest reduction of the summed variance of all rows (A-optimal).

    Parameters
    ----------
    covariance : ndarray (k, k)
        Of the values of k rows, before any of them is measured.
    noise : float
        Variance of a measurement about its value.
    n : int
        How many rows, at most k.
    allowed : ndarray of bool (k,), optional
        Which may be chosen; default: all.

    Returns
    -------
    ndarray of int (n,)
        Positions, in the order in which they were chosen.

    Raises
    ------
    PredictorError
        If fewer rows may be chosen than are asked for.

    References
    ----------
    Krause, Singh, Guestrin 2008, "Near-optimal sensor placements in Gaussian processes", of greedy choice under a Gaussian
    process. Seo, Wallat, Graepel, Obermayer 2000, "Gaussian process regression: active data selection and test point rejection",
    of the criterion.

    Examples
    --------
    >>> near = np.array([[1.0, 0.9, 0.0], [0.9, 1.0, 0.0], [0.0, 0.0, 1.0]])
    >>> a_optimal(near, 0.01, 2).tolist()
    [0, 2]
    """
    free = np.ones(len(covariance), dtype=bool) if allowed is None else allowed.copy()
    if not 0 <= n <= free.sum():
        raise PredictorError(f"{n} rows cannot be chosen from {int(free.sum())}.", hint="Ask for fewer, or give more.")
    left = np.array(covariance, dtype=np.float64)
    chosen = []
    for _ in range(n):
        own = np.maximum(np.diag(left), 0.0) + noise
        gain = (left**2).sum(axis=0) / np.maximum(own, 1e-300)
        best = int(np.argmax(np.where(free, gain, -1.0)))
        chosen.append(best)
        free[best] = False
        left -= np.outer(left[:, best], left[:, best]) / own[best]
    return np.array(chosen, dtype=np.int64)
