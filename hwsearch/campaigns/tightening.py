"""Limits with a probability, for tactics that take limits as they are: tightened by a margin."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from scipy import special

from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.chance import confidence_level
from hwsearch.campaigns.known import Known
from hwsearch.campaigns.measured import WORST, MeasuredSet
from hwsearch.campaigns.running import predicted_interval
from hwsearch.campaigns.split import Split
from hwsearch.campaigns.view import View, latency_limit
from hwsearch.devices.timing.statistics import student
from hwsearch.objectives.names import DEVICE_METRICS, SCORE_METRICS
from hwsearch.objectives.objective import Objective

#: measured subnets nearest to a limit whose intervals tell how uncertain values are there
NEAREST = 20


def tightened(campaign: Campaign, view: View, measured: MeasuredSet, known: Known, objective: Objective) -> Objective:
    """Tighten a limit so that what is predicted to meet it does, with the objective's probability.

    Parameters
    ----------
    campaign : Campaign
        Whose predictors.
    view : View
        Whose objective.
    measured : MeasuredSet
        The view's, of the search.
    known : Known
        What the store holds.
    objective : Objective
        With its limit as a number.

    Returns
    -------
    Objective
        The same with a tighter limit; unchanged without a probability, and where the metric is computed.
    """
    if objective.limit is None or objective.probability is None:
        return objective
    if objective.name == WORST:
        assert measured.scales is not None
        scales = dict(zip((t.name for t in view.targets), map(float, measured.scales), strict=True))
        margin = max(
            _margin(
                campaign, known, t.name, "latency_ms", f"latency_ms@{t.name}", measured, scale, objective.probability
            )
            / scale
            for t, scale in ((t, scales[t.name]) for t in view.targets)
            if latency_limit(campaign, t) is not None
        )
    elif objective.metric in DEVICE_METRICS or objective.metric in SCORE_METRICS:
        device = view.name if objective.metric in DEVICE_METRICS else None
        limit, metric = objective.limit.value, objective.metric
        margin = _margin(campaign, known, device, metric, metric, measured, limit, objective.probability)
    else:
        return objective  # computed: nothing is uncertain
    sign = -1.0 if objective.limit.op == "<=" else 1.0
    return replace(objective, limit=replace(objective.limit, value=objective.limit.value + sign * margin))


def _margin(
    campaign: Campaign,
    known: Known,
    device: str | None,
    metric: str,
    column: str,
    measured: MeasuredSet,
    limit: float,
    probability: float,
) -> float:
    """Return half of the predictor's interval near a limit; without a fitted predictor, of the measured intervals."""
    whole = measured.complete([column])
    if not len(whole):
        return 0.0
    places = np.argsort(np.abs(whole.values(column) - limit), kind="stable")[:NEAREST]
    near = MeasuredSet(whole.frame.iloc[places], whole.by_id)
    found = predicted_interval(campaign, metric, device, near.archs, 2 * probability - 1)
    if found is not None:
        return float(np.median(found[1]))
    rows = known.score(metric, Split.VALIDATION) if device is None else known.metric(device, metric)
    halves = [rows[i].spread for i in near.ids if i in rows]
    widths = [float(h) for h in halves if h is not None]
    wide = float(special.ndtri(probability)) / student(confidence_level(campaign, metric), math.inf)
    return float(np.median(widths)) * wide if widths else 0.0
