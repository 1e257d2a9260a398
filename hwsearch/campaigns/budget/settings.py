"""The settings of a campaign that a budget may lower, by their keys in the configuration."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel

from hwsearch._json import JsonObject
from hwsearch.campaigns.config import CampaignConfig

#: the document of the store that has the plan
PLAN = "plan"

#: lowered settings by key, such as ``data.test_images``
Settings = dict[str, int | float | list[int]]


def with_settings(config: CampaignConfig, settings: Mapping[str, object]) -> CampaignConfig:
    """Return a configuration with some of its settings replaced.

    Parameters
    ----------
    config : CampaignConfig
        What was asked.
    settings : mapping of str to object
        Values by key, ``TABLE.NAME``.

    Returns
    -------
    CampaignConfig
        Checked as any other.

    Examples
    --------
    >>> with_settings(CampaignConfig(device=({"name": "cpu"},)), {"search.rounds": 1}).search.rounds
    1
    """
    changed: dict[str, BaseModel] = {}
    for key, value in settings.items():
        table, _, name = key.partition(".")
        field = "validate_" if table == "validate" else table
        part = changed.get(field, getattr(config, field))
        changed[field] = part.model_copy(update={name: tuple(value) if isinstance(value, list) else value})
    return config.model_copy(update={k: type(v).model_validate(v.model_dump()) for k, v in changed.items()})


def get_setting(config: CampaignConfig, key: str) -> object:
    """Return the value of a key, ``TABLE.NAME``.

    Parameters
    ----------
    config : CampaignConfig
        Where it is.
    key : str
        Its place.

    Returns
    -------
    object
        A number, or a tuple of two.
    """
    table, _, name = key.partition(".")
    return getattr(getattr(config, "validate_" if table == "validate" else table), name)


def planned_settings(plan: JsonObject | None) -> Settings:
    """Return the settings that a kept plan lowers.

    Parameters
    ----------
    plan : dict or None
        The document `PLAN`.

    Returns
    -------
    dict
        Those of its last point; empty where there is no plan.
    """
    points = (plan or {}).get("points") or []
    return dict(points[-1]["settings"]) if points else {}
