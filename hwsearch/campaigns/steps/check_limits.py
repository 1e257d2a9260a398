"""Find limits that no subnet can meet, before a search."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.jobs.accuracy import measure_accuracy
from hwsearch.campaigns.jobs.latency import measure_latency
from hwsearch.campaigns.known import Known
from hwsearch.campaigns.target import Target
from hwsearch.errors import LimitError
from hwsearch.objectives.computed import computed_metric
from hwsearch.objectives.limit import Limit
from hwsearch.objectives.names import DEVICE_METRICS
from hwsearch.objectives.objective import Objective
from hwsearch.store import Measurement

#: by how much another subnet may be better than both ends of the space: a share of what a device measures, points of a
#: score; what is computed from the genes is bounded by the ends
SLACK_DEVICE, SLACK_SCORE = 0.05, 2.0

#: values of the ``smallest`` and the ``largest`` subnet, where they could be had
Ends = Mapping[str, float]


def check_limits(campaign: Campaign, target: Target) -> None:
    """Check that a device's limits can be met, as far as the smallest and the largest subnet tell.

    Parameters
    ----------
    campaign : Campaign
        Whose space; the two subnets are measured as far as a limit needs it.
    target : Target
        The device.

    Raises
    ------
    LimitError
        When a limit is out of reach, or two exclude each other; see `reject_unreachable`.
    """
    limited = [o for o in campaign.objectives(target.name) if o.limit is not None]
    reject_unreachable(limited, lambda o: measured_ends(campaign, target, o), campaign.space.name, target.name)


def reject_unreachable(
    objectives: Sequence[Objective], ends: Callable[[Objective], Ends], space: str, device: str
) -> None:
    """Raise when no subnet can meet limits, as far as the ends of the space tell.

    Each limit alone: its better end must meet it, with `slack`. And together: a limit that only the slack around one end
    could meet, and another that only the slack around the other end could, exclude each other.

    Parameters
    ----------
    objectives : sequence of Objective
        With limits.
    ends : callable
        Gives an objective's values of ``smallest`` and ``largest``; one that could not be measured is missing.
    space, device : str
        Names, for messages.

    Raises
    ------
    LimitError
        With the nearest limit that can be reached.
    """
    pinned: dict[str, tuple[Objective, Limit]] = {}
    for objective in objectives:
        if objective.limit is None:
            continue
        own = ends(objective)
        if objective.limit.relative and "largest" not in own:
            raise LimitError(
                f"{objective.metric} {objective.limit} on {device!r} is a share of the largest subnet's, which could "
                "not be measured.",
                hint="Give the limit as a number.",
            )
        if not own:
            continue
        limit = objective.limit.resolve(own.get("largest"))
        best = (min if limit.op == "<=" else max)(own, key=lambda k: own[k])
        if limit.met(np.array([own[best]]))[0]:
            continue
        extra = slack(objective, own[best])
        if not limit.met(np.array([own[best] - extra if limit.op == "<=" else own[best] + extra]))[0]:
            raise _out_of_reach(space, device, objective, objective.limit, limit, best, own)
        if len(own) == 2:
            pinned[best] = (objective, limit)
    if len(pinned) == 2:
        (small, tight), (large, high) = pinned["smallest"], pinned["largest"]
        raise LimitError(
            f"the limits {small.metric} {tight} and {large.metric} {high} on {device!r} exclude each other: the first "
            "is met by subnets like the smallest at best, the second by subnets like the largest.",
            hint="Loosen one of them.",
        )


def slack(objective: Objective, value: float) -> float:
    """Return by how much a subnet may be better than the better end of the space.

    Parameters
    ----------
    objective : Objective
        The metric.
    value : float
        The better end's value.

    Returns
    -------
    float
        In the metric's unit, not negative.
    """
    if objective.metric in DEVICE_METRICS:
        return SLACK_DEVICE * abs(value)
    return SLACK_SCORE if objective.metric == "accuracy" else 0.0


def measured_ends(campaign: Campaign, target: Target, objective: Objective) -> dict[str, float]:
    """Measure or compute an objective of the smallest and the largest subnet.

    Parameters
    ----------
    campaign : Campaign
        Whose space.
    target : Target
        The device.
    objective : Objective
        What is measured.

    Returns
    -------
    dict of str to float
        By ``smallest`` and ``largest``; one that could not be measured is missing.
    """
    space = campaign.space
    archs = {"smallest": space.smallest(), "largest": space.largest()}
    measured: Mapping[str, Measurement]
    if objective.metric in DEVICE_METRICS:
        measure_latency(campaign, target, list(archs.values()), stage="check limit")
        measured = Known.read(campaign).metric(target.name, objective.metric)
    elif objective.metric == "verified_accuracy":
        return {}  # the ends of a space bound nothing: a subnet between them may be the most robust
    elif objective.metric == "accuracy":
        measured = measure_accuracy(campaign, list(archs.values()), stage="check limit")
    else:
        values = computed_metric(objective.metric).values(campaign.loaded.net, space.to_array(list(archs.values())))
        return dict(zip(archs, map(float, values), strict=True))
    found = {k: measured[a.id].value for k, a in archs.items() if a.id in measured}
    return {k: float(v) for k, v in found.items() if v is not None}


def _out_of_reach(
    space: str, device: str, objective: Objective, own: Limit, limit: Limit, best: str, ends: Ends
) -> LimitError:
    reachable, lowest = ends[best], limit.op == "<="
    if own.relative:
        share = 100 * reachable / ends["largest"]
        better = f"<={math.ceil(share * 1.02)} %" if lowest else f">={math.floor(share * 0.98)} %"
        which = f"{own} of the largest's {ends['largest']:.4g}"
    else:
        better = f"<={reachable * 1.1:.3g}" if lowest else f">={reachable * 0.98:.4g}"
        which = str(own)
    return LimitError(
        f"no subnet of {space!r} meets {objective.metric} {which} on {device!r}: the {best} subnet has {reachable:.4g}.",
        hint=f'Try "{objective.metric}{better}".',
    )
