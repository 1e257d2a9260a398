"""Noise of measured values: standard deviations for a search, and draws of what might be true."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from hwsearch._typing import FloatArray
from hwsearch.campaigns.intervals import log_standard_error
from hwsearch.campaigns.known import Known, Scores
from hwsearch.campaigns.measured import WEIGHTED, WORST, MeasuredSet
from hwsearch.campaigns.score_table import numbers
from hwsearch.campaigns.view import View
from hwsearch.objectives.names import DEVICE_METRICS


def measurement_noise(view: View, measured: MeasuredSet, known: Known) -> FloatArray:
    """Return how well the values of a search are known.

    What is measured on a device has the standard deviation of its interval, of a latency that of its ratio to the
    reference: the host's level moves all alike. Scores are of the same examples for all
    subnets, so that their intervals say little of how two of them compare: theirs are left to whoever sees many.

    Parameters
    ----------
    view : View
        Whose objectives.
    measured : MeasuredSet
        The view's, of the search.
    known : Known
        Where the intervals are.

    Returns
    -------
    FloatArray
        (subnets, objectives) standard deviations in the objectives' units; NaN where they are not known.
    """
    out = np.full((len(measured), len(view.objectives)), np.nan)
    for j, o in enumerate(view.objectives):
        if o.name in (WORST, WEIGHTED):
            out[:, j] = _share_noise(view, measured, known, o.name)
        elif o.metric in DEVICE_METRICS:
            out[:, j] = _device_noise(view, measured, known, view.targets[0].name, o.metric)
    return out


def _device_noise(view: View, measured: MeasuredSet, known: Known, device: str, metric: str) -> FloatArray:
    """Return the standard deviations (subnets,) of one metric on one device, in its unit."""
    return device_noise(known.metric(device, metric), measured.ids, view.campaign.protocol.confidence)


def device_noise(found: Scores, ids: Sequence[str], confidence: float) -> FloatArray:
    """Return how well values of one metric on one device compare.

    Parameters
    ----------
    found : mapping of str to Measurement
        The values by architecture id, of a latency with the interval of its ratio to the reference.
    ids : sequence of str
        The architectures.
    confidence : float
        Of the intervals.

    Returns
    -------
    FloatArray
        (ids,) standard deviations, in the metric's unit; NaN where they are not known.
    """
    value, low, high = (numbers(found, name, ids).tolist() for name in ("value", "ratio_low", "ratio_high"))
    out = np.full(len(ids), np.nan)
    for i, (v, a, b) in enumerate(zip(value, low, high, strict=True)):
        if v and a and b and not math.isnan(v + a + b):
            out[i] = v * log_standard_error(a, b, confidence)
    return out


def _share_noise(view: View, measured: MeasuredSet, known: Known, name: str) -> FloatArray:
    """Return the standard deviations (subnets,) of a share: of the worst device, or of the mean of independent latencies."""
    assert measured.scales is not None
    each = [_device_noise(view, measured, known, t.name, "latency_ms") for t in view.targets]
    error = np.stack(each, axis=1) / measured.scales
    if name == WORST:
        latency = measured.frame[[f"latency_ms@{t.name}" for t in view.targets]].to_numpy(dtype=np.float64)
        worst = np.argmax(np.nan_to_num(latency / measured.scales), axis=1)
        return np.asarray(error[np.arange(len(error)), worst])
    return np.asarray(np.sqrt(error**2 @ (view.weights / view.weights.sum()) ** 2))


def draws(view: View, measured: MeasuredSet, size: int, rng: np.random.Generator) -> FloatArray:
    """Draw what the true values might be, given the final measurements.

    What is measured on a device is drawn independently, log-normal, with its own error (half of the variance that its
    interval has), of a latency that of its ratio to the reference; the rest stays as measured.

    Parameters
    ----------
    view : View
        Whose front.
    measured : MeasuredSet
        Final measurements, with columns ``METRIC_low`` and ``METRIC_high``.
    size : int
        Number of draws.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    FloatArray
        (size, subnets, objectives of the front) costs: smaller is better.
    """
    frame, n = measured.frame, len(measured)

    def drawn(metric: str, at: str = "") -> FloatArray:
        value = measured.values(f"{metric}{at}")
        kind = "ratio_" if f"{metric}_ratio_low{at}" in frame else ""  # the host's level is common to all of a device
        ends = [frame.get(f"{metric}_{kind}{end}{at}") for end in ("low", "high")]
        if any(e is None for e in ends):
            return np.broadcast_to(value, (size, n))
        confidence = view.campaign.final_protocol.confidence
        error = np.array(
            [
                log_standard_error(low, high, confidence) if low and high and low > 0 else 0.0
                for low, high in zip(*ends, strict=True)
            ]
        )
        return np.asarray(value * np.exp(error * rng.standard_normal((size, n))))

    columns = []
    latency: dict[str, FloatArray] = {}
    if view.joint:
        assert measured.scales is not None
        each = np.stack([drawn("latency_ms", f"@{t.name}") for t in view.targets], axis=-1)
        latency = view.shares(each, measured.scales)
    for o in view.front_objectives:
        if o.name in latency:
            values = latency[o.name]
        elif o.metric in DEVICE_METRICS:
            values = drawn(o.metric)
        else:
            values = np.broadcast_to(measured.values(o.metric), (size, n))
        columns.append(values * o.sign)
    return np.stack(columns, axis=-1)
