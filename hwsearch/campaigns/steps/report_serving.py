"""Report of one subnet for all devices."""

from __future__ import annotations

from typing import Any

from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.intervals import score_error
from hwsearch.campaigns.known import Known
from hwsearch.campaigns.measured import WEIGHTED, WORST
from hwsearch.campaigns.purpose import VALIDATE
from hwsearch.campaigns.search_config import Deployment
from hwsearch.campaigns.split import Split
from hwsearch.campaigns.steps.pick import latencies_of
from hwsearch.campaigns.steps.picks import picks
from hwsearch.campaigns.view import latency_limit
from hwsearch.campaigns.views import joint_view, timed_targets
from hwsearch.errors import CampaignError


def serving(campaign: Campaign, known: Known) -> list[dict[str, Any]]:
    """Pick subnets that serve all devices, where there are several.

    Parameters
    ----------
    campaign : Campaign
        Whose devices.
    known : Known
        What the store holds.

    Returns
    -------
    list of dict
        See `ReportData.serving`; empty for one device, and where no subnet could be measured on all.
    """
    if len(timed_targets(campaign)) < 2:
        return []
    view = joint_view(campaign, serving_deployment(campaign))
    test = known.accuracy(Split.TEST, VALIDATE)
    share = next(o.name for o in view.objectives if o.name in (WORST, WEIGHTED))
    try:
        chosen, scales = picks(campaign, view, known), view.scales(known, VALIDATE)
    except CampaignError:  # no subnet could be measured on all devices
        return []
    return [
        {
            "label": p.label,
            "arch_id": p.arch.id,
            "accuracy": float(p.row["accuracy"]),
            "accuracy_se": score_error(test.get(p.arch.id)),
            "share": float(p.row[share]),
            "latency": latencies_of(view, p.row, scales),
        }
        for p in chosen
    ]


def serving_deployment(campaign: Campaign) -> Deployment:
    """Return how one subnet for all devices is judged in the report.

    Parameters
    ----------
    campaign : Campaign
        Whose ``[search] deployment``.

    Returns
    -------
    {"worst-case", "weighted"}
        As the search does, or else by the worst device.
    """
    deployment = campaign.config.search.deployment
    return "worst-case" if deployment == "per-device" else deployment


def serving_words(campaign: Campaign) -> str:
    """Explain the shares of `serving`.

    Parameters
    ----------
    campaign : Campaign
        Whose limits and deployment.

    Returns
    -------
    str
        One or two sentences.
    """
    what = (
        "The share is that of the worst device"
        if serving_deployment(campaign) == "worst-case"
        else "The share is the devices' weighted mean"
    )
    limits = [latency_limit(campaign, t) for t in timed_targets(campaign)]
    of = "its limit" if all(limits) else "the largest subnet's latency there" if not any(limits) else (
        "its limit or else of the largest subnet's latency there"
    )  # fmt: skip
    single = campaign.config.search.deployment == "per-device"
    searched = " The search was for each device by itself." if single else ""
    return f"{what}: its latency as a share of {of}.{searched}"
