"""From the store to the report: gathers what was measured into `ReportData` and writes page, plots and tables."""

from __future__ import annotations

from typing import Any

from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.frames import WEIGHTED, WORST
from hwsearch.campaigns.known import find_accuracy
from hwsearch.campaigns.steps.pick import latencies_of, picks
from hwsearch.campaigns.steps.report_devices import _se
from hwsearch.campaigns.view import joint_view, latency_limit, timed
from hwsearch.errors import CampaignError


def serving(campaign: Campaign) -> list[dict[str, Any]]:
    """The picks of one subnet for all devices, where there are several; see `ReportData.serving`."""
    if len(timed(campaign)) < 2:
        return []
    view = joint_view(campaign, serving_form(campaign))
    test = find_accuracy(campaign, "test", "validate")
    share = next(o.name for o in view.objectives if o.name in (WORST, WEIGHTED))
    try:
        chosen = picks(campaign, view)
    except CampaignError:  # no subnet could be measured on all devices
        return []
    return [
        {
            "label": p.label,
            "arch_id": p.arch.id,
            "accuracy": float(p.row["accuracy"]),
            "accuracy_se": _se(test.get(p.arch.id)),
            "share": float(p.row[share]),
            "latency": latencies_of(view, p.row),
        }
        for p in chosen
    ]


def serving_form(campaign: Campaign) -> str:
    """How one subnet for all devices is judged: as the search does, or else by the worst device."""
    form = campaign.config.search.serve
    return "worst" if form == "each" else form


def _serving_words(campaign: Campaign) -> str:
    what = (
        "The share is that of the worst device"
        if serving_form(campaign) == "worst"
        else "The share is the devices' weighted mean"
    )
    limits = [latency_limit(campaign, t) for t in timed(campaign)]
    of = "its limit" if all(limits) else "the largest subnet's latency there" if not any(limits) else (
        "its limit or else of the largest subnet's latency there"
    )  # fmt: skip
    searched = "" if campaign.config.search.serve != "each" else " The search was for each device by itself."
    return f"{what}: its latency as a share of {of}.{searched}"
