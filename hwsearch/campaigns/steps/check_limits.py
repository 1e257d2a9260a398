"""Limits: found out of reach before a search, met with a stated probability, and what they mean to a search."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.jobs.accuracy import measure_accuracy
from hwsearch.campaigns.jobs.latency import measure_latency
from hwsearch.campaigns.known import find_metric
from hwsearch.campaigns.target import Target
from hwsearch.errors import LimitError
from hwsearch.objectives.computed import computed_metric
from hwsearch.objectives.limit import Limit
from hwsearch.objectives.names import DEVICE_METRICS
from hwsearch.objectives.objective import Objective

#: by how much another subnet may be better than both ends of the space: a share of what a device measures, points of a
#: score; what is computed from the genes is bounded by the ends
SLACK_DEVICE, SLACK_SCORE = 0.05, 2.0


def slack(objective: Objective, value: float) -> float:
    """By how much a subnet's value may be better than the better end's `value`, in the metric's unit."""
    if objective.metric in DEVICE_METRICS:
        return SLACK_DEVICE * abs(value)
    return SLACK_SCORE if objective.metric == "accuracy" else 0.0


# ---------------------------------------------------------------------- before the search
def check_limits(campaign: Campaign, target: Target) -> None:
    """Raise `LimitError` when no subnet can meet a device's limits, as far as the smallest and the largest tell.

    Each limit alone: its better end must meet it, with `slack`. And together: a limit that only the slack around one end
    could meet, and another that only the slack around the other end could, exclude each other.
    """
    pinned: dict[str, tuple[Objective, Limit]] = {}
    for objective in campaign.objectives(target.name):
        if objective.limit is None:
            continue
        ends = _ends(campaign, target, objective)
        if objective.limit.relative and "largest" not in ends:
            raise LimitError(
                f"{objective.metric} {objective.limit} on {target.name!r} is a share of the largest subnet's, which could "
                "not be measured.",
                hint="Give the limit as a number.",
            )
        if not ends:
            continue
        limit = objective.limit.resolve(ends.get("largest"))
        best = (min if limit.op == "<=" else max)(ends, key=lambda k: ends[k])
        if limit.met(np.array([ends[best]]))[0]:
            continue
        extra = slack(objective, ends[best])
        if not limit.met(np.array([ends[best] - extra if limit.op == "<=" else ends[best] + extra]))[0]:
            raise _out_of_reach(campaign, target, objective, limit, best, ends)
        if len(ends) == 2:
            pinned[best] = (objective, limit)
    if len(pinned) == 2:
        (small, tight), (large, high) = pinned["smallest"], pinned["largest"]
        raise LimitError(
            f"the limits {small.metric} {tight} and {large.metric} {high} on {target.name!r} exclude each other: the first "
            "is met by subnets like the smallest at best, the second by subnets like the largest.",
            hint="Loosen one of them.",
        )


def _ends(campaign: Campaign, target: Target, objective: Objective) -> dict[str, float]:
    """The smallest and the largest subnet's value, where they could be had."""
    space = campaign.space
    archs = {"smallest": space.smallest(), "largest": space.largest()}
    if objective.metric in DEVICE_METRICS:
        measure_latency(campaign, target, list(archs.values()), stage="check limit")
        measured = find_metric(campaign, target, objective.metric, "search")
    elif objective.metric == "accuracy":
        measured = measure_accuracy(campaign, list(archs.values()), stage="check limit")
    else:
        values = computed_metric(objective.metric).compute(campaign.loaded.net, space.to_array(list(archs.values())))
        return dict(zip(archs, map(float, values), strict=True))
    found = {k: measured[a.id].value for k, a in archs.items() if a.id in measured}
    return {k: float(v) for k, v in found.items() if v is not None}


def _out_of_reach(
    campaign: Campaign, target: Target, objective: Objective, limit: Limit, best: str, ends: Mapping[str, float]
) -> LimitError:
    own = objective.limit
    assert own is not None
    reachable, lowest = ends[best], limit.op == "<="
    if own.relative:
        share = 100 * reachable / ends["largest"]
        better = f"<={math.ceil(share * 1.02)} %" if lowest else f">={math.floor(share * 0.98)} %"
        which = f"{own} of the largest's {ends['largest']:.4g}"
    else:
        better = f"<={reachable * 1.1:.3g}" if lowest else f">={reachable * 0.98:.4g}"
        which = str(own)
    return LimitError(
        f"no subnet of {campaign.space.name!r} meets {objective.metric} {which} on {target.name!r}: "
        f"the {best} subnet has {reachable:.4g}.",
        hint=f'Try "{objective.metric}{better}".',
    )
