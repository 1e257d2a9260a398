"""Training recipes: TOML files that name a supernet, and a strategy with its settings for each stage."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from hwsearch._files import toml_tables, toml_text
from hwsearch._json import JsonObject
from hwsearch.errors import ConfigError, TrainingError, nearest
from hwsearch.tasks.sources import find_source
from hwsearch.training.config import TrainingConfig
from hwsearch.training.strategies import STRATEGIES
from hwsearch.training.strategies.base import Strategy

#: the strategy of a stage that names none
DEFAULT_STRATEGY = "sandwich"
#: random subnets whose accuracy is on the card
CARD_SUBNETS = 20


def recipe_names() -> list[str]:
    """List the recipes that ship with the package.

    Returns
    -------
    list of str
        Names that `load_recipe` takes, sorted.
    """
    folder = files("hwsearch") / "training" / "recipes"
    return sorted(p.name.removesuffix(".toml") for p in folder.iterdir() if p.name.endswith(".toml"))


def load_recipe(recipe: str | Path, supernet: str | None = None) -> JsonObject:
    """Load a training recipe.

    Parameters
    ----------
    recipe : str or Path
        A name of `recipe_names`, or a TOML file.
    supernet : str, optional
        What is trained in place of the recipe's ``supernet``, which may then be missing.

    Returns
    -------
    dict of str to object
        The keys ``supernet`` and ``stage``, a list of tables; perhaps ``data_set``, a name of
        `hwsearch.tasks.sources.DATA_SOURCES`, and ``weights_licence``, both for the model card.

    Raises
    ------
    ConfigError
        If there is no such recipe, it is not TOML, or a key is missing or unknown.
    DataError
        If ``data_set`` is not known.
    """
    path = Path(recipe)
    own = path.suffix == ".toml" and path.is_file()
    if not own and str(recipe) not in recipe_names():
        raise ConfigError(f"there is no training recipe {str(recipe)!r}.", hint=nearest(str(recipe), recipe_names()))
    shipped = files("hwsearch") / "training" / "recipes" / f"{recipe}.toml"
    data = toml_tables(toml_text(path) if own else shipped.read_text(encoding="utf-8"), str(recipe))
    _keys(data, {"supernet", "stage", "data_set", "weights_licence"}, recipe)
    if supernet is not None:
        data["supernet"] = supernet
    if "supernet" not in data or not isinstance(data.get("stage"), list) or not data["stage"]:
        raise ConfigError(
            f"{recipe}: a recipe needs 'supernet' and at least one [[stage]].",
            hint="Add what is missing; the option --supernet takes the place of the first.",
        )
    if "data_set" in data:
        find_source(str(data["data_set"]))
    for name in ("supernet", "weights_licence"):
        if not isinstance(data.get(name, ""), str):
            raise ConfigError(f"{recipe}: {name} = {str(data[name])[:40]!r} is not valid: give a text.")
    for number, stage in enumerate(data["stage"], 1):
        if not isinstance(stage, dict):
            raise ConfigError(
                f"{recipe}: stage {number} is {str(stage)[:40]!r}.", hint="Write it as a table, [[stage]]."
            )
        _keys(stage, {"strategy", "strategy_options", "training"}, recipe)
    return data


def recipe_stages(plan: JsonObject, recipe: str | Path) -> list[tuple[Strategy, TrainingConfig]]:
    """Make the stages of a recipe.

    Parameters
    ----------
    plan : dict
        As `load_recipe` gives it.
    recipe : str or Path
        Where it came from, for messages.

    Returns
    -------
    list of tuple
        The strategy and the settings of each stage.

    Raises
    ------
    ConfigError
        If there is no such strategy, or a setting of it or of the training is unknown, of the wrong kind or out of range.
    """
    stages = []
    for number, stage in enumerate(plan["stage"], 1):
        options, training = (_table(stage.get(name, {}), name, recipe) for name in ("strategy_options", "training"))
        _keys(training, set(TrainingConfig.model_fields), recipe, "training.")
        try:
            strategy = make_strategy(str(stage.get("strategy", DEFAULT_STRATEGY)), options)
            stages.append((strategy, TrainingConfig(**training)))
        except TrainingError as error:
            raise ConfigError(f"{recipe}: stage {number}: {error.message}", hint=error.hint) from error
    return stages


def _table(value: object, name: str, recipe: str | Path) -> JsonObject:
    if not isinstance(value, dict):
        raise ConfigError(f"{recipe}: {name} = {str(value)[:40]!r} is not valid: give a table.")
    return value


def _keys(data: JsonObject, known: set[str], source: str | Path, prefix: str = "") -> None:
    unknown = sorted(set(data) - known)
    if unknown:
        raise ConfigError(f"{source}: unknown key {prefix + unknown[0]!r}.", hint=nearest(unknown[0], known))


def make_strategy(name: str, options: JsonObject) -> Strategy:
    """Make a training strategy by name (entry points of the group ``hwsearch.strategies``).

    Parameters
    ----------
    name : str
        The strategy.
    options : dict
        Its settings.

    Returns
    -------
    Strategy
        The strategy.

    Raises
    ------
    TrainingError
        If there is no such strategy, or it does not take these settings.
    """
    return STRATEGIES.load(name)(**options)
