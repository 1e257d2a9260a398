"""Values brought to JSON: what is kept comes back equal or is refused, what is shown never fails."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest

from hwsearch._json import finite_or_none, is_shallow, shown_as_json, to_json


@pytest.mark.parametrize("unknown", [None, math.nan, math.inf, -math.inf, np.float64("nan")])
def test_a_figure_that_is_not_known_becomes_none(unknown) -> None:
    assert finite_or_none(unknown) is None and finite_or_none(unknown, 3) is None


def test_a_known_figure_is_a_python_number_rounded_only_where_asked() -> None:
    for value in (1.23456, np.float64(1.23456)):
        assert finite_or_none(value) == 1.23456 and finite_or_none(value, 2) == 1.23
        assert type(finite_or_none(value)) is type(finite_or_none(value, 2)) is float
    assert finite_or_none(0.0) == 0.0 and finite_or_none(-2.5) == -2.5


def test_what_is_kept_is_plain_and_unknown_numbers_are_written_as_none_only_where_asked() -> None:
    value = {"a": (np.int64(1), np.array([1.5, math.nan])), "b": None, "c": True}
    assert to_json(value, "x", nan_to_none=True) == {"a": [1, [1.5, None]], "b": None, "c": True}
    assert math.isnan(to_json(value, "x")["a"][1][1])


@pytest.mark.parametrize(
    "value, text",
    [
        ({"a": {1: 2}}, r"x\['a'\] has the key 1, which is not text"),
        ([0, {3}], r"x\[1\] is a set, which JSON cannot hold"),
    ],
)
def test_what_would_not_come_back_is_refused_by_its_place(value, text) -> None:
    with pytest.raises(ValueError, match=text):
        to_json(value, "x", error=ValueError)


def test_whatever_is_shown_is_json() -> None:
    value = {
        1: math.inf,
        "set": {2},
        "frame": pd.DataFrame({"a": [1.5, math.nan], "b": ["x", "y"]}),
        "array": np.array([[1, 2]]),
        "number": np.float32(0.5),
        "other": complex(1, 2),
    }
    shown = shown_as_json(value)
    assert json.loads(json.dumps(shown, allow_nan=False)) == shown
    assert shown == {
        "1": None,
        "set": [2],
        "frame": [{"a": 1.5, "b": "x"}, {"a": None, "b": "y"}],
        "array": [[1, 2]],
        "number": 0.5,
        "other": "(1+2j)",
    }


def test_depth_is_told_without_walking_down() -> None:
    deep: object = 1
    for _ in range(100_000):
        deep = {"a": [deep]}
    assert not is_shallow(deep) and not is_shallow([1, {"b": deep}])
    for levels in range(4):
        assert [is_shallow(value, levels) for value in (1, [1], [[1]], {"a": {"b": [1]}})] == [
            True,
            levels >= 1,
            levels >= 2,
            levels >= 3,
        ]
