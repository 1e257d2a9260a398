"""Limits that hold with a stated probability: bounds of measured values, and tests in a fixed sequence."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from scipy import special

from hwsearch._typing import BoolArray, FloatArray
from hwsearch.accuracy import Z95
from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.measured import WEIGHTED, WORST, MeasuredSet
from hwsearch.campaigns.view import View
from hwsearch.devices.timing.statistics import student
from hwsearch.objectives.limit import Limit
from hwsearch.objectives.names import SCORE_METRICS


def confidence_level(campaign: Campaign, metric: str) -> float:
    """Return the confidence of a metric's intervals.

    Parameters
    ----------
    campaign : Campaign
        Whose protocol.
    metric : str
        ``accuracy``, ``verified_accuracy``, or what is measured on a device.

    Returns
    -------
    float
        0.95 for a score, the final protocol's confidence for what is measured on a device.
    """
    return 2 * float(special.ndtr(Z95)) - 1 if metric in SCORE_METRICS else campaign.final_protocol.confidence


def standard_errors(view: View, measured: MeasuredSet, column: str, limit: Limit) -> FloatArray:
    """Return the standard deviations, on a limit's side, of what a repeated campaign finds.

    Parameters
    ----------
    view : View
        Whose front.
    measured : MeasuredSet
        Final measurements.
    column : str
        ``latency_ms``, ``accuracy``, ``latency_ms@DEVICE``, the weighted share, and so on.
    limit : Limit
        Tells which end of the intervals counts: the upper for ``<=``.

    Returns
    -------
    FloatArray
        (n,) in the column's unit; 0 where no interval is known.
    """
    frame = measured.frame
    if column == WEIGHTED:  # a weighted mean of independent errors
        assert measured.scales is not None
        own = np.stack([standard_errors(view, measured, f"latency_ms@{t.name}", limit) for t in view.targets], axis=-1)
        unit = view.shares(np.eye(len(view.targets)), measured.scales)[WEIGHTED]
        return np.asarray(np.sqrt(((own * unit) ** 2).sum(axis=-1)))
    metric, at, device = column.partition("@")
    side = f"{metric}_{'high' if limit.op == '<=' else 'low'}"
    name = next((n for n in (f"{side}{at}{device}", side) if n in frame.columns), None)
    if name is None:
        return np.zeros(len(frame))
    half = np.abs(measured.values(name) - measured.values(column))
    return np.asarray(np.nan_to_num(half, nan=0.0) / student(confidence_level(view.campaign, metric), math.inf))


def bounds(view: View, measured: MeasuredSet, column: str, limit: Limit, probability: float) -> FloatArray:
    """Bound measured values on a limit's side: upper bounds for ``<=``, lower ones for ``>=``.

    The measured interval, where a repeated campaign finds the value, is taken as that of a normal distribution. For the
    worst of k devices each is bounded with 1 - (1 - probability) / k (Bonferroni).

    Parameters
    ----------
    view : View
        Whose front.
    measured : MeasuredSet
        Final measurements.
    column : str
        The column that is bounded.
    limit : Limit
        Tells the side.
    probability : float
        With which a repeated campaign finds no value beyond the bound.

    Returns
    -------
    FloatArray
        (n,) bounds in the column's unit.
    """
    sign = 1.0 if limit.op == "<=" else -1.0
    if column == WORST:
        assert measured.scales is not None
        z = float(special.ndtri(1 - (1 - probability) / len(view.targets)))
        columns = [f"latency_ms@{t.name}" for t in view.targets]
        latency = np.stack([measured.values(c) for c in columns], axis=-1)
        error = np.stack([standard_errors(view, measured, c, limit) for c in columns], axis=-1)
        return view.shares(latency + sign * z * error, measured.scales)[WORST]
    error = standard_errors(view, measured, column, limit)
    return np.asarray(measured.values(column) + sign * float(special.ndtri(probability)) * error)


def chance(view: View, measured: MeasuredSet, column: str, limit: Limit) -> float:
    """Return the probability that a repeated campaign finds a limit met.

    Parameters
    ----------
    view : View
        Whose front.
    measured : MeasuredSet
        Final measurements of one subnet.
    column : str
        The column that is limited.
    limit : Limit
        The limit, as a number.

    Returns
    -------
    float
        For the worst of several devices, the product over the devices.
    """
    if column == WORST:
        assert measured.scales is not None
        each = [
            chance(view, measured, f"latency_ms@{t.name}", replace(limit, value=limit.value * float(scale)))
            for t, scale in zip(view.targets, measured.scales, strict=True)
        ]
        return float(np.prod(each))
    room = limit.value - float(measured.values(column)[0])
    room = room if limit.op == "<=" else -room
    error = float(standard_errors(view, measured, column, limit)[0])
    return float(special.ndtr(room / error)) if error > 0 else float(room >= 0)


def asked_probability(campaign: Campaign, view: View, column: str) -> float | None:
    """Return the probability with which the configuration asks a limit to be met.

    Parameters
    ----------
    campaign : Campaign
        Whose objectives.
    view : View
        The front that the limit is on.
    column : str
        The column that is limited.

    Returns
    -------
    float or None
        None where the measured value alone is to meet the limit.
    """
    metric, _, device = column.partition("@")
    named = campaign.objectives(device) if device and view.joint else list(view.objectives)
    return next((o.probability for o in named if column in (o.name, o.metric) or (device and metric == o.metric)), None)


def fixed_sequence_test(bounded: FloatArray, limit: Limit, order: FloatArray) -> BoolArray:
    """Accept subnets by a fixed-sequence test; the family-wise error is that of one test.

    Taking the best of many that pass would make a lucky measurement likely. So they are tested one by one in an order
    fixed before, from the safest, and the first that fails ends the test.

    Parameters
    ----------
    bounded : FloatArray
        (n,) bounds of the values, see `bounds`.
    limit : Limit
        What the bounds must meet.
    order : FloatArray
        (n,) values of the same metric known before, independently of `bounded`; NaN, which comes last, where there is none.

    Returns
    -------
    BoolArray
        (n,) which subnets are accepted.

    References
    ----------
    W. Maurer, L. A. Hothorn, W. Lehmacher (1995). "Multiple comparisons in drug clinical trials and preclinical assays:
    a-priori ordered hypotheses." Biometrie in der chemisch-pharmazeutischen Industrie 6, 3-18.

    Examples
    --------
    >>> fixed_sequence_test(np.array([4.0, 5.5, 1.0]), Limit("<=", 5.0), np.array([1.0, 2.0, 3.0])).tolist()
    [True, False, False]
    """
    safest = order if limit.op == "<=" else -order
    places = np.argsort(np.where(np.isnan(safest), np.inf, safest), kind="stable")
    passed = limit.met(bounded)[places]
    until = len(passed) if passed.all() else int(np.argmin(passed))
    mask = np.zeros(len(bounded), dtype=bool)
    mask[places[:until]] = True
    return mask


def accepted(value: FloatArray, bounded: FloatArray, searched: FloatArray, limit: Limit) -> BoolArray:
    """Accept subnets whose bounds meet a limit, tested from the one that the search's value makes the safest.

    The order is by the search's value plus the margin of the final measurement: a subnet with a wide interval may be less
    safe than one with a larger value that is known better.

    Parameters
    ----------
    value : FloatArray
        (n,) final measurements.
    bounded : FloatArray
        (n,) their bounds on the limit's side.
    searched : FloatArray
        (n,) values measured in the search, independently; NaN where there is none.
    limit : Limit
        What must be met.

    Returns
    -------
    BoolArray
        (n,) which subnets are accepted.

    Examples
    --------
    >>> value, bounded = np.array([9.0, 9.5]), np.array([11.0, 9.6])
    >>> accepted(value, bounded, np.array([9.0, 9.5]), Limit("<=", 10.0)).tolist()
    [False, True]
    """
    return fixed_sequence_test(bounded, limit, searched + (bounded - value))
