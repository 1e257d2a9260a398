"""Interval of what several members take together, from their own intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from hwsearch.devices.timing.statistics import student


@dataclass(frozen=True)
class Interval:
    """A measured latency, in ms.

    Attributes
    ----------
    value, low, high : float
        With the ends of its interval.
    ratio_low, ratio_high : float
        Ends of the interval of its ratio to the reference, in ms: without the error of the host's level, which is the same for
        all of a device. NaN where that cannot be told.
    """

    value: float
    low: float
    high: float
    ratio_low: float = math.nan
    ratio_high: float = math.nan


def sum_interval(parts: Sequence[Interval]) -> Interval:
    """Compute the interval of a sum of latencies of one device.

    The error of a latency has two parts. That of its ratio to the reference is its own: such errors are added in quadrature
    about the sum (method of variance estimates recovery). That of the host's level is common to all: it is added up. An
    interval whose parts are not known, or whose ratio's is the wider one, counts as common as a whole: that makes the sum's
    wider.

    Parameters
    ----------
    parts : sequence of Interval
        At least one.

    Returns
    -------
    Interval
        Of the sum.

    References
    ----------
    G. Y. Zou, A. Donner (2008). "Construction of confidence limits about effect measures: a general approach." Statistics in
    Medicine 27, 1693. doi:10.1002/sim.3095

    Examples
    --------
    >>> found = sum_interval([Interval(3.0, 2.5, 3.5, 2.7, 3.3), Interval(4.0, 3.5, 4.5, 3.6, 4.4)])
    >>> round(found.high, 9)  # 0.5, and 0.4 + 0.3
    7.860232527
    """
    value = sum(p.value for p in parts)
    own_low, common_low = _halves([(p.value - p.low, p.value - p.ratio_low) for p in parts])
    own_high, common_high = _halves([(p.high - p.value, p.ratio_high - p.value) for p in parts])
    return Interval(
        value,
        value - math.hypot(own_low, common_low),
        value + math.hypot(own_high, common_high),
        value - own_low,
        value + own_high,
    )


def max_interval(parts: Sequence[Interval], confidence: float) -> Interval:
    """Compute the interval of the largest of several latencies.

    The low end is the largest of the low ends. The high end is the largest of the high ends, each moved out to the confidence
    that all of k hold together (Bonferroni).

    Parameters
    ----------
    parts : sequence of Interval
        At least one.
    confidence : float
        Of their intervals, in (0, 1).

    Returns
    -------
    Interval
        Of the maximum; the ends of its ratio are not known.
    """
    alone, together = student(confidence, math.inf), student(1 - (1 - confidence) / len(parts), math.inf)
    return Interval(
        max(p.value for p in parts),
        max(p.low for p in parts),
        max(p.value + (p.high - p.value) * together / alone for p in parts),
    )


def _halves(parts: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Own errors in quadrature and common ones in sum, of half widths (whole, of the ratio)."""
    own = [ratio if 0 <= ratio <= whole else 0.0 for whole, ratio in parts]  # NaN is neither
    common = [math.sqrt(whole**2 - ratio**2) for (whole, _), ratio in zip(parts, own, strict=True)]
    return math.hypot(*own), sum(common)
