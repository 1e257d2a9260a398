"""Ranges of numbers as genes."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hwsearch.errors import SpaceError
from hwsearch.spaces import Choice, SearchSpace, When


def test_a_range_has_both_ends_and_even_steps() -> None:
    plain = Choice.between("dropout", 0.0, 0.5, 11)
    assert plain.values == pytest.approx(np.linspace(0.0, 0.5, 11)) and plain.ordinal
    rate = Choice.between("lr", 1e-4, 3e-1, 20, log=True, when=When("depth", (2,)))
    logs = np.log([float(v) for v in rate.values])
    assert np.diff(logs) == pytest.approx(np.full(19, math.log(3e3) / 19), rel=1e-4)
    assert (rate.values[0], rate.values[-1]) == (1e-4, 3e-1) and rate.when == When("depth", (2,))
    assert Choice.from_dict(rate.to_dict()) == rate


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"low": 1.0, "high": 1.0}, "empty"),
        ({"low": 2.0, "high": 1.0}, "empty"),
        ({"low": 0.0, "high": math.inf}, "empty or not finite"),
        ({"low": math.nan, "high": 1.0}, "empty or not finite"),
        ({"low": "0", "high": 1.0}, "empty or not finite"),
        ({"low": 0.0, "high": 1.0, "log": True}, "no logarithm"),
        ({"low": -1.0, "high": 1.0, "log": True}, "no logarithm"),
        ({"low": 0.0, "high": 1.0, "steps": 1}, "1 steps"),
        ({"low": 0.0, "high": 1.0, "steps": 2000}, "2000 steps"),
        ({"low": 0.0, "high": 1.0, "steps": 8.0}, "8.0 steps"),
        ({"low": 1.0, "high": 1.00001, "steps": 50}, "too narrow"),
    ],
)
def test_a_range_that_is_none_is_refused(arguments: dict, word: str) -> None:
    with pytest.raises(SpaceError, match=word):
        Choice.between("lr", **arguments)


def test_a_space_knows_its_ranges_and_where_values_lie_in_them() -> None:
    fine = Choice.between("lr", 1e-4, 1e-1, 31, log=True, when=When("train", (1,)))
    whole = Choice("width", tuple(range(8, 40)))  # many values, but whole numbers are no range
    coarse = Choice("scale", (0.5, 0.75, 1.0))
    space = SearchSpace("mixed", [Choice("train", (0, 1)), whole, coarse, fine, Choice.between("p", 0.0, 1.0, 9)])
    assert space.ranges.tolist() == [3, 4]
    rows = space.canonical(np.array([[0, 0, 0, 5, 8], [1, 0, 0, 0, 4], [1, 0, 0, 30, 0]]))
    assert space.range_places(rows).tolist() == [[0.5, 1.0], [0.0, 0.5], [1.0, 0.0]]
