"""Limits: found out of reach before a search, met with a stated probability, and what they mean to a search."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from hwsearch._typing import FloatArray
from hwsearch.accuracy import Z90
from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.frames import WEIGHTED, WORST, archs_of
from hwsearch.campaigns.known import find_accuracy, find_metric
from hwsearch.campaigns.view import View, latency_limit
from hwsearch.devices.timing.statistics import student
from hwsearch.objectives.computed import computed_metric
from hwsearch.objectives.limit import Limit
from hwsearch.objectives.names import DEVICE_METRICS
from hwsearch.objectives.objective import Objective
from hwsearch.spaces import Architecture

#: measured subnets nearest to a limit whose intervals tell how uncertain values are there
NEAREST = 20


#: subnets for which limits are predicted before a search
DRAWN = 2000


def unlikely(campaign: Campaign, view: View, frame: pd.DataFrame) -> str | None:
    """What is said before a search whose limits look as if no subnet met all of them together; None where one may.

    frame : of the search. Says so when no measured subnet meets them, and none of `DRAWN` subnets, spread over cost, does at
    the better end of the predictors' 99 % intervals. Not an error: a prediction proves nothing.
    """
    limited = [(o, o.limit) for o in view.resolved(frame) if o.limit is not None]
    names = [o.name for o, _ in limited]
    full = frame[frame[names].notna().all(axis=1)]
    met = [limit.met(full[o.name].to_numpy(dtype=np.float64)) for o, limit in limited]
    if not limited or not len(full) or np.all(met, axis=0).any():
        return None
    drawn = _drawn_met(campaign, view, limited)
    if drawn is None or drawn.any():
        return None
    return (
        f"no subnet of {len(full)} measured on {view.name} meets {' and '.join(f'{o.metric} {limit}' for o, limit in limited)}"
        f"{' together' if len(limited) > 1 else ''}, and none of {len(drawn):,} others is predicted to: the search may be in "
        "vain. Loosen a limit, or stop here."
    )


def _drawn_met(campaign: Campaign, view: View, limited: Sequence[tuple[Objective, Limit]]) -> NDArray[np.bool_] | None:
    """Which of `DRAWN` subnets may meet the limits, by prediction; None where nothing can be predicted."""
    archs = campaign.space.sample_balanced(DRAWN, campaign.rng("limits"), campaign.loaded.balanced_cost)
    may = np.ones(len(archs), dtype=bool)
    for o, limit in limited:
        device = view.name if o.metric in DEVICE_METRICS else None
        if o.name == WORST:
            return None
        if o.metric in DEVICE_METRICS or o.metric == "accuracy":
            found = _predicted(campaign, o.metric, device, archs, 0.99)
            if found is None:
                return None
            values = found[0] - found[1] if limit.op == "<=" else found[0] + found[1]
        else:
            values = computed_metric(o.metric).compute(campaign.loaded.net, campaign.space.to_array(archs))
        may &= limit.met(values)
    return may


# ---------------------------------------------------------------------- chance constraints, measured
def level(campaign: Campaign, metric: str) -> float:
    """The confidence of a metric's intervals: 90 % of a score, the final protocol's of what is measured on a device."""
    return 2 * float(special.ndtr(Z90)) - 1 if metric == "accuracy" else campaign.final_protocol.confidence


def errors(view: View, frame: pd.DataFrame, column: str, limit: Limit) -> FloatArray:
    """(n,) the standard deviation, on the limit's side, of what a repeated campaign finds of a column; 0 where none is known.

    column : of a frame of final measurements, ``latency_ms``, ``accuracy``, ``latency_ms@DEVICE``, the weighted share, …
    """
    if column == WEIGHTED:  # a weighted mean of independent errors
        own = np.stack([errors(view, frame, f"latency_ms@{t.name}", limit) for t in view.targets], axis=-1)
        unit = view.shares(np.eye(len(view.targets)))[WEIGHTED]
        return np.asarray(np.sqrt(((own * unit) ** 2).sum(axis=-1)))
    metric, at, device = column.partition("@")
    side = f"{metric}_{'high' if limit.op == '<=' else 'low'}"
    name = next((n for n in (f"{side}{at}{device}", side) if n in frame.columns), None)
    if name is None:
        return np.zeros(len(frame))
    half = np.abs(frame[name].to_numpy(dtype=np.float64) - frame[column].to_numpy(dtype=np.float64))
    return np.asarray(np.nan_to_num(half, nan=0.0) / student(level(view.campaign, metric), math.inf))


def bounds(view: View, frame: pd.DataFrame, column: str, limit: Limit, probability: float) -> FloatArray:
    """(n,) the value of a column that is not passed with `probability`, on the limit's side.

    The measured interval, where a repeated campaign finds the value, is taken as that of a normal distribution. For the
    worst of k devices each is bounded with 1 - (1 - probability) / k (Bonferroni).
    """
    value = frame[column].to_numpy(dtype=np.float64)
    sign = 1.0 if limit.op == "<=" else -1.0
    if column == WORST:
        z = float(special.ndtri(1 - (1 - probability) / len(view.targets)))
        latency = frame[[f"latency_ms@{t.name}" for t in view.targets]].to_numpy(dtype=np.float64)
        error = np.stack([errors(view, frame, f"latency_ms@{t.name}", limit) for t in view.targets], axis=-1)
        return view.shares(latency + sign * z * error)[WORST]
    return np.asarray(value + sign * float(special.ndtri(probability)) * errors(view, frame, column, limit))


def chance(view: View, frame: pd.DataFrame, column: str, limit: Limit) -> float:
    """The probability that a repeated campaign finds the limit met by the one row of `frame`."""
    if column == WORST:
        each = [chance(view, frame, f"latency_ms@{t.name}", replace(limit, value=limit.value * s)) for t, s in
                zip(view.targets, view.scales(), strict=True)]  # fmt: skip
        return float(np.prod(each))
    room = limit.value - float(frame[column].iloc[0])
    room = room if limit.op == "<=" else -room
    error = float(errors(view, frame, column, limit)[0])
    return float(special.ndtr(room / error)) if error > 0 else float(room >= 0)


def asked_probability(campaign: Campaign, view: View, column: str) -> float | None:
    """What the configuration asks of the limit on a column."""
    metric, _, device = column.partition("@")
    named = campaign.objectives(device) if device and view.joint else list(view.objectives)
    return next((o.probability for o in named if column in (o.name, o.metric) or (device and metric == o.metric)), None)


def surely_met(bounded: FloatArray, limit: Limit, order: FloatArray) -> NDArray[np.bool_]:
    """Mask (n,) of subnets that meet the limit; the chance that any of them does not is what it is for one.

    bounded : (n,) `bounds`; order : (n,) values of the same metric that were measured before, independently

    Taking the best of many that pass would make a lucky measurement likely. So they are tested one by one in an order
    fixed before, from the safest, and the first that fails ends it (a fixed sequence, Maurer, Hothorn and Lehmacher 1995),
    by which the error of the whole is that of one test. What has no earlier value comes last.
    """
    safest = order if limit.op == "<=" else -order
    places = np.argsort(np.where(np.isnan(safest), np.inf, safest), kind="stable")
    passed = limit.met(bounded)[places]
    until = len(passed) if passed.all() else int(np.argmin(passed))
    mask = np.zeros(len(bounded), dtype=bool)
    mask[places[:until]] = True
    return mask


# ---------------------------------------------------------------------- chance constraints, in the search
def tightened(campaign: Campaign, view: View, frame: pd.DataFrame, objective: Objective) -> Objective:
    """For a tactic that takes limits as they are: a limit so much tighter that what is predicted to meet it does, with the
    objective's probability. frame : of the search. An objective without a probability stays as it is.
    """
    if objective.limit is None or objective.probability is None:
        return objective
    if objective.name == WORST:
        scales = dict(zip((t.name for t in view.targets), view.scales(), strict=True))
        margin = max(
            _margin(campaign, t.name, "latency_ms", f"latency_ms@{t.name}", frame, scale, objective.probability) / scale
            for t, scale in ((t, scales[t.name]) for t in view.targets)
            if latency_limit(campaign, t) is not None
        )
    elif objective.metric in DEVICE_METRICS or objective.metric == "accuracy":
        device = view.name if objective.metric in DEVICE_METRICS else None
        margin = _margin(
            campaign, device, objective.metric, objective.metric, frame, objective.limit.value, objective.probability
        )
    else:
        return objective  # computed: nothing is uncertain
    sign = -1.0 if objective.limit.op == "<=" else 1.0
    return replace(objective, limit=replace(objective.limit, value=objective.limit.value + sign * margin))


def _margin(
    campaign: Campaign,
    device: str | None,
    metric: str,
    column: str,
    frame: pd.DataFrame,
    limit: float,
    probability: float,
) -> float:
    """Half of the predictor's interval near a limit; without a fitted predictor, of the measured ones."""
    near = frame[frame[column].notna()]
    near = near.iloc[np.argsort(np.abs(near[column].to_numpy(dtype=np.float64) - limit), kind="stable")[:NEAREST]]
    if not len(near):
        return 0.0
    near.attrs = frame.attrs
    found = _predicted(campaign, metric, device, archs_of(near), 2 * probability - 1)
    if found is not None:
        return float(np.median(found[1]))
    known = _half_widths(campaign, device, metric)
    halves = [known[i] for i in near["arch_id"] if i in known]
    wide = float(special.ndtri(probability)) / student(level(campaign, metric), math.inf)
    return float(np.median(halves)) * wide if halves else 0.0


