"""Check that a campaign's tactic can do what its configuration says."""

from __future__ import annotations

from hwsearch.campaigns.campaign import Campaign
from hwsearch.errors import CampaignError
from hwsearch.objectives.names import DEVICE_METRICS, SCORE_METRICS
from hwsearch.searchers import Capabilities, find


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
    """Check that the campaign's tactic can start from earlier campaigns, or screen, where that is asked.

    Parameters
    ----------
    campaign : Campaign
        With ``[search]``.

    Raises
    ------
    CampaignError
        If the tactic cannot do what the configuration says, or screening would leave nothing to choose by.
    SearchError
        If there is no such tactic.
    """
    c, can = campaign.config.search, capabilities(campaign)
    asked = {
        "warm_start": (bool(c.earlier_campaigns) and not can.warm_start, "learn from earlier campaigns"),
        "screening_factor": (c.screening_factor > 1 and not can.screening, "choose among screened candidates"),
        "fidelities": (bool(c.fidelities) and not can.fidelities, "choose what to measure on how much"),
    }
    for key, (refused, what) in asked.items():
        if refused:
            raise CampaignError(
                f"tactic {c.tactic!r} cannot {what}.",
                hint=f"Use tactic = 'default', or leave [search] {key} out.",
            )
    if c.screening_factor > 1:
        _check_screening(campaign)
    if c.fidelities:
        _check_fidelities(campaign)


def _check_screening(campaign: Campaign) -> None:
    """Check that what is screened is an objective, and another one is left to measure on every device."""
    c = campaign.config.search
    groups = {"latency": set(DEVICE_METRICS), "accuracy": {"accuracy"}}
    judged = {d.name: {o.metric for o in campaign.objectives(d.name)} for d in campaign.config.device}
    every = set().union(*judged.values())
    for name in c.screening_metrics:
        if not groups[name] & every:
            raise CampaignError(
                f"[search] screening_metrics names {name}, which is no objective: it would be measured for nothing.",
                hint="Leave it out, or add the objective.",
            )
    done = {m for name in c.screening_metrics if name != "accuracy" or not c.screening_images for m in groups[name]}
    for device, metrics in judged.items():
        if not metrics & ({*SCORE_METRICS, *DEVICE_METRICS} - done):
            raise CampaignError(
                f"[search] screening_metrics = {c.screening_metrics} is all that is measured for {device!r}: nothing would be left to "
                "choose by.",
                hint="Leave [search] screening_factor out, or screen with less.",
            )


def _check_fidelities(campaign: Campaign) -> None:
    """Check that accuracy is an objective on every device, and that the time of all that is measured is known."""
    asked = campaign.config.search.fidelities
    for device in campaign.config.device:
        if "accuracy" not in {o.metric for o in campaign.objectives(device.name)}:
            raise CampaignError(
                f"[search] fidelities = {asked}, but accuracy is no objective on {device.name!r}.",
                hint="Leave it out, or add the objective.",
            )
    if campaign.certified:
        raise CampaignError(
            f"[search] fidelities = {asked} cannot be used with verified_accuracy, whose seconds are not reckoned with.",
            hint="Leave it out, or screen with screening_factor.",
        )
