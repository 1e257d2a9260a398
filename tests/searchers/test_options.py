"""Options of tactics: what their models take, how they are described, and what is said of a wrong one."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import pytest
from pydantic import Field

from hwsearch.errors import SearchError
from hwsearch.searchers.options import (
    RowFunction,
    SearcherOptions,
    describe,
    function_option,
    parse_options,
)


class Options(SearcherOptions):
    """Options of a test."""

    size: int = Field(5, ge=2, description="Size.")
    share: float | None = Field(None, gt=0, lt=1, description="Share.")
    rate: float = Field(0.5, ge=0.0, le=1.0, description="Rate.")
    most: int = Field(3, le=9, description="Most.")
    mode: Literal["fast", "slow"] = Field("fast", description="Mode.")
    sizes: tuple[int, Annotated[int, Field(gt=0)]] = Field((1, 2), description="Sizes.")
    wanted: dict[str, float] = Field({}, description="Wanted.")
    cost: RowFunction | None = function_option("Cost.")


def test_kinds_and_ranges_are_put_into_words() -> None:
    assert [(r.name, r.type, r.default) for r in describe(Options)] == [
        ("size", "integer >= 2", "5"),
        ("share", "number in (0, 1) or None", "None"),
        ("rate", "number in [0.0, 1.0]", "0.5"),
        ("most", "integer <= 9", "3"),
        ("mode", "one of 'fast', 'slow'", "'fast'"),
        ("sizes", "(integer, integer > 0)", "(1, 2)"),
        ("wanted", "mapping of text to number", "{}"),
        ("cost", "function or None", "None"),
    ]


def test_descriptions_stand_in_the_docstring_once() -> None:
    class More(Options):
        """More of them."""

        extra: bool = Field(False, description="Extra.")

    text = More.__doc__ or ""
    assert text.startswith("More of them.") and text.count("\nAttributes\n") == 1
    assert "\nextra : true or false, default False\n    Extra." in text and "\nsize : integer >= 2, default 5" in text


def test_settings_hold_no_functions() -> None:
    given = parse_options("mine", Options, {"cost": len, "size": np.int64(7), "sizes": [3, 4]})
    assert isinstance(given, Options) and given.cost is len
    assert given.settings() == {
        "size": 7,
        "share": None,
        "rate": 0.5,
        "most": 3,
        "mode": "fast",
        "sizes": [3, 4],
        "wanted": {},
    }


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ({"sise": 3}, r"tactic 'mine' has no option 'sise'\. Did you mean 'size'"),
        ({"size": 1}, r"tactic 'mine': size=1 is not valid; size must be integer >= 2"),
        ({"size": True}, "size=True is not valid"),
        ({"size": "7"}, "size='7' is not valid"),
        ({"share": 1.0}, r"share=1\.0 is not valid; share must be number in \(0, 1\) or None"),
        ({"rate": 1.01}, r"rate must be number in \[0\.0, 1\.0\]"),
        ({"rate": float("nan")}, "rate=nan is not valid"),
        ({"most": 10}, "most must be integer <= 9"),
        ({"mode": "slwo"}, r"mode must be one of 'fast', 'slow'\. Did you mean 'slow'"),
        ({"sizes": (1, 0)}, r"sizes=\(1, 0\) is not valid"),
        ({"cost": 3}, "cost must be function or None"),
    ],
)
def test_a_wrong_option_is_named_with_what_it_must_be(option, words: str) -> None:
    with pytest.raises(SearchError, match=words):
        parse_options("mine", Options, option)


def test_bounds_belong_to_the_values_that_are_allowed() -> None:
    parse_options("mine", Options, {"size": 2, "rate": 1.0, "most": 9})
    parse_options("mine", Options, {"rate": 0.0, "share": 0.999})
