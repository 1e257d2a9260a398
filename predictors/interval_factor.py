"""Factor of a normal distribution's intervals: how many deviations they reach, by the errors of rows left out."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np

from predictors._typing import FloatArray
from predictors.conformal import quantile_rank

#: rows that the normal distribution counts for beside left-out errors: where these widen an interval, and where they narrow it
WIDENING, NARROWING = 20.0, 100.0


def interval_factor(left_out: FloatArray, coverage: float) -> float:
    """Compute how many standard deviations an interval reaches.

    Parameters
    ----------
    left_out : ndarray (n,)
        Absolute errors of rows left out, in deviations, ascending; may be empty.
    coverage : float
        In (0, 1).

    Returns
    -------
    float
        (m z + n ẑ) / (m + n), with z the normal distribution's, ẑ the quantile of the errors, and m 20 where ẑ is the larger
        one, else 100: to be too narrow is worse than to be too wide.

    Raises
    ------
    PredictorError
        For a coverage that is not in (0, 1).

    Examples
    --------
    >>> round(interval_factor(np.empty(0), 0.95), 2)
    1.96
    """
    n = len(left_out)
    rank = quantile_rank(n, coverage)
    normal = NormalDist().inv_cdf(0.5 + coverage / 2)
    if not n:
        return normal
    found = float(left_out[min(rank, n) - 1])
    weight = WIDENING if found > normal else NARROWING
    return (weight * normal + n * found) / (weight + n)


def factors_without_own(left_out: FloatArray, errors: FloatArray, coverage: float) -> FloatArray:
    """Compute the factor of each row's interval, as if it had not been among the rows that the factor is found from.

    Parameters
    ----------
    left_out : ndarray (n,)
        As of `interval_factor`.
    errors : ndarray (n,)
        Absolute errors of the rows, in deviations; the row with the k-th smallest leaves out the k-th of `left_out`.
    coverage : float
        In (0, 1).

    Returns
    -------
    ndarray (n,)
        Factors.

    Raises
    ------
    PredictorError
        For a coverage that is not in (0, 1).
    """
    if len(left_out) < 2:
        return np.full(len(errors), interval_factor(left_out, coverage))
    ranks = np.argsort(np.argsort(errors, kind="stable"), kind="stable")
    return np.array([interval_factor(np.delete(left_out, at), coverage) for at in ranks.tolist()])
