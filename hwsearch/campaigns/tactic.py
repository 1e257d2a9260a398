"""What a campaign asks of its tactic."""

from __future__ import annotations

import inspect
from collections.abc import Mapping

from hwsearch.campaigns.campaign import Campaign
from hwsearch.errors import CampaignError
from hwsearch.objectives.names import DEVICE_METRICS
from hwsearch.searchers import find


def options_of(campaign: Campaign) -> Mapping[str, inspect.Parameter]:
    """The options that the campaign's tactic has."""
    return inspect.signature(find(campaign.config.search.tactic)).parameters


def check_tactic(campaign: Campaign) -> None:
    """Raise `CampaignError` where the tactic cannot do what the configuration says, `SearchError` where there is none."""
    c = campaign.config.search
    asked = {
        "earlier": (bool(c.earlier) and "earlier" not in options_of(campaign), "learn from earlier campaigns"),
        "screen": (c.screen > 1 and not find(c.tactic).screens, "choose among screened candidates"),
    }
    for key, (refused, what) in asked.items():
        if refused:
            raise CampaignError(
                f"tactic {c.tactic!r} cannot {what}.",
                hint=f"Use tactic = 'default', or leave [search] {key} out.",
            )
    if c.screen > 1:
        _check_screening(campaign)


def _check_screening(campaign: Campaign) -> None:
    """What is screened must be an objective, and another one must be left to measure on every device."""
    c = campaign.config.search
    groups = {"latency": set(DEVICE_METRICS), "accuracy": {"accuracy"}}
    judged = {d.name: {o.metric for o in campaign.objectives(d.name)} for d in campaign.config.device}
    every = set().union(*judged.values())
    for name in c.screen_with:
        if not groups[name] & every:
            raise CampaignError(
                f"[search] screen_with names {name}, which is no objective: it would be measured for nothing.",
                hint="Leave it out, or add the objective.",
            )
    done = {m for name in c.screen_with if name != "accuracy" or not c.screen_images for m in groups[name]}
    for device, metrics in judged.items():
        if not metrics & ({"accuracy", *DEVICE_METRICS} - done):
            raise CampaignError(
                f"[search] screen_with = {c.screen_with} is all that is measured for {device!r}: nothing would be left to "
                "choose by.",
                hint="Leave [search] screen out, or screen with less.",
            )
