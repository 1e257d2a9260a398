"""The level of a host along time: what its speed typically is, and where another campaign would find it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np
from scipy import special

from hwsearch._json import finite_or_none
from hwsearch._typing import FloatArray, IntArray
from hwsearch.devices.timing.speeds import Speed, host_speeds
from hwsearch.devices.timing.statistics import Margin, student

#: seconds of a period, whose visits count as one look at the host
PERIOD_S = 15.0
#: longer periods, whose means vary more than chance allows where the host wanders slowly
LONGER_S = (30.0, 60.0)
#: fewest periods of a length for it to tell anything
FEWEST = 5
#: a longer pause between visits is no time in which anybody looked: a host that was suspended, a campaign taken up the next day
PAUSE_S = 600.0
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
#: quantile of the levels in a period that counts as its undisturbed moments
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
    levels_ms : tuple of float
        The reference's latency along that look, each for an equal part of it, in any order, ms; by default the one latency.
    """

    at_s: float
    reference_ms: float
    levels_ms: tuple[float, ...] = ()


class HostSpeed(NamedTuple):
    """A speed at which a host is found.

    Attributes
    ----------
    reference_ms : float
        The reference's latency at that speed, ms.
    share : float
        Share of the time in which the host is closer to it than to its other speeds.
    """

    reference_ms: float
    share: float


@dataclass(frozen=True)
class HostLevel:
    """The typical latency of the reference over a time, and how well another time of that length would agree.

    Attributes
    ----------
    typical_ms : float
        At the speed that the host has most often, ms.
    width : float
        Half of the interval, as a share, in which another campaign of the same length on the same host finds a speed, with the
        confidence asked for.
    spread : float
        Standard deviation of the periods' levels, as a share; NaN for fewer than two periods.
    undisturbed_ms : float
        Latency on this host while nothing disturbs it, ms: a second figure; NaN where the visits do not agree on one.
    periods : int
        Number of periods.
    seconds : float
        From the first visit to the last, of which pauses count ten minutes at most.
    fastest_ms, slowest_ms : float
        At the fastest and the slowest of the speeds that another campaign may find most often, ms; both are the typical
        latency where the host has one speed, or one that is clearly the most frequent. By default the typical latency.
    speeds : tuple of HostSpeed
        All speeds of the host, the typical one first.
    freedom : float
        Degrees of freedom of the variance that `width` rests on.
    """

    typical_ms: float
    width: float
    spread: float
    undisturbed_ms: float
    periods: int
    seconds: float
    fastest_ms: float = math.nan
    slowest_ms: float = math.nan
    speeds: tuple[HostSpeed, ...] = ()
    freedom: float = math.inf

    @property
    def faster(self) -> float:
        """Logarithm of the typical latency over the fastest that another campaign may find typical; 0 for one speed."""
        return 0.0 if math.isnan(self.fastest_ms) else math.log(self.typical_ms / self.fastest_ms)

    @property
    def slower(self) -> float:
        """Logarithm of the slowest latency that another campaign may find typical over the typical one; 0 for one speed."""
        return 0.0 if math.isnan(self.slowest_ms) else math.log(self.slowest_ms / self.typical_ms)

    @property
    def half_width(self) -> float:
        """The wider half of the interval for another campaign's typical latency, as a share, other speeds included."""
        return self.after(max(self.seconds, PERIOD_S))

    @property
    def ends(self) -> tuple[float, float]:
        """Ends of the interval for another campaign's typical latency, as shares of the typical one: negative and positive."""
        own = math.log1p(self.width)
        return math.expm1(-self.faster - own), math.expm1(self.slower + own)

    @property
    def verdict(self) -> Verdict:
        """``quiet``, ``wandering`` or ``hostile``, by the spread of its periods; ``unknown`` for fewer than five."""
        if self.periods < FEWEST or math.isnan(self.spread):
            return "unknown"
        if self.spread <= QUIET_SD:
            return "quiet"
        return "wandering" if self.spread <= WANDERING_SD else "hostile"

    def beside_other_work(self) -> HostLevel:
        """Return the level of a host that other programs kept busy: another day they may be gone.

        Returns
        -------
        HostLevel
            Whose interval reaches to the undisturbed latency, where that can be told.
        """
        if math.isnan(self.undisturbed_ms):
            return self
        fastest = self.typical_ms if math.isnan(self.fastest_ms) else self.fastest_ms
        return replace(self, fastest_ms=min(fastest, self.undisturbed_ms))

    def after(self, seconds: float) -> float:
        """Predict the half width after measuring for another length of time, spread in the same way.

        Parameters
        ----------
        seconds : float
            Length of the campaign.

        Returns
        -------
        float
            The wider half of the interval, as a share. What is unknown of a speed shrinks with the root of the time; that the
            host may be found at another of its speeds does not.

        Raises
        ------
        ValueError
            If the time is not positive.
        """
        if not seconds > 0:
            raise ValueError(f"a campaign cannot last {seconds!r} seconds; give a positive time.")
        own = self.width * math.sqrt(max(self.seconds, PERIOD_S) / seconds)
        return math.expm1(math.log1p(own) + max(self.faster, self.slower))


