"""Prediction intervals from out-of-fold residuals (the jackknife+ and CV+), and whether predictions hold what they promise.

Barber, Candès, Ramdas, Tibshirani, "Predictive inference with the jackknife+", 2021 (arXiv 1905.02928).
"""

from __future__ import annotations

import math
import sys
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from predictors._typing import FloatArray, IntArray
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


@dataclass(frozen=True)
class CoverageReport:
    """Coverage of predicted intervals: how many of some measurements lie in theirs.

    Attributes
    ----------
    n, inside : int
        Measurements, and those that lie in their interval, ends included.
    below, above : int
        Those that lie below and above theirs.
    coverage : float
        ``inside / n``.
    low, high : float
        Clopper-Pearson interval of the probability to lie inside.
    median_width : float
        Of the intervals, in the unit of the measurements.
    asked : float
        Coverage that the intervals were made for.
    """

    n: int
    inside: int
    below: int
    above: int
    coverage: float
    low: float
    high: float
    median_width: float
    asked: float

    @property
    def too_narrow(self) -> bool:
        """Whether the intervals hold less than asked for, by more than chance."""
        return self.high < self.asked

    @property
    def too_wide(self) -> bool:
        """Whether the intervals hold more than asked for, by more than chance."""
        return self.low > self.asked


def coverage_report(
    y: ArrayLike, low: ArrayLike, high: ArrayLike, *, asked: float = 0.9, confidence: float = 0.95
) -> CoverageReport:
    """Count how many measurements lie in their predicted intervals, with an exact interval of that share.

    Parameters
    ----------
    y : array-like (n,)
        Measurements that were not used for fitting.
    low, high : array-like (n,)
        Ends of their predicted intervals; may be infinite.
    asked : float
        Coverage that the intervals were made for, in (0, 1).
    confidence : float
        Of the interval of the share, in (0, 1).

    Returns
    -------
    CoverageReport
        The counts.

    Raises
    ------
    PredictorError
        For no measurement, for other shapes, NaN, and an interval whose ends are exchanged.

    References
    ----------
    Clopper and Pearson 1934, "The use of confidence or fiducial limits illustrated in the case of the binomial".

    Examples
    --------
    >>> report = coverage_report([1.0, 2.0, 5.0], [0.0, 0.0, 0.0], [3.0, 3.0, 3.0])
    >>> report.inside, report.above, round(report.low, 3), round(report.high, 3)
    (2, 1, 0.094, 0.992)
    """
    values, lower, upper = (np.asarray(a, dtype=np.float64) for a in (y, low, high))
    if values.ndim != 1 or not values.shape == lower.shape == upper.shape or not len(values):
        raise PredictorError(
            f"a coverage needs equally many values and ends, got shapes {values.shape}, {lower.shape}, {upper.shape}."
        )
    for name, share in (("asked", asked), ("confidence", confidence)):
        if not 0.0 < share < 1.0:
            raise PredictorError(f"{name} must be in (0, 1), got {share!r}.", hint="Use a share such as 0.9.")
    if np.isnan(values).any() or not (lower <= upper).all():
        raise PredictorError("a coverage needs numbers, and intervals that begin below their end.")
    n, below, above = len(values), int((values < lower).sum()), int((values > upper).sum())
    inside, tail = n - below - above, (1.0 - confidence) / 2
    least = float(stats.beta.ppf(tail, inside, n - inside + 1)) if inside else 0.0
    most = float(stats.beta.ppf(1.0 - tail, inside + 1, n - inside)) if inside < n else 1.0
    width = float(np.median(upper - lower))
    return CoverageReport(n, inside, below, above, inside / n, least, most, width, asked)


@dataclass(frozen=True)
class ShiftReport:
    """Distance of architectures from those that a predictor was fitted on.

    Attributes
    ----------
    share : float
        Of those whose posterior variance exceeds the 99th percentile of that of the rows of the fit, each left out in turn.
        About .01 where they are like these.
    never_measured : list of str
        Values of genes that occur among them and in no row of the fit, as ``gene=value``.
    """

    share: float
    never_measured: list[str]

    @property
    def warning(self) -> str | None:
        """A sentence where predictions are extrapolations, else None."""
        said = []
        if self.share > 0.1:
            said.append(f"{self.share:.0%} of the architectures are less like the measured ones than 99 % of these are")
        if self.never_measured:
            some = ", ".join(self.never_measured[:8])
            more = len(self.never_measured) - 8
            said.append(f"never measured: {some}{f' and {more} more' if more > 0 else ''}")
        return f"Predictions are extrapolations: {'; '.join(said)}." if said else None


def joined_shift(reports: Sequence[ShiftReport], rows: Sequence[int]) -> ShiftReport:
    """Join the reports of parts of some architectures.

    Parameters
    ----------
    reports : sequence of ShiftReport
        One a part.
    rows : sequence of int
        How many architectures each part has.

    Returns
    -------
    ShiftReport
        Of all of them.

    Examples
    --------
    >>> joined_shift([ShiftReport(0.0, ["a=1"]), ShiftReport(1.0, ["b=2", "a=1"])], [3, 1])
    ShiftReport(share=0.25, never_measured=['a=1', 'b=2'])
    """
    share = sum(r.share * n for r, n in zip(reports, rows, strict=True)) / sum(rows)
    return ShiftReport(share, list(dict.fromkeys(name for r in reports for name in r.never_measured)))


@dataclass(frozen=True)
class BestReport:
    """The best predicted of many, and what they are to be expected to be.

    Attributes
    ----------
    at : ndarray of int (k,)
        Their positions, best first.
    predicted : ndarray (k,)
        Their predictions.
    corrected : ndarray (k,)
        The same without the mean error that comes from having been chosen for a good prediction.
    """

    at: IntArray
    predicted: FloatArray
    corrected: FloatArray


def expected_best(mean: FloatArray, errors: FloatArray, k: int, *, largest: bool) -> BestReport:
    """Correct the predictions of the best k of many for the winner's curse.

    Whoever is chosen for a good prediction has, in the mean, an error that flatters. Its size is found by choosing again
    among the predictions with drawn errors: the mean error of those that are chosen at each rank (a parametric bootstrap).

    Parameters
    ----------
    mean : ndarray (m,)
        Predictions.
    errors : ndarray (draws, m)
        Samples of their errors, joint over the rows, with mean 0.
    k : int
        How many are chosen.
    largest : bool
        Whether large values are good.

    Returns
    -------
    BestReport
        Positions, predictions and corrected ones.

    Raises
    ------
    PredictorError
        For a k that is not from 1 to m.

    References
    ----------
    Efron 2011, "Tweedie's formula and selection bias". Capen, Clapp, Campbell 1971, of the winner's curse.

    Examples
    --------
    >>> report = expected_best(np.zeros(2), np.array([[1.0, -1.0], [-3.0, 3.0]]), 1, largest=True)
    >>> report.corrected.tolist()
    [-2.0]
    """
    if not isinstance(k, int | np.integer) or not 1 <= k <= len(mean):
        raise PredictorError(f"the best {k!r} of {len(mean)} cannot be chosen.", hint="Use a whole number from 1.")
    sign = -1.0 if largest else 1.0
    at = np.argsort(sign * mean, kind="stable")[:k]
    chosen = np.argsort(sign * (mean + errors), axis=1, kind="stable")[:, :k]
    flattery = np.take_along_axis(errors, chosen, axis=1).mean(axis=0)
    return BestReport(at, mean[at], mean[at] - flattery)
