"""Numbers as words: few digits, never a wrong magnitude."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsearch.reporting import words


@settings(deadline=None)
@given(st.floats(1e-4, 9.9e5), st.integers(2, 5))
def test_number_is_within_its_digits(x: float, digits: int) -> None:
    shown = words.number(x, digits).replace("\u202f", "")
    assert float(shown) == pytest.approx(x, rel=0.51 * 10 ** (1 - digits))
    assert len(shown.replace(".", "").strip("0")) <= max(digits, len(str(int(x))))


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (4.1e6, "4.10 M"),
        (10.4e6, "10.4 M"),
        (999.9e3, "1.00 M"),
        (312_400, "312 k"),
        (512, "512"),
        (1.23e9, "1.23 G"),
        (math.nan, "–"),
        (None, "–"),
    ],
)
def test_scaled(value: float, shown: str) -> None:
    assert words.scaled(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(0.84, "0.84 s"), (59.6, "1 min 00 s"), (72.4, "1 min 12 s"), (7500, "2 h 05 min")]
)
def test_seconds(value: float, shown: str) -> None:
    assert words.seconds(value) == shown


def test_large_counts_use_powers_of_ten() -> None:
    assert words.number(322_486_272_000, 2) == "3.2 × 10¹¹"
    assert words.number(2.5e-7, 2) == "2.5 × 10⁻⁷"


@pytest.mark.parametrize(("half", "places"), [(0.01, 2), (0.02, 2), (0.003, 3), (0.15, 1), (1.5, 0), (1e-9, 4)])
def test_decimals_follow_the_uncertainty(half: float, places: int) -> None:
    assert words.decimals([half], [1.0]) == places


def test_decimals_without_uncertainty_show_three_digits() -> None:
    assert words.decimals([math.nan], [0.4321]) == 3
    assert words.decimals([], []) == 2


def test_values_with_their_uncertainty() -> None:
    assert words.plus_minus(82.249, 0.512) == "82.2 ± 1.0"
    assert words.plus_minus(82.249, math.nan) == "82.2"
    assert words.with_interval(0.4444, 0.431, 0.449) == "0.44 (0.43–0.45)"
    assert words.with_interval(math.nan, 0, 1) == "–"


def test_labels_and_cells() -> None:
    assert words.label("warmup_ms") == "Warmup (ms)"
    assert words.label("cpu") == "CPU"
    assert words.cell("confidence", 0.9) == "90 %"
    assert words.cell("macs_range", [1e6, 10.4e6]) == "1.00 M to 10.4 M"
    assert words.cell("noise_percent", 3.1234567) == "3.1"
    assert words.cell("processes", [24, 48]) == "24 to 48, until the interval is narrow enough"
    assert words.cell("processes", [3, 3]) == "3"
    assert words.value_text({"a": True, "b": [1, 2.00001]}) == "a yes, b 1, 2"
    assert words.moment("2025-01-31T13:00:00+01:00") == "2025-01-31 12:00 UTC"
    assert words.moment("yesterday") == "yesterday"
