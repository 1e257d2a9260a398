"""Prediction intervals from out-of-fold residuals: the jackknife+ and CV+.

Barber, Candès, Ramdas, Tibshirani, "Predictive inference with the jackknife+", 2021 (arXiv 1905.02928).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from predictors._typing import FloatArray
from predictors.errors import PredictorError


def quantile_rank(n: int, coverage: float) -> int:
    """Which of n sorted values bounds the interval from above: ceil(coverage (n + 1)), counted from 1.

    More than n means that n residuals cannot support this coverage; it happens when n < coverage / (1 - coverage).
    Raises PredictorError when `coverage` is not strictly between 0 and 1.
    """
    if not 0.0 < coverage < 1.0:
        raise PredictorError(f"coverage {coverage!r} is not between 0 and 1.", hint="Use a share such as 0.9.")
    return math.ceil(coverage * (n + 1) - 1e-9)  # 0.7 * 10 is 7.000000000000001 on some values: not the eighth


def rows_needed(coverage: float) -> int:
    """The smallest number of residuals that gives finite bounds at this coverage (9 at 0.9, 19 at 0.95)."""
    quantile_rank(1, coverage)  # refuses a coverage that is not a share
    n = max(1, math.floor(coverage / (1.0 - coverage)) - 1)
    while quantile_rank(n, coverage) > n:
        n += 1
    return n


def plus_bounds(
    held_out: FloatArray, group: NDArray[np.intp], residuals: FloatArray, coverage: float
) -> tuple[FloatArray, FloatArray]:
    """CV+ bounds (m,), (m,) for m new points; the jackknife+ when each row is its own group.

    held_out : (m, k) prediction for each new point by the model fitted without group j of the rows
    group : (n,) the group each row belongs to, in 0..k-1
    residuals : (n,) out-of-fold residual of each row; only the size counts

    With R_i = |residuals_i| the interval goes from the floor((1 - coverage)(n + 1))-th smallest of
    held_out[:, group_i] - R_i to the ceil(coverage (n + 1))-th smallest of held_out[:, group_i] + R_i.
    If the rows and the new point are exchangeable its coverage is at least 2 coverage - 1 (less a term of
    order sqrt(2 / n) for CV+), and about `coverage` in practice (theorems 1 and 4).

    With too few rows for the coverage the bounds are -inf and +inf: nothing shorter is warranted.
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
