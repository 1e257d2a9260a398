"""Recipes: what a TOML file must and may say, and the strategies that it names."""

from __future__ import annotations

from pathlib import Path

import pytest

from hwsearch.errors import ConfigError, DataError
from hwsearch.training.recipes import load_recipe, recipe_names

STAGE = "[[stage]]\nstrategy = 'sandwich'\n"


def written(folder: Path, text: str) -> Path:
    path = folder / "recipe.toml"
    path.write_text(text)
    return path


def test_the_shipped_recipe_names_its_data_set() -> None:
    assert recipe_names() == ["cifar10-mbv3"]
    plan = load_recipe("cifar10-mbv3")
    assert (plan["supernet"], plan["data_set"], plan["weights_licence"]) == ("cifar10-mbv3", "cifar10", "Apache-2.0")
    assert len(plan["stage"]) == 2


def test_a_recipe_of_ones_own_need_not_name_one(tmp_path: Path) -> None:
    assert load_recipe(written(tmp_path, f"supernet = 'mine'\n{STAGE}"))["supernet"] == "mine"


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        (f"supernet = 'mine'\nlr = 1\n{STAGE}", ConfigError, "unknown key 'lr'"),
        (f"supernet = 'mine'\n{STAGE}strategi = 3\n", ConfigError, r"unknown key 'strategi'\. Did you mean 'strategy'"),
        ("supernet = 'mine'\n", ConfigError, r"a recipe needs 'supernet' and at least one \[\[stage\]\]"),
        (STAGE, ConfigError, "a recipe needs 'supernet'"),
        ("supernet = \n", ConfigError, "recipe.toml: "),
        (f"supernet = 'mine'\ndata_set = 'cifar100'\n{STAGE}", DataError, "unknown data set 'cifar100'"),
    ],
)
def test_a_wrong_recipe_is_explained(tmp_path: Path, text: str, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words):
        load_recipe(written(tmp_path, text))


def test_an_unknown_recipe_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"no training recipe 'cifar10-mbv2'\. Did you mean 'cifar10-mbv3'"):
        load_recipe("cifar10-mbv2")


def test_a_supernet_given_beside_takes_the_place_of_the_recipes(tmp_path) -> None:
    path = tmp_path / "own.toml"
    path.write_text("[[stage]]\n")
    with pytest.raises(ConfigError, match="--supernet"):
        load_recipe(path)
    assert load_recipe(path, "my_net.py:ENTRY")["supernet"] == "my_net.py:ENTRY"
    assert load_recipe("cifar10-mbv3", "other")["supernet"] == "other"
