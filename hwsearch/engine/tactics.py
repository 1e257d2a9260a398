"""What a campaign asks of its tactic."""

from __future__ import annotations

import inspect
from collections.abc import Mapping

from hwsearch.engine.campaign import Campaign
from hwsearch.errors import CampaignError
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
    for key, (refused, what) in asked.items():
        if refused:
            raise CampaignError(
                f"tactic {c.tactic!r} cannot {what}.",
                hint=f"Use tactic = 'default', or leave [search] {key} out.",
            )
