"""The estimate of latencies from what several processes found of the same candidates."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from hwsearch.devices.timing.level import PERIOD_S, HostLevel, host_level
from hwsearch.devices.timing.protocol import TimingProtocol
from hwsearch.devices.timing.ratios import Look, RatioEstimates, ratio_estimates, visits_of
from hwsearch.devices.timing.sample import Sample
from hwsearch.devices.timing.sensitivity import Sensitivity
from hwsearch.devices.timing.statistics import Margin, joined_margin
from hwsearch.devices.timing.timing import Timing

#: sensitivity of a model that slows down exactly as the reference does
EVEN = Sensitivity(0.0, 0.0)


class LatencyInterval(NamedTuple):
    """A latency with its two intervals, ms.

    Attributes
    ----------
    value : float
        The ratio to the reference at the host's typical level.
    low, high : float
        Where another campaign finds it.
    ratio_low, ratio_high : float
        Where it finds the ratio, times the same typical latency of the reference.
    undisturbed : float
        The latency while nothing disturbs the host; NaN where that cannot be told.
    """

    value: float
    low: float
    high: float
    ratio_low: float
    ratio_high: float
    undisturbed: float


def at_level(
    log_ratio: float, ratio: Margin, level: HostLevel, sensitivity: Sensitivity = EVEN, confidence: float = 0.95
) -> LatencyInterval:
    """Bring a ratio to the typical level of a host; the errors of both are joined.

    Where another campaign finds the host slower by a share x, it finds a model of sensitivity s slower by (1 + s) x, and its
    ratio by s x. Where it may find the host at another of its speeds, the interval reaches from one to the other.

    Parameters
    ----------
    log_ratio : float
        Logarithm of the latency over the reference's.
    ratio : Margin
        Of that logarithm.
    level : HostLevel
        Of the reference.
    sensitivity : Sensitivity
        Of the model; by default it slows down as the reference does.
    confidence : float
        Of the margins given and of the intervals.

    Returns
    -------
    LatencyInterval
        In ms.
    """
    value, moved = math.exp(log_ratio) * level.typical_ms, math.log1p(level.width)
    unsure = sensitivity.error * (moved + max(level.faster, level.slower))
    ends = []
    for share in (1 + sensitivity.value, sensitivity.value):
        wider = joined_margin([ratio, Margin(share * moved, level.freedom), Margin(unsure)], confidence)
        down, up = sorted((-share * level.faster, share * level.slower))
        ends += [value * math.exp(min(down, 0.0) - wider), value * math.exp(max(up, 0.0) + wider)]
    low, high, ratio_low, ratio_high = ends
    undisturbed = value * (level.undisturbed_ms / level.typical_ms) ** (1 + sensitivity.value)
    return LatencyInterval(value, low, high, ratio_low, ratio_high, undisturbed)


def latency_intervals(found: RatioEstimates, level: HostLevel, confidence: float) -> list[LatencyInterval]:
    """Bring ratios to the typical level of a host; see `at_level`.

    Parameters
    ----------
    found : RatioEstimates
        Of n candidates.
    level : HostLevel
        Of the reference.
    confidence : float
        Of the margins of both, and of the intervals.

    Returns
    -------
    list of LatencyInterval
        One a candidate, in ms.
    """
    return list(each_interval(found, level, confidence))


def each_interval(found: RatioEstimates, level: HostLevel, confidence: float) -> Iterator[LatencyInterval]:
    """Bring ratios to the typical level of a host, one by one; see `latency_intervals`.

    Parameters
    ----------
    found : RatioEstimates
        Of n candidates.
    level : HostLevel
        Of the reference.
    confidence : float
        Of the margins of both, and of the intervals.

    Yields
    ------
    LatencyInterval
        Of each candidate, in ms.
    """
    columns = np.stack([found.centre, found.wide, found.freedom, found.slope, found.slope_error], axis=1)
    for row in columns:
        centre, wide, freedom, slope, error = row.tolist()
        yield at_level(centre, Margin(wide, freedom), level, Sensitivity(slope, error), confidence)


def not_converged(timings: Sequence[Timing], protocol: TimingProtocol) -> list[int]:
    """List the timings that are not yet as precise as the protocol asks.

    Parameters
    ----------
    timings : sequence of Timing
        As `combine` gives them.
    protocol : TimingProtocol
        Its `half_width` is asked for.

    Returns
    -------
    list of int
        Their places. Failures are not among them; a precision that is not known is.
    """
    return [i for i, t in enumerate(timings) if t.failure is None and not t.precision <= protocol.half_width]


def combine(
    samples: Sequence[Sequence[Sample | None]],
    protocol: TimingProtocol,
    *,
    at: Sequence[float] | None = None,
    level: HostLevel | None = None,
) -> list[Timing]:
    """Combine what several processes found of the same candidates; a candidate that failed in one has failed.

    A latency is the ratio to the reference (`hwsearch.devices.timing.ratios.ratio_estimates`) times the typical latency of
    the reference (`hwsearch.devices.timing.level.host_level`); its interval holds both their errors.

    Parameters
    ----------
    samples : sequence of sequence of Sample or None
        Shape (processes, candidates). A process may lack candidates that had converged before: then it has None there.
    protocol : TimingProtocol
        Confidence of the intervals.
    at : sequence of float, optional
        Shape (processes,): when each process measured, seconds; by default each in a period of its own.
    level : HostLevel, optional
        To whose typical latency values are brought; by default that of these processes.

    Returns
    -------
    list of Timing
        One a candidate.
    """
    if not samples:
        return []
    n = len(samples[0])
    times = [PERIOD_S * k for k in range(len(samples))] if at is None else [float(t) for t in at]
    rows = [[(t, s) for t, row in zip(times, samples, strict=True) if (s := row[i]) is not None] for i in range(n)]
    failures = [next((s.failure for _, s in row if s.failure is not None), None) for row in rows]
    good = [i for i in range(n) if failures[i] is None and rows[i]]
    looks = {i: [_look(t, s) for t, s in rows[i]] for i in good}
    visits = visits_of(look for own in looks.values() for look in own)
    if not visits:
        return [Timing(failure=f) for f in failures]
    level = level or host_level(visits, protocol.confidence)
    found = ratio_estimates(list(looks.values()), protocol.confidence, level.typical_ms)
    intervals = latency_intervals(found, level, protocol.confidence)
    out = [Timing(failure=f) for f in failures]
    for k, i in enumerate(good):
        parts = [s for _, s in rows[i]]
        out[i] = Timing(
            **intervals[k]._asdict(),
            precision=float(found.precision[k]),
            looks=tuple(looks[i]),
            loads=np.concatenate([s.ratio for s in parts]) * level.typical_ms,
            raw=np.concatenate([s.raw for s in parts]),
            minima=np.concatenate([s.minima for s in parts]),
            runs=np.concatenate([s.runs for s in parts]),
            typical=level.typical_ms,
            reference=float(np.median([s.reference for s in parts])),
            throttled=sum(s.throttled for s in parts),
        )
    return out


def _look(at_s: float, sample: Sample) -> Look:
    logs = np.log(sample.ratio)
    variance = float(logs.var(ddof=1)) / len(logs) if len(logs) > 1 else math.nan
    return Look(
        at_s,
        float(logs.mean()),
        variance,
        sample.reference,
        sample.reference_error,
        sample.sensitivity,
        sample.sensitivity_error,
        tuple(sample.levels.tolist()),
    )
