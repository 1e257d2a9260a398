"""Intervals of measured values: their standard error, and several measurements pooled into one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any

import numpy as np

from hwsearch.devices.timing.statistics import student
from hwsearch.store import Measurement


def log_standard_error(low: float, high: float, confidence: float) -> float:
    """Return the standard error of the logarithm of a measured value.

    The interval is where a repeated campaign finds the value, whose variance is twice that of the value itself.

    Parameters
    ----------
    low, high : float
        Ends of the interval, positive, in any unit.
    confidence : float
        Of the interval.

    Returns
    -------
    float
        Standard deviation of the logarithm.

    Examples
    --------
    >>> round(log_standard_error(0.99, 1.01, 0.95), 5)
    0.00361
    """
    return math.log(high / low) / 2 / student(confidence, math.inf) / math.sqrt(2)


def ratio_ends(row: Measurement) -> tuple[float | None, float | None]:
    """Return the interval that compares what is measured on one device.

    Parameters
    ----------
    row : Measurement
        A latency, whose host's level is common to all of the device, or another metric.

    Returns
    -------
    low, high : float or None
        Of a latency the ends of the ratio's interval, in ms; of another metric those of its own; None where there are none.
    """
    return row.details.get("ratio_low", row.low), row.details.get("ratio_high", row.high)


def score_error(m: Measurement | None) -> float:
    """Return the standard error of a score.

    Parameters
    ----------
    m : Measurement or None
        An accuracy.

    Returns
    -------
    float
        In the score's unit; NaN without a measurement.
    """
    return float(m.details["standard_error"]) if m is not None else math.nan


def pool(rows: Sequence[Measurement], confidence: float) -> Measurement:
    """Pool several measurements of the same subnet, metric, device and protocol.

    Logarithms are weighted by the number of processes they rest on, and not by their intervals, whose own error would make
    the common one too narrow. Where the values differ by more than their intervals explain, the interval is widened by the
    Birge ratio: the root of chi-square over its degrees of freedom.

    Parameters
    ----------
    rows : sequence of Measurement
        Oldest first, at least one.
    confidence : float
        Of their intervals.

    Returns
    -------
    Measurement
        The first one, with the common value and interval, and the number of ``rounds`` in its `details`. Values without
        intervals are averaged.

    References
    ----------
    R. T. Birge (1932). "The calculation of errors by the method of least squares." Physical Review 40, 207.
    doi:10.1103/PhysRev.40.207
    """
    if len(rows) == 1:
        return rows[0]
    first, last = rows[0], rows[-1]
    common: dict[str, Any] = {"repeats": sum(m.repeats for m in rows), "ended_at": max(m.ended_at for m in rows)}
    values = [float(m.value) for m in rows if m.value is not None]
    ends = [(m.low, m.high) for m in rows if m.low is not None and m.high is not None and m.low > 0]
    if len(ends) < len(rows) or min(values) <= 0:
        return replace(first, value=fmean(values), details={**first.details, "rounds": len(rows)}, **common)
    logs = np.log(values)
    error = np.array([max(log_standard_error(low, high, confidence), 1e-9) for low, high in ends])
    processes = np.array([float(m.details.get("processes") or 1) for m in rows])
    weight = processes / processes.sum()
    centre = float(weight @ logs)
    scatter = float((((logs - centre) / error) ** 2).sum() / (len(rows) - 1))
    own = math.sqrt(float((weight * error) @ (weight * error)) * max(1.0, scatter))
    wide = own * math.sqrt(2) * student(confidence, math.inf)
    value = math.exp(centre)
    details = {**first.details, "rounds": len(rows)}
    low, high = value * math.exp(-wide), value * math.exp(wide)
    return replace(
        first, value=value, low=low, high=high, spread=(high - low) / 2, details=details, run=last.run, **common
    )
