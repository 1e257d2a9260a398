"""The fronts of a campaign: one a device, or that of one subnet for all devices."""

from __future__ import annotations

from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.measured import WEIGHTED, WORST
from hwsearch.campaigns.search_config import Deployment
from hwsearch.campaigns.target import Target
from hwsearch.campaigns.view import View, latency_limit
from hwsearch.errors import CampaignError
from hwsearch.objectives.limit import Limit
from hwsearch.objectives.names import DEVICE_METRICS
from hwsearch.objectives.objective import Objective

#: the name of the view of one subnet for all devices
ALL = "all devices"


def device_view(campaign: Campaign, target: Target) -> View:
    """Return the view of one device.

    Parameters
    ----------
    campaign : Campaign
        Whose front.
    target : Target
        The device.

    Returns
    -------
    View
        With the device's name and objectives.
    """
    return View(campaign, target.name, (target,), tuple(campaign.objectives(target.name)))


def timed_targets(campaign: Campaign) -> list[Target]:
    """Return the devices whose latency is an objective.

    Parameters
    ----------
    campaign : Campaign
        Whose devices.

    Returns
    -------
    list of Target
        In the order of the configuration.
    """
    return [t for t in campaign.targets.values() if any(o.metric == "latency_ms" for o in campaign.objectives(t.name))]


def joint_view(campaign: Campaign, deployment: Deployment) -> View:
    """Return the view of one subnet for all devices with a latency objective.

    Parameters
    ----------
    campaign : Campaign
        Whose front.
    deployment : {"worst-case", "weighted"}
        Whether a subnet is judged by its latency on the worst device, or by the weighted mean.

    Returns
    -------
    View
        Its objectives are the devices' common ones, with a share in place of the latencies.

    Raises
    ------
    CampaignError
        If latency is no objective of any device.
    """
    targets = timed_targets(campaign)
    if not targets:
        raise CampaignError(
            "no device has latency as an objective, so no subnet can be chosen to serve them.",
            hint='Add [[objective]] metric = "latency".',
        )
    chances: list[float] = []
    limited = False
    shared: dict[str, Objective] = {}
    for target in targets:
        for o in campaign.objectives(target.name):
            if o.metric == "latency_ms":
                if latency_limit(campaign, target) is not None:
                    limited = True
                    chances += [o.probability] if o.probability is not None else []
                shared.setdefault("latency_ms", o)
            elif o.metric not in DEVICE_METRICS:
                shared.setdefault(o.name, o)
    limit = Limit("<=", 1.0) if limited else None
    worst = Objective(WORST, "min", None, limit, max(chances) if chances else None)
    scalar = [worst] if deployment == "worst-case" else [Objective(WEIGHTED, "min"), *([worst] if limited else [])]
    objectives = [j for o in shared.values() for j in (scalar if o.metric == "latency_ms" else [o])]
    return View(campaign, ALL, tuple(targets), tuple(objectives), deployment)


def views(campaign: Campaign) -> list[View]:
    """Return the fronts that a campaign searches.

    Parameters
    ----------
    campaign : Campaign
        Whose fronts.

    Returns
    -------
    list of View
        One a device, or that of one subnet for all of them, by ``[search] deployment``.
    """
    deployment = campaign.config.search.deployment
    if deployment != "per-device":
        return [joint_view(campaign, deployment)]
    return [device_view(campaign, t) for t in campaign.targets.values()]
