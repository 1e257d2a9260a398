"""Recipes: what a TOML file must and may say, and the strategies that it names."""

from __future__ import annotations

from pathlib import Path

import pytest

from hwsearch.errors import ConfigError, DataError
from hwsearch.training.config import TrainingConfig
from hwsearch.training.recipes import load_recipe, recipe_names, recipe_stages

STAGE = "[[stage]]\nstrategy = 'sandwich'\n"


def written(folder: Path, text: str) -> Path:
    path = folder / "recipe.toml"
    path.write_text(text)
    return path


def test_the_shipped_recipe_names_its_data_set() -> None:
    assert recipe_names() == ["cifar10-mbv3"]
    plan = load_recipe("cifar10-mbv3")
    assert (plan["supernet"], plan["data_set"], plan["weights_licence"]) == ("cifar10-mbv3", "cifar10", "Apache-2.0")
    assert len(plan["stage"]) == 3


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


def stages_of(folder: Path, text: str) -> list:
    path = written(folder, f"supernet = 'mine'\n{text}")
    return recipe_stages(load_recipe(path), path)


def test_settings_of_a_stage_are_those_of_its_tables(tmp_path: Path) -> None:
    (first, second) = stages_of(
        tmp_path, "[[stage]]\ntraining = { epochs = 2, lr = 1 }\n[[stage]]\nstrategy_options = { random = 1 }\n"
    )
    assert (first[1].epochs, first[1].lr, first[1].batch) == (2, 1, 128) and second[0].random == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("stage = [1]", "stage 1 is '1'"),
        ("[[stage]]\ntraining = 1", "training = '1' is not valid: give a table"),
        ("[[stage]]\nstrategy_options = []", "strategy_options = .* give a table"),
        ("[[stage]]\ntraining = { epoch = 1 }", "unknown key 'training.epoch'.*Did you mean 'epochs'"),
        ("[[stage]]\ntraining = { batch = 'many' }", "stage 1: .*batch='many' is not valid: .*integer"),
        ("[[stage]]\n[[stage]]\ntraining = { batch = 1.5 }", "stage 2: .*batch=1.5 is not valid: .*integer"),
        ("[[stage]]\ntraining = { epochs = 0 }", "epochs=0 is not valid: .*greater than or equal to 1"),
        ("[[stage]]\ntraining = { lr = inf }", "lr=inf is not valid: .*finite"),
        ("[[stage]]\ntraining = { lr = 1001 }", "lr=1001 is not valid: .*1000"),
        ("[[stage]]\ntraining = { seed = -1 }", "seed=-1 is not valid"),
        ("[[stage]]\ntraining = { compile = 1 }", "compile=1 is not valid: .*boolean"),
        ("weights_licence = 3\n[[stage]]", "weights_licence = '3' is not valid: give a text"),
    ],
)
def test_what_no_training_could_use_is_refused_by_name_and_value(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=rf"recipe\.toml: .*{said}"):
        stages_of(tmp_path, text)


def test_options_of_a_strategy_are_numbers_where_it_takes_numbers(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"recipe\.toml: stage 1: .*random='two' is not valid"):
        stages_of(tmp_path, "[[stage]]\nstrategy_options = { random = 'two' }")


@pytest.mark.parametrize(
    ("strategy", "options", "said"),
    [
        ("sandwich", "random = true", "random=True is not valid: .*integer"),
        ("sandwich", "random = 2.0", "random=2.0 is not valid: .*integer"),
        ("sandwich", "alone = true", "alone=True is not valid: .*number"),
        ("sandwich", "alone = '0.5'", "alone='0.5' is not valid: .*number"),
        ("deps", "sort = 1", "sort=1 is not valid: .*boolean"),
        ("few-shot", "values = [true]", "values.* is not valid"),
        ("few-shot", "values = 3", "values=3 is not valid: .*tuple"),
    ],
)
def test_options_of_a_strategy_are_strict(tmp_path: Path, strategy: str, options: str, said: str) -> None:
    """True is no number, and a number in quotes neither."""
    with pytest.raises(ConfigError, match=rf"stage 1: .*{said}"):
        stages_of(tmp_path, f"[[stage]]\nstrategy = '{strategy}'\nstrategy_options = {{ {options} }}")


def test_options_take_whole_numbers_for_numbers_and_lists_for_tuples(tmp_path: Path) -> None:
    ((deps, _),) = stages_of(tmp_path, "[[stage]]\nstrategy = 'deps'\nstrategy_options = { start = 0 }")
    ((few, _),) = stages_of(
        tmp_path, "[[stage]]\nstrategy = 'few-shot'\nstrategy_options = { gene = 'k', values = [3, 'a', 0.5] }"
    )
    assert deps.start == 0 and few.values == (3, "a", 0.5)


@pytest.mark.parametrize(
    ("stage", "said"),
    [
        ("strategy = 'sandwitch'", "'sandwitch' is not installed.*Did you mean 'sandwich'"),
        ("strategy = 5", "'5' is not installed"),
        ("strategy_options = { self = 1 }", "Sandwich has no setting 'self'"),
        ("strategy_options = { randm = 1 }", "no setting 'randm'.*Did you mean 'random'"),
    ],
)
def test_a_strategy_that_cannot_be_made_is_named_with_file_and_stage(tmp_path: Path, stage: str, said: str) -> None:
    with pytest.raises(ConfigError, match=rf"recipe\.toml: stage 2: .*{said}"):
        stages_of(tmp_path, f"[[stage]]\n[[stage]]\n{stage}")


def test_every_number_of_a_training_has_both_bounds() -> None:
    unbounded = {
        name
        for name, schema in TrainingConfig.model_json_schema()["properties"].items()
        for kind in schema.get("anyOf", [schema])
        if kind["type"] in ("integer", "number")
        and not (kind.keys() & {"minimum", "exclusiveMinimum"} and kind.keys() & {"maximum", "exclusiveMaximum"})
    }
    assert not unbounded
