"""Write a campaign's configuration as TOML."""

from __future__ import annotations

import tomli_w

from hwsearch.campaigns.config import CampaignConfig


def to_toml(config: CampaignConfig) -> str:
    """Write the whole configuration, defaults included, as TOML.

    Parameters
    ----------
    config : CampaignConfig
        What is written.

    Returns
    -------
    str
        TOML text that `hwsearch.campaigns.loading.load_config` reads back to an equal configuration, whatever control
        characters its texts contain.

    Examples
    --------
    >>> print(to_toml(CampaignConfig(device=({"name": "cpu"},))).splitlines()[1])
    name = "cifar10-mbv3"
    """
    data = config.model_dump(by_alias=True, exclude_none=True, mode="json")
    if not config.task:
        del data["task"]  # an empty list would forbid to add a [[task]] below
    arrays = {k: v for k, v in data.items() if isinstance(v, list) and v and isinstance(v[0], dict)}
    scalars = {k: v for k, v in data.items() if k not in arrays and not isinstance(v, dict)}
    parts = [tomli_w.dumps(scalars)] if scalars else []
    for key, value in data.items():
        if isinstance(value, dict):
            parts.append(tomli_w.dumps({key: value}))
        for item in arrays.get(key, ()):  # tomli-w would write short ones as inline tables
            nested = {k: v for k, v in item.items() if isinstance(v, dict)}
            parts.append(f"[[{key}]]\n" + tomli_w.dumps({k: v for k, v in item.items() if k not in nested}))
            parts += [f"[{key}.{k}]\n" + tomli_w.dumps(v) for k, v in nested.items() if v]
    return "\n".join(parts)
