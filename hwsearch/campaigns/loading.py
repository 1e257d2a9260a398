"""Read a campaign's configuration: one TOML file, every key checked, errors that name file and line."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from hwsearch._files import toml_tables, toml_text
from hwsearch.campaigns.certified_config import CertifiedConfig
from hwsearch.campaigns.config import (
    CampaignConfig,
    DataConfig,
    DeviceConfig,
    FleetConfig,
    ObjectiveConfig,
    SupernetConfig,
)
from hwsearch.campaigns.search_config import BudgetConfig, ProfileConfig, SearchConfig, ValidateConfig
from hwsearch.campaigns.task_config import TaskConfig
from hwsearch.devices.timing.protocol import TimingProtocol
from hwsearch.errors import ConfigError, nearest
from hwsearch.tasks.sources import is_generated

#: the configuration's name in a campaign's folder
CONFIG_FILE = "campaign.toml"


def load_config(path: Path) -> CampaignConfig:
    """Read the configuration in a TOML file.

    Parameters
    ----------
    path : pathlib.Path
        The file.

    Returns
    -------
    CampaignConfig
        With defaults where the file says nothing.

    Raises
    ------
    ConfigError
        If the file cannot be read, or anything in it is wrong; names file, line, key and the nearest right key.
    """
    path = Path(path)
    text = toml_text(path)
    return parse_config(toml_tables(text, str(path)), str(path), text)


def parse_config(data: dict[str, Any], source: str, text: str = "") -> CampaignConfig:
    """Make a configuration of plain data.

    Parameters
    ----------
    data : dict
        Tables and values, as TOML is read.
    source : str
        Where they come from, for error messages.
    text : str
        The TOML they came from, to find line numbers in.

    Returns
    -------
    CampaignConfig
        With defaults where `data` says nothing.

    Raises
    ------
    ConfigError
        If a key is unknown or a value wrong; a line a fault.
    """
    try:
        return CampaignConfig.model_validate(data)
    except ValidationError as error:
        lines = []
        for problem in error.errors():
            where = _place(problem["loc"])
            line = find_line(text, problem["loc"])
            at = f"{source}, line {line}" if line else source
            if problem["type"] == "extra_forbidden":
                known = _known_keys(problem["loc"])
                lines.append(f"{at}: unknown key {where!r}. {nearest(str(problem['loc'][-1]), known)}")
            else:
                message = problem["msg"].removeprefix("Value error, ")
                value = problem.get("input")
                shown = f" = {value!r}" if isinstance(value, (str, int, float, bool)) else ""
                message = (message[0].lower() + message[1:]).rstrip(".")
                stop = "" if message.endswith("?") else "."
                lines.append(f"{at}: {where or 'the configuration'}{shown}: {message}{stop}")
        raise ConfigError("\n".join(lines)) from None


def with_absolute_paths(config: CampaignConfig) -> CampaignConfig:
    """Make all paths of a configuration absolute, so that it means the same from any folder.

    Parameters
    ----------
    config : CampaignConfig
        With paths relative to the current folder.

    Returns
    -------
    CampaignConfig
        The same with absolute paths.
    """

    def place(text: str | None) -> str | None:
        return str(Path(text).absolute()) if text and not is_generated(text) else text

    named, s = config.supernet.name, config.supernet
    name = str(Path(named).absolute()) if ".py:" in named else named
    data = config.data.model_copy(
        update={k: place(getattr(config.data, k)) for k in ("calibration", "validation", "test", "vocabulary")}
    )
    return config.model_copy(
        update={
            "supernet": s.model_copy(update={"name": name, "checkpoint": place(s.checkpoint)}),
            "data": data,
            "search": config.search.model_copy(
                update={"warm_start": [str(Path(f).absolute()) for f in config.search.warm_start]}
            ),
            "task": tuple(t.model_copy(update={"data": place(t.data), "folder": place(t.folder)}) for t in config.task),
            "fleet": config.fleet.model_copy(update={"certificates": place(config.fleet.certificates)}),
            "store": config.store if config.store and "://" in config.store else place(config.store),
        }
    )


def find_line(text: str, loc: tuple[int | str, ...]) -> int | None:
    r"""Find the line of a key in TOML text.

    Parameters
    ----------
    text : str
        The TOML.
    loc : tuple of int or str
        Path of the key: table, index in an array of tables, key.

    Returns
    -------
    int or None
        Line number from 1; that of the table where the key is not there, None where neither is.

    Examples
    --------
    >>> find_line("[search]\nrounds = 3\n", ("search", "rounds"))
    2
    """
    if not loc:
        return None
    table = str(loc[0])
    index = next((p for p in loc if isinstance(p, int)), None)
    key = next((str(p) for p in reversed(loc) if isinstance(p, str)), table)
    header = re.compile(rf"^\s*\[\[?\s*{re.escape(table)}\s*(\..*)?\]\]?\s*(#.*)?$")
    anything = re.compile(r"^\s*\[")
    pair = re.compile(rf"^\s*\"?{re.escape(key)}\"?\s*=")
    seen, inside, start = -1, table == key or len(loc) == 1, None
    for number, line in enumerate(text.splitlines(), 1):
        if found := header.match(line):
            seen += not found[1]  # [device.options] belongs to the device before it
            inside = index is None or seen == index
            if inside and start is None:
                start = number
            continue
        if anything.match(line):
            inside = False
        if inside and pair.match(line):
            return number
    return start


def _place(loc: tuple[int | str, ...]) -> str:
    out = ""
    for part in loc:
        out += f"[{part}]" if isinstance(part, int) else f".{part}" if out else part
    return out


def _known_keys(loc: tuple[int | str, ...]) -> list[str]:
    parts: dict[str, type[BaseModel]] = {
        "supernet": SupernetConfig,
        "data": DataConfig,
        "device": DeviceConfig,
        "objective": ObjectiveConfig,
        "protocol": TimingProtocol,
        "profile": ProfileConfig,
        "search": SearchConfig,
        "validate": ValidateConfig,
        "certified": CertifiedConfig,
        "task": TaskConfig,
        "fleet": FleetConfig,
        "budget": BudgetConfig,
    }
    model: type[BaseModel] = parts.get(str(loc[0]), CampaignConfig) if len(loc) > 1 else CampaignConfig
    return [f.alias or n for n, f in model.model_fields.items()]
