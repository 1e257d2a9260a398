"""What a campaign asks of its tactic."""

from __future__ import annotations

import inspect
from collections.abc import Mapping

from hwsearch.engine.campaign import Campaign
from hwsearch.errors import CampaignError
from hwsearch.objective import DEVICE_METRICS
from hwsearch.search import find


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
    if c.screen > 1 and not c.screen_images:
        for device in campaign.config.device:
            measured = {o.metric for o in campaign.objectives(device.name)} & {"accuracy", *DEVICE_METRICS}
            if measured <= (set(DEVICE_METRICS) if set(c.screen_with) == {"latency"} else {"accuracy"}):
                raise CampaignError(
                    f"[search] screen_with = {c.screen_with} is all that is measured for {device.name!r}: nothing would be left to "
                    "choose by.",
                    hint="Leave [search] screen out, or give screen_images.",
                )
    for key, (refused, what) in asked.items():
        if refused:
            raise CampaignError(
                f"tactic {c.tactic!r} cannot {what}.",
                hint=f"Use tactic = 'default', or leave [search] {key} out.",
            )
