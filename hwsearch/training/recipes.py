"""`train`: a supernet from a recipe and a data set, resumable, with a card at the end."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

from hwsearch.errors import ConfigError, TrainingError, nearest
from hwsearch.training import Strategy
from hwsearch.training.strategies import STRATEGIES

#: random subnets whose accuracy is on the card
CARD_SUBNETS = 20


def recipe_names() -> list[str]:
    folder = files("hwsearch") / "training" / "recipes"
    return sorted(p.name.removesuffix(".toml") for p in folder.iterdir() if p.name.endswith(".toml"))


def load_recipe(recipe: str | Path) -> dict[str, Any]:
    """A recipe by name, or from a TOML file."""
    path = Path(recipe)
    if path.suffix == ".toml" and path.is_file():
        text = path.read_text(encoding="utf-8")
    elif str(recipe) in recipe_names():
        text = (files("hwsearch") / "training" / "recipes" / f"{recipe}.toml").read_text(encoding="utf-8")
    else:
        raise ConfigError(f"there is no training recipe {str(recipe)!r}.", hint=nearest(str(recipe), recipe_names()))
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{recipe}: {error}.") from error
    _keys(data, {"supernet", "stage"}, recipe)
    if "supernet" not in data or not isinstance(data.get("stage"), list) or not data["stage"]:
        raise ConfigError(f"{recipe}: a recipe needs 'supernet' and at least one [[stage]].")
    for stage in data["stage"]:
        _keys(stage, {"strategy", "strategy_options", "training"}, recipe)
    return data


def _keys(data: dict[str, Any], known: set[str], source: str | Path) -> None:
    unknown = sorted(set(data) - known)
    if unknown:
        raise ConfigError(f"{source}: unknown key {unknown[0]!r}.", hint=nearest(unknown[0], known))


def make_strategy(name: str, options: dict[str, Any]) -> Strategy:
    """A training strategy by name (entry points of group ``hwsearch.strategies``)."""
    kind = STRATEGIES.load(name)
    try:
        return kind(**options)
    except TypeError as error:
        raise TrainingError(f"strategy {name!r} does not take these options: {error}.") from error
