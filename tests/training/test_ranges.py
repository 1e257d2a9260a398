"""Ranges of settings: their ends, and what is no number."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest

from hwsearch.errors import TrainingError
from hwsearch.training.ranges import EXAMPLES, RATE, SHARE, Range, check_ranges


def test_ends_belong_to_a_range_unless_they_are_left_out() -> None:
    assert SHARE.holds(0) and SHARE.holds(1.0) and not SHARE.holds(-1e-9) and not SHARE.holds(1 + 1e-9)
    assert not RATE.holds(0) and not RATE.holds(10) and RATE.holds(np.float32(0.1))
    assert EXAMPLES.holds(2) and EXAMPLES.holds(np.int64(100_000)) and not EXAMPLES.holds(1) and not EXAMPLES.holds(2.5)


@pytest.mark.parametrize("value", [math.nan, math.inf, "0.5", True, None, [0.5]])
def test_what_is_no_number_is_in_no_range(value: object) -> None:
    assert not SHARE.holds(value)


def test_the_setting_is_named_and_defaults_are_left_alone() -> None:
    ranges = {"lr": Range(0, 1, optional=True), "share": Range(0, 1, above=True)}
    check_ranges(SimpleNamespace(lr=None, share=1), ranges)
    with pytest.raises(TrainingError, match="share = 0 is not valid: give a number above 0 up to 1"):
        check_ranges(SimpleNamespace(lr=0.1, share=0), ranges)