def host_level(visits: Sequence[Visit], confidence: float = 0.95) -> HostLevel:
    """Estimate the typical level of a host, and the interval for another campaign.

    Visits are put into periods; a period counts once, however many visits it has. The estimate is the speed at which the
    host is found most often (`hwsearch.devices.timing.speeds.host_speeds`). Its error is the largest of those that the periods
    and, where there are enough, the longer ones show: a host that wanders slowly differs more between long periods than
    independent short ones would. Fewer than five periods tell too little of that: there the visits' own spread counts, with
    their variance times four because they follow each other, and a single visit has the spread that virtual machines showed.
    Nor does a series count for more looks than one each half minute, or for less than a single look. The interval is that of
    a difference of two such estimates. Another speed belongs to it as well, unless the host is found there so much less often
    that another campaign would, with the confidence asked for, see the same.

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
    """
    if not visits:
        raise ValueError("a host's level needs at least one visit.")
    wrong = next(
        (ms for v in visits for ms in (v.reference_ms, *v.levels_ms) if not (math.isfinite(ms) and ms > 0)), None
    )
    if wrong is not None:
        raise ValueError(f"the reference's latency {wrong!r} ms is not a positive number.")
    ordered = sorted(visits)
    at = np.array([v.at_s for v in ordered])
    log = np.log([v.reference_ms for v in ordered])
    labels = period_labels(at, PERIOD_S)
    places = [np.flatnonzero(labels == p) for p in np.unique(labels)]
    parts = [np.log([ms for i in own for ms in ordered[i].levels_ms or (ordered[i].reference_ms,)]) for own in places]
    level = np.array([float(np.median(log[own])) for own in places])
    speeds = host_speeds(parts)
    typical, rest = speeds[0], speeds[1:]
    gaps, n = np.diff(at), len(parts)
    seconds, looks = float(np.minimum(gaps, PAUSE_S).sum()), 1 + float(np.minimum(gaps, HOLD_S).sum()) / HOLD_S
    if n >= FEWEST:
        began = np.array([at[own[0]] for own in places])
        margin = _margin(began, typical.pseudo, typical.informative, looks, confidence)
        rest = [s for s in rest if not _clearly_rarer(began, typical, s, looks, confidence)]
    else:
        margin = _burst_margin(log, looks, confidence)
    found = [math.exp(s.level) for s in (typical, *rest)]
    return HostLevel(
        typical_ms=found[0],
        width=math.expm1(math.sqrt(2) * margin.half_width),
        spread=float(level.std(ddof=1)) if n > 1 else math.nan,
        undisturbed_ms=_undisturbed(parts),
        periods=n,
        seconds=seconds,
        fastest_ms=min(found),
        slowest_ms=max(found),
        speeds=tuple(HostSpeed(math.exp(s.level), s.share) for s in speeds),
        freedom=margin.freedom,
    )


def _margin(began: FloatArray, pseudo: FloatArray, informative: float, looks: float, confidence: float) -> Margin:
    """Margin of error of the mean of what periods say, by how many independent ones they are worth."""
    n, spread = len(pseudo), float(pseudo.std(ddof=1))
    count = min(effective_number(pseudo), looks)
    found = [_mean_margin(spread, count, max(1.0, (count - 1) * informative / n), confidence)]
    for longer in LONGER_S:
        labels = period_labels(began, longer)
        means = np.bincount(labels, pseudo) / np.bincount(labels)
        if len(means) >= FEWEST:
            found.append(_mean_margin(float(means.std(ddof=1)), len(means), len(means) - 1.0, confidence))
    # another campaign's mean is not further off than its single periods are
    return min(max(found), _mean_margin(spread, 1.0, max(2.0, n / 2), confidence))


def _mean_margin(spread: float, count: float, freedom: float, confidence: float) -> Margin:
    return Margin(spread / math.sqrt(count) * student(confidence, freedom), freedom)


def _clearly_rarer(began: FloatArray, typical: Speed, other: Speed, looks: float, confidence: float) -> bool:
    """Whether another campaign too would find the host more often at its typical speed than at the other."""
    more = typical.near - other.near
    return float(more.mean()) > math.sqrt(2) * _margin(began, more, len(more), looks, confidence).half_width


def _undisturbed(periods: list[FloatArray]) -> float:
    """Return the latency in the undisturbed moments of the quietest periods; NaN where these differ, or are too few."""
    each = np.sort([np.quantile(levels, UNDISTURBED_QUANTILE) for levels in periods])
    lowest = each[: max(FEWEST_UNDISTURBED, int(UNDISTURBED * len(each)))]
    if len(each) < FEWEST_TOLD or lowest[-1] - lowest[0] > UNDISTURBED_RANGE:
        return math.nan
    return float(np.exp(np.median(lowest)))


def _burst_margin(log: FloatArray, looks: float, confidence: float) -> Margin:
    """Margin of error of a mean of few visits, which may all be of one period."""
    m = len(log)
    if m < 3:  # so few are drawn to what virtual machines showed, which counts as two more
        spread, freedom = math.sqrt((2 * UNKNOWN_SD**2 + (float(log.var(ddof=1)) if m > 1 else 0.0)) / (m + 1)), m + 1.0
    else:
        spread, freedom = float(log.std(ddof=1)), m - 1.0
    share = min(max(BURST / m, 1 / looks), 1.0)
    return _mean_margin(spread, 1 / share, freedom, confidence)


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
    return finite_or_none(100 * share, 2)


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
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    rank = (np.cumsum(counts) - (counts - 1) / 2)[place]  # equal values share their mean rank: they are no trend
    score = special.ndtri((rank - 0.5) / n)
    r = float((score[1:] * score[:-1]).sum() / (score**2).sum()) + 1 / n
    r = min(max(r, 0.0), 0.9)
    return max(2.0, n * (1 - r) / (1 + r))