def _predicted(
    campaign: Campaign, metric: str, device: str | None, archs: Sequence[Architecture], coverage: float
) -> tuple[FloatArray, FloatArray] | None:
    """(prediction (n,), half of its interval (n,)) by the campaign's fit; None where there is none.

    Where the fit had too few rows for an interval of that coverage, a narrower one is scaled as that of a normal
    distribution is.
    """
    from hwsearch.campaigns.steps.fit import predict, predictor_path  # which needs this module for its check

    if not predictor_path(campaign, metric, device).exists():
        return None
    for asked in (coverage, 0.9, 0.68):
        if asked > coverage:
            continue
        found = predict(campaign, metric, device, archs, asked)
        half = ((found["high"] - found["low"]) / 2).to_numpy(dtype=np.float64)
        if np.isfinite(half).all():
            scale = special.ndtri((1 + coverage) / 2) / special.ndtri((1 + asked) / 2)
            return found["value"].to_numpy(dtype=np.float64), half * float(scale)
    return None


def _half_widths(campaign: Campaign, device: str | None, metric: str) -> dict[str, float]:
    """Half widths of the search's measured intervals, by architecture id."""
    rows = (
        find_accuracy(campaign, "validation", "search")
        if device is None
        else find_metric(campaign, campaign.target(device), metric, "search")
    )
    return {k: float(m.spread) for k, m in rows.items() if m.spread is not None}
