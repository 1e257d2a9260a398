"""Lower a campaign's settings until it fits its budget: repeats first, then examples, then subnets, then time for each."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from hwsearch.campaigns.budget.cost import STEPS
from hwsearch.campaigns.budget.settings import Settings, get_setting, with_settings
from hwsearch.campaigns.config import CampaignConfig
from hwsearch.campaigns.search_config import FEWEST

#: groups of settings, lowered one after the other
STAGES = 4
#: steps of a bisection between no reduction and all of it
HALVINGS = 24
#: least share of the time that a subnet is timed for
LEAST_VISITS = 1 / 3


class Lever(NamedTuple):
    """A setting that may be lowered.

    Attributes
    ----------
    key : str
        Its place in the configuration.
    stage : int
        Which group it belongs to, from 0.
    step : str
        The first step that uses it; once that has begun it stays.
    floor : callable
        Takes what was asked; returns the least.
    """

    key: str
    stage: int
    step: str
    floor: Callable[[int], int]


def _share(share: float, least: int) -> Callable[[int], int]:
    return lambda asked: min(asked, max(least, round(share * asked)))


#: all settings that may be lowered but the times of groups
LEVERS = (
    Lever("validate.rounds", 0, "validate", lambda asked: 0),
    Lever("validate.processes", 0, "validate", _share(0.0, 2)),
    Lever("data.validation_images", 1, "evaluate", _share(0.3, 250)),
    Lever("data.test_images", 1, "validate", _share(0.3, 500)),
    Lever("profile.latency", 2, "profile", _share(0.25, 24)),
    Lever("profile.accuracy", 2, "profile", _share(0.33, 2 * FEWEST)),
    Lever("profile.random", 2, "profile", _share(0.33, 4)),
    Lever("search.rounds", 2, "search", _share(0.0, 1)),
    Lever("validate.candidates", 2, "validate", _share(0.33, 8)),
)


class Reduced(NamedTuple):
    """A configuration with lowered settings.

    Attributes
    ----------
    config : CampaignConfig
        With them.
    settings : dict
        Those that differ from what was asked, by key.
    visits : float
        Share of the full time that each subnet is timed for.
    """

    config: CampaignConfig
    settings: Settings
    visits: float


def reduced(asked: CampaignConfig, kept: Settings, amount: float, step: str) -> Reduced:
    """Lower settings by an amount.

    Parameters
    ----------
    asked : CampaignConfig
        What the user configured.
    kept : dict
        What was lowered already, for steps that have begun.
    amount : float
        0 for nothing, `STAGES` for all that can be.
    step : str
        The first step that has not begun.

    Returns
    -------
    Reduced
        The amount's whole part is the stages that are at their least, its fraction how far the next one is.
    """
    later = STEPS[STEPS.index(step) :]
    settings: Settings = {}
    for lever in LEVERS:
        if lever.step not in later:
            if lever.key in kept:
                settings[lever.key] = kept[lever.key]
            continue
        value, share = get_setting(asked, lever.key), min(1.0, max(0.0, amount - lever.stage))
        if isinstance(value, tuple):
            low, high = (_between(v, lever.floor(v), share) for v in value)
            if (low, high) != value:
                settings[lever.key] = [low, high]
        elif isinstance(value, int) and (lower := _between(value, lever.floor(value), share)) != value:
            settings[lever.key] = lower
    _keep_nested(asked, settings)
    if "evaluate" in later:
        _keep_beyond_fidelities(asked, settings)
    visits = 1 - (1 - LEAST_VISITS) * min(1.0, max(0.0, amount - (STAGES - 1)))
    return Reduced(with_settings(asked, settings), settings, visits)


def _between(value: int, floor: int, share: float) -> int:
    return round(value + (floor - value) * share)


def _keep_nested(asked: CampaignConfig, settings: Settings) -> None:
    """Keep the sizes of the profile in the order that a configuration must have: random within accuracy within latency."""

    def now(key: str) -> int:
        value = settings.get(key, get_setting(asked, key))
        assert isinstance(value, int)
        return value

    for key, most in (
        ("profile.accuracy", now("profile.latency")),
        ("profile.random", min(now("profile.accuracy"), now("profile.latency")) - 2),
    ):
        if now(key) > most:
            settings[key] = most


def _keep_beyond_fidelities(asked: CampaignConfig, settings: Settings) -> None:
    """Keep twice as many validation examples as are screened on, or as the largest of the lower fidelities has, if so many were asked for."""
    key, search = "data.validation_images", asked.search
    every = get_setting(asked, key)
    if key not in settings or not isinstance(every, int):
        return
    first = [*search.fidelities, search.screening_images if search.screening_factor > 1 else 0]
    least = min(every, 2 * max((n for n in first if n < every), default=0))
    lowered = settings[key]
    assert isinstance(lowered, int)
    if least == every:
        del settings[key]
    elif lowered < least:
        settings[key] = least


def fitting(seconds: Callable[[float], float], budget_s: float) -> float:
    """Find the least amount by which settings must be lowered.

    Parameters
    ----------
    seconds : callable
        What everything takes, by amount; it falls.
    budget_s : float
        What it may take.

    Returns
    -------
    float
        0 where nothing has to be lowered, `STAGES` where all is not enough.
    """
    if seconds(0.0) <= budget_s:
        return 0.0
    low, high = 0.0, float(STAGES)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if seconds(middle) <= budget_s else (middle, high)
    return high
