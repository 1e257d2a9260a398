"""The level of a host along time: what its speed typically is, and where another campaign would find it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from scipy import special

from hwsearch._typing import FloatArray, IntArray
from hwsearch.devices.timing.statistics import student

#: seconds of a period, whose visits count as one look at the host
PERIOD_S = 15.0
#: longer periods, whose means vary more than chance allows where the host wanders slowly
LONGER_S = (30.0, 60.0)
#: share of the periods that are left out at each end
TRIMMED = 0.1
#: fewest periods of a length for it to tell anything
FEWEST = 5
#: variance of the mean of looks that follow each other at once, over that of independent ones (two in a row correlate by .6)
BURST = 4.0
#: seconds for which a host holds its level: a series has at most so many independent looks
HOLD_S = 30.0
#: standard deviation of a host's level, as a share, where a single visit tells nothing of it: virtual machines showed 0.13
UNKNOWN_SD = 0.1
#: share of the periods in which a host is taken to be undisturbed for a moment, fewest of them, and their range at most
UNDISTURBED, FEWEST_UNDISTURBED, UNDISTURBED_RANGE = 0.125, 2, 0.06
#: fewest periods that can tell the undisturbed host from one that is always disturbed alike
FEWEST_TOLD = 4
#: quantile of the blocks of a process, or of the visits of a period, that counts as its undisturbed moments
UNDISTURBED_QUANTILE = 0.05
#: a host is quiet, or at most wandering, when its periods have at most this standard deviation
QUIET_SD, WANDERING_SD = 0.01, 0.2

Verdict = Literal["quiet", "wandering", "hostile", "unknown"]


class Visit(NamedTuple):
    """A look at the host: the reference, as one measuring process found it.

    Attributes
    ----------
    at_s : float
        When, seconds on any clock that goes on between processes.
    reference_ms : float
        The reference's latency, ms.
    quiet_ms : float
        Its latency in the fastest twentieth of that look, ms; NaN for a look of a moment, which is taken as it is.
    """

    at_s: float
    reference_ms: float
    quiet_ms: float = math.nan


@dataclass(frozen=True)
class HostLevel:
    """The typical latency of the reference over a time, and how well another time of that length would agree.

    Attributes
    ----------
    typical_ms : float
        Trimmed geometric mean over periods, ms.
    half_width : float
        Half of the interval, as a share, in which another campaign of the same length on the same host finds its typical
        latency, with the confidence asked for.
    spread : float
        Standard deviation of the periods' levels, as a share; NaN for fewer than two periods.
    undisturbed_ms : float
        Latency on this host while nothing disturbs it, ms: a second figure; NaN where the visits do not agree on one.
    periods : int
        Number of periods.
    seconds : float
        From the first visit to the last.
    """

    typical_ms: float
    half_width: float
    spread: float
    undisturbed_ms: float
    periods: int
    seconds: float

    @property
    def verdict(self) -> Verdict:
        """``quiet``, ``wandering`` or ``hostile``, by the spread of its periods; ``unknown`` for fewer than five."""
        if self.periods < FEWEST or math.isnan(self.spread):
            return "unknown"
        if self.spread <= QUIET_SD:
            return "quiet"
        return "wandering" if self.spread <= WANDERING_SD else "hostile"

    def after(self, seconds: float) -> float:
        """Predict the half width after measuring for another length of time, spread in the same way.

        Parameters
        ----------
        seconds : float
            Length of the campaign.

        Returns
        -------
        float
            Half of the interval, as a share; it shrinks with the root of the time.

        Raises
        ------
        ValueError
            If the time is not positive.
        """
        if not seconds > 0:
            raise ValueError(f"a campaign cannot last {seconds!r} seconds; give a positive time.")
        return self.half_width * math.sqrt(max(self.seconds, PERIOD_S) / seconds)


def host_level(visits: Sequence[Visit], confidence: float = 0.95) -> HostLevel:
    """Estimate the typical level of a host, and the interval for another campaign.

    Visits are put into periods; a period counts once, however many visits it has. The estimate is the trimmed mean of the
    periods' log levels. Its error is the largest of those that the periods and, where there are enough, the longer ones
    show: a host that wanders slowly differs more between long periods than independent short ones would. Fewer than five
    periods tell too little of that: there the visits' own spread counts, with their variance times four because they follow
    each other, and a single visit has the spread that virtual machines showed. Nor does a series count for more looks than
    one each half minute, or for less than a single look. The interval is that of a difference of two such estimates.

    Parameters
    ----------
    visits : sequence of Visit
        At least one, in any order.
    confidence : float
        Of the interval.

    Returns
    -------
    HostLevel
        Of the visits.

    Raises
    ------
    ValueError
        Without visits, or for a latency that is not positive and finite.

    References
    ----------
    Tukey and McLaughlin (1963), "Less vulnerable confidence and significance procedures for location based on a single
    sample: trimming/Winsorization 1", Sankhya A 25, 331-352.
    """
    if not visits:
        raise ValueError("a host's level needs at least one visit.")
    wrong = next((v for v in visits if not (math.isfinite(v.reference_ms) and v.reference_ms > 0)), None)
    if wrong is not None:
        raise ValueError(f"the reference's latency {wrong.reference_ms!r} ms is not a positive number.")
    ordered = sorted(visits)
    at = np.array([v.at_s for v in ordered])
    log = np.log([v.reference_ms for v in ordered])
    level = period_levels(at, log, PERIOD_S)
    n = len(level)
    centre, error, freedom = trimmed_mean(level)
    if n >= FEWEST:
        count = min(effective_number(level), 1 + (at[-1] - at[0]) / HOLD_S)
        shrunk = max(1.0, count - 1 - (n - 1 - freedom) * count / n)
        wide = error * math.sqrt(n / count) * student(confidence, shrunk)
        for seconds in LONGER_S:
            longer = period_levels(at, log, seconds)
            if len(longer) >= FEWEST:
                _, own, degrees = trimmed_mean(longer)
                wide = max(wide, own * student(confidence, degrees))
        # another campaign's mean is not further off than its single periods are
        wide = min(wide, float(level.std(ddof=1)) * student(confidence, max(2.0, n / 2)))
    else:
        wide = _burst_half_width(log, float(at[-1] - at[0]), confidence)
    return HostLevel(
        typical_ms=math.exp(centre),
        half_width=math.expm1(math.sqrt(2) * wide),
        spread=float(level.std(ddof=1)) if n > 1 else math.nan,
        undisturbed_ms=_undisturbed(at, [v.reference_ms if math.isnan(v.quiet_ms) else v.quiet_ms for v in ordered]),
        periods=n,
        seconds=float(at[-1] - at[0]),
    )


def _undisturbed(at: FloatArray, quiet_ms: list[float]) -> float:
    """Return the latency in the undisturbed moments of the quietest periods; NaN where these differ, or are too few."""
    labels, log = period_labels(at, PERIOD_S), np.log(quiet_ms)
    each = np.sort([np.quantile(log[labels == p], UNDISTURBED_QUANTILE) for p in np.unique(labels)])
    lowest = each[: max(FEWEST_UNDISTURBED, int(UNDISTURBED * len(each)))]
    if len(each) < FEWEST_TOLD or lowest[-1] - lowest[0] > UNDISTURBED_RANGE:
        return math.nan
    return float(np.exp(np.median(lowest)))


def _burst_half_width(log: FloatArray, seconds: float, confidence: float) -> float:
    """Half width of the interval of a mean of few visits, which may all be of one period."""
    m = len(log)
    if m < 3:  # so few are drawn to what virtual machines showed, which counts as two more
        spread, freedom = math.sqrt((2 * UNKNOWN_SD**2 + (float(log.var(ddof=1)) if m > 1 else 0.0)) / (m + 1)), m + 1.0
    else:
        spread, freedom = float(log.std(ddof=1)), m - 1.0
    return student(confidence, freedom) * spread * math.sqrt(min(max(BURST / m, 1 / (1 + seconds / HOLD_S)), 1.0))


def percent(share: float) -> float | None:
    """Convert a share to per cent, rounded to two places.

    Parameters
    ----------
    share : float
        Such as a `HostLevel.half_width`.

    Returns
    -------
    float or None
        None for what is not known (NaN, infinite).
    """
    return round(100 * share, 2) if math.isfinite(share) else None


def period_labels(at: FloatArray, seconds: float) -> IntArray:
    """Return the number of the period that each visit lies in; a period begins with a visit and lasts so many seconds.

    Parameters
    ----------
    at : numpy.ndarray
        Shape (n,): times in ascending order, seconds.
    seconds : float
        Length of a period.

    Returns
    -------
    numpy.ndarray
        Shape (n,): 0 for the first period, and so on.

    Examples
    --------
    >>> period_labels(np.array([0.0, 5.0, 14.0, 20.0, 34.0, 35.0]), 15.0).tolist()
    [0, 0, 0, 1, 1, 2]
    """
    labels, start = np.zeros(len(at), dtype=np.int64), 0
    for i in range(1, len(at)):
        new = at[i] - at[start] >= seconds
        labels[i] = labels[i - 1] + new
        start = i if new else start
    return labels


def period_levels(at: FloatArray, log: FloatArray, seconds: float) -> FloatArray:
    """Take the median level of each period; see `period_labels`.

    Parameters
    ----------
    at : numpy.ndarray
        Shape (n,): times in ascending order, seconds.
    log : numpy.ndarray
        Shape (n,): logarithms of latencies.
    seconds : float
        Length of a period.

    Returns
    -------
    numpy.ndarray
        Shape (periods,).

    Examples
    --------
    >>> period_levels(np.array([0.0, 5.0, 14.0, 20.0]), np.array([1.0, 3.0, 2.0, 7.0]), 15.0).tolist()
    [2.0, 7.0]
    """
    labels = period_labels(at, seconds)
    return np.array([float(np.median(log[labels == p])) for p in np.unique(labels)])


def trimmed_mean(values: FloatArray, share: float = TRIMMED) -> tuple[float, float, float]:
    """Return the trimmed mean, its standard error by the Winsorized variance, and its degrees of freedom.

    Parameters
    ----------
    values : numpy.ndarray
        Shape (n,).
    share : float
        Left out at each end, rounded down to whole values.

    Returns
    -------
    mean, standard_error, freedom : float
        The error is NaN for a single value; at least one degree of freedom.

    Examples
    --------
    >>> mean, error, freedom = trimmed_mean(np.array([1.0, 2.0, 3.0, 4.0, 100.0]), 0.2)
    >>> mean, round(error, 4), freedom  # of 2, 2, 3, 4, 4: standard deviation 1, over 0.6 times the root of 5
    (3.0, 0.7454, 2.0)
    """
    n = len(values)
    cut = int(share * n)
    ordered = np.sort(values)
    mean = float(ordered[cut : n - cut].mean())
    if n < 2:
        return mean, math.nan, 1.0
    within = ordered.clip(ordered[cut], ordered[n - cut - 1])
    error = float(within.std(ddof=1)) / ((1 - 2 * cut / n) * math.sqrt(n))
    return mean, error, max(1.0, n - 2.0 * cut - 1)


def effective_number(values: FloatArray) -> float:
    """Return how many independent values a series is worth, by the first autocorrelation of its normal scores.

    Parameters
    ----------
    values : numpy.ndarray
        Shape (n,), in the order of time.

    Returns
    -------
    float
        n (1 - r) / (1 + r), where r is 0 to 0.9 and corrected for its bias of -1 / n; at least 2.

    References
    ----------
    Bayley and Hammersley (1946), "The effective number of independent observations in an autocorrelated time series",
    doi 10.2307/2983560.
    """
    n = len(values)
    if n < 3 or np.ptp(values) == 0:
        return float(max(2, n))
    rank = np.argsort(np.argsort(values, kind="stable"), kind="stable")
    score = special.ndtri((rank + 0.5) / n)
    r = float((score[1:] * score[:-1]).sum() / (score**2).sum()) + 1 / n
    r = min(max(r, 0.0), 0.9)
    return max(2.0, n * (1 - r) / (1 + r))
