"""What a campaign asks of its tactic."""

from __future__ import annotations

from hwsearch.campaigns.campaign import Campaign
from hwsearch.errors import CampaignError
from hwsearch.objectives.names import DEVICE_METRICS
from hwsearch.searchers import find
from hwsearch.searchers.capabilities import Capabilities


def capabilities(campaign: Campaign) -> Capabilities:
    """Look up what the campaign's tactic can do.

    Parameters
    ----------
    campaign : Campaign
        Whose ``[search] tactic`` is asked.

    Returns
    -------
    Capabilities
        What the tactic declares.

    Raises
    ------
    SearchError
        If there is no such tactic.
    """
    return find(campaign.config.search.tactic).capabilities


def check_tactic(campaign: Campaign) -> None:
    """Raise `CampaignError` where the tactic cannot do what the configuration says, `SearchError` where there is none."""
    c, can = campaign.config.search, capabilities(campaign)
    asked = {
        "earlier": (bool(c.earlier) and not can.warm_start, "learn from earlier campaigns"),
        "screen": (c.screen > 1 and not can.screening, "choose among screened candidates"),
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
