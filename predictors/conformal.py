"""Prediction intervals from out-of-fold residuals: the jackknife+ and CV+.

Barber, Candès, Ramdas, Tibshirani, "Predictive inference with the jackknife+", 2021 (arXiv 1905.02928).
"""

from __future__ import annotations

import math
import sys
from bisect import bisect_left

import numpy as np
from numpy.typing import NDArray

from predictors._typing import FloatArray
from predictors.errors import PredictorError


def quantile_rank(n: int, coverage: float) -> int:
    """Compute which of n sorted values bounds the interval from above: ceil(coverage (n + 1)), counted from 1.

    Parameters
    ----------
    n : int
        Number of residuals.
    coverage : float
        Probability that the interval should hold a new value, in (0, 1).

    Returns
    -------
    int
        The rank; more than n means that n residuals cannot support this coverage, which happens when
        n < coverage / (1 - coverage).

    Raises
    ------
    PredictorError
        If `coverage` is not strictly between 0 and 1.

    Examples
    --------
    >>> quantile_rank(19, 0.9), quantile_rank(9, 0.7)
    (18, 7)
    """
    if not 0.0 < coverage < 1.0:
        raise PredictorError(f"coverage must be in (0, 1), got {coverage!r}.", hint="Use a share such as 0.9.")
    return math.ceil(coverage * (n + 1) - 1e-9)  # 0.56 * 25 is 14.000000000000002: not the fifteenth


def rows_needed(coverage: float) -> int:
    """Compute the smallest number of residuals that gives finite bounds.

    Parameters
    ----------
    coverage : float
        Probability that the interval should hold a new value, in (0, 1).

    Returns
    -------
    int
        Number of rows.

    Raises
    ------
    PredictorError
        If `coverage` is not strictly between 0 and 1.

    Examples
    --------
    >>> rows_needed(0.9), rows_needed(0.95)
    (9, 19)
    """
    return bisect_left(range(sys.maxsize), True, lo=1, key=lambda n: quantile_rank(n, coverage) <= n)


def plus_bounds(
    held_out: FloatArray, group: NDArray[np.intp], residuals: FloatArray, coverage: float
) -> tuple[FloatArray, FloatArray]:
    """Compute CV+ bounds; the jackknife+ when each row is its own group.

    With R_i = |residuals_i| the interval goes from the floor((1 - coverage)(n + 1))-th smallest of
    held_out[:, group_i] - R_i to the ceil(coverage (n + 1))-th smallest of held_out[:, group_i] + R_i.
    If the rows and the new point are exchangeable its coverage is at least 2 coverage - 1 (less a term of
    order sqrt(2 / n) for CV+), and about `coverage` in practice (theorems 1 and 4).

    Parameters
    ----------
    held_out : ndarray (m, k)
        Prediction for each of m new points by the model fitted without group j of the rows.
    group : ndarray of int (n,)
        The group each row belongs to, in 0..k-1.
    residuals : ndarray (n,)
        Out-of-fold residual of each row; only the size counts.
    coverage : float
        In (0, 1).

    Returns
    -------
    lower, upper : ndarray (m,)
        -inf and +inf with too few rows for the coverage: nothing shorter is warranted.

    Raises
    ------
    PredictorError
        If `coverage` is not strictly between 0 and 1.

    References
    ----------
    Barber, Candès, Ramdas, Tibshirani 2021, "Predictive inference with the jackknife+", arXiv 1905.02928.

    Examples
    --------
    >>> lower, upper = plus_bounds(np.zeros((1, 1)), np.zeros(9, dtype=int), np.arange(1.0, 10.0), 0.8)
    >>> lower.tolist(), upper.tolist()
    ([-8.0], [8.0])
    """
    n, m = len(residuals), len(held_out)
    rank = quantile_rank(n, coverage)
    if rank > n:
        return np.full(m, -np.inf), np.full(m, np.inf)
    size = np.abs(residuals)
    each = held_out[:, group]
    upper = np.partition(each + size, rank - 1, axis=1)[:, rank - 1]
    lower = np.partition(each - size, n - rank, axis=1)[:, n - rank]
    return lower, upper
