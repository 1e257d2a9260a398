"""Means, differences and rank correlations with 95 % intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from hwsearch._json import JsonObject, finite_or_none
from hwsearch.tasks.score import Z95

#: fewest pairs of which a rank correlation has an interval
LEAST_PAIRS = 5


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval.

    Attributes
    ----------
    value : float
        The figure.
    low, high : float
        Ends of the interval; NaN where there are too few values for one.
    n : int
        Number of values that it rests on.
    """

    value: float
    low: float
    high: float
    n: int

    def to_dict(self) -> JsonObject:
        """Describe the estimate as JSON; what is not known is None.

        Returns
        -------
        dict of str to object
            ``value``, ``low``, ``high`` and ``n``.
        """
        return {
            "value": finite_or_none(self.value, 6),
            "low": finite_or_none(self.low, 6),
            "high": finite_or_none(self.high, 6),
            "n": self.n,
        }


def mean_of(values: ArrayLike, *, common_error: float = 0.0, level: float = 0.95) -> Estimate:
    """Estimate a mean, with Student's t interval.

    Parameters
    ----------
    values : array_like of float, shape (n,)
        The values.
    common_error : float
        Standard error that all values share, such as that of the examples on which all subnets were judged; added to that of the mean
        in squares.
    level : float
        Probability of the interval.

    Returns
    -------
    Estimate
        Without an interval where there is one value only and no common error.

    Examples
    --------
    >>> found = mean_of([1.0, 3.0])
    >>> found.value, round(found.high, 3)
    (2.0, 14.706)
    """
    x = np.asarray(values, dtype=np.float64)
    n = len(x)
    mean = float(x.mean())
    if n < 2:
        half = Z95 * common_error if common_error > 0 else math.nan
    else:
        sampling = float(x.std(ddof=1)) / math.sqrt(n)
        t = float(stats.t.ppf(0.5 + level / 2, n - 1))
        half = math.hypot(t * sampling, Z95 * common_error)
    return Estimate(mean, mean - half, mean + half, n)


def difference(first: ArrayLike, second: ArrayLike, *, level: float = 0.95) -> Estimate:
    """Estimate the mean of one sample minus that of another, with the interval of Welch's t test.

    Parameters
    ----------
    first, second : array_like of float, shapes (n,) and (m,)
        The samples.
    level : float
        Probability of the interval.

    Returns
    -------
    Estimate
        Without an interval where a sample has fewer than two values.

    References
    ----------
    Welch, "The generalization of 'Student's' problem when several different population variances are involved", Biometrika 34, 1947.

    Examples
    --------
    >>> difference([4.0, 6.0], [1.0, 2.0]).value
    3.5
    """
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    value, n = float(a.mean() - b.mean()), len(a) + len(b)
    if min(len(a), len(b)) < 2:
        return Estimate(value, math.nan, math.nan, n)
    parts = a.var(ddof=1) / len(a), b.var(ddof=1) / len(b)
    total = float(sum(parts))
    if total == 0:
        return Estimate(value, value, value, n)
    freedom = total**2 / (parts[0] ** 2 / (len(a) - 1) + parts[1] ** 2 / (len(b) - 1))
    half = float(stats.t.ppf(0.5 + level / 2, freedom)) * math.sqrt(total)
    return Estimate(value, value - half, value + half, n)


def rank_correlation(first: ArrayLike, second: ArrayLike) -> Estimate:
    """Estimate Kendall's tau-b of two rankings, with a 95 % interval by Fisher's transformation.

    The standard error of the transformed tau is √(0.437 / (n − 4)). A tau of 1 or −1 is transformed as if half of one pair disagreed, as
    few pairs that all agree are not certainty.

    Parameters
    ----------
    first, second : array_like of float, shape (n,)
        Scores of the same subnets.

    Returns
    -------
    Estimate
        NaN where all values of a side are equal; without an interval for fewer than `LEAST_PAIRS` subnets.

    References
    ----------
    Fieller, Hartley and Pearson, "Tests for rank correlation coefficients I", Biometrika 44, 1957.

    Examples
    --------
    >>> round(rank_correlation([1, 2, 3, 4], [1, 2, 4, 3]).value, 9)
    0.666666667
    """
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    n = len(a)
    tau = float(stats.kendalltau(a, b).statistic) if n > 1 else math.nan
    if n < LEAST_PAIRS or not math.isfinite(tau):
        return Estimate(tau, math.nan, math.nan, n)
    most = 1 - 2 / (n * (n - 1))
    z = math.atanh(min(max(tau, -most), most))
    half = Z95 * math.sqrt(0.437 / (n - 4))
    return Estimate(tau, min(tau, math.tanh(z - half)), max(tau, math.tanh(z + half)), n)
