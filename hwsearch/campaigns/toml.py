"""The campaign's configuration: one TOML file, every key checked, errors that name file and line."""

from __future__ import annotations

import re
from typing import Any

from hwsearch.campaigns.config import CampaignConfig


def to_toml(config: CampaignConfig) -> str:
    """The whole configuration, defaults included, as TOML that `load_config` reads back to an equal one."""
    data = config.model_dump(by_alias=True, exclude_none=True, mode="json")
    lines = [f"{k} = {_toml(v)}" for k, v in data.items() if not isinstance(v, (dict, list))]
    for key, value in data.items():
        if isinstance(value, dict):
            lines += ["", f"[{key}]", *(f"{k} = {_toml(v)}" for k, v in value.items())]
        elif isinstance(value, list):
            for item in value:
                lines += ["", f"[[{key}]]", *(f"{k} = {_toml(v)}" for k, v in item.items() if v != {})]
    return "\n".join(lines).lstrip("\n") + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_toml(v) for v in value) + "]"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_key(k)} = {_toml(v)}" for k, v in value.items()) + " }"
    return repr(value)


def _key(text: str) -> str:
    return text if re.fullmatch(r"[A-Za-z0-9_-]+", text) else _toml(text)
