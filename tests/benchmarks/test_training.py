"""The benchmark of strategies: its arms exist, differences and crossings are read off correctly."""

from __future__ import annotations

import pandas as pd
import pytest

from benchmarks.training_arms import ARMS, crossing, difference
from benchmarks.training_ground import TRAIN, digits, tiny_elastic
from hwsearch.training.strategies import STRATEGIES

ROWS = pd.DataFrame(
    [
        {"arm": arm, "budget": budget, "smallest": value + spread}
        for arm, values in {"soft": (60, 70, 82, 81), "plain": (70, 71, 80, 80)}.items()
        for budget, value in zip((1, 2, 4, 8), values, strict=True)
        for spread in (-1, 1)
    ]
)


@pytest.mark.parametrize("name", ARMS)
def test_every_arm_is_a_strategy_with_settings_that_it_takes(name: str) -> None:
    arm = ARMS[name]
    assert STRATEGIES.load(arm.strategy)(**arm.options).identity()
    assert 1 <= arm.passes <= 4


def test_differences_have_the_sign_of_the_first() -> None:
    assert difference(ROWS, "soft", "plain", 1) == -10 and difference(ROWS, "plain", "soft", 8) == -1
    assert difference(ROWS, "soft", "missing", 1) is None


def test_an_arm_crosses_where_it_stays_above() -> None:
    assert crossing(ROWS, "soft", "plain") == 4
    assert crossing(ROWS[ROWS["budget"] < 4], "soft", "plain") is None
    assert crossing(ROWS, "plain", "soft") is None


def test_the_ground_is_what_the_documentation_says() -> None:
    train, test = digits()
    assert (len(train), len(test)) == (TRAIN, 600)
    assert not set(map(train.key, range(len(train)))) & set(map(test.key, range(len(test))))
    net = tiny_elastic(0)
    assert {len(c.values) for c in net.space.choices if c.name.startswith("width")} == {4}
    assert 100_000 < net.params(net.space.largest()) < 200_000
