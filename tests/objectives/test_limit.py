"""Limits: what people type, in which unit, and what they are told when it is wrong."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsearch.errors import LimitError
from hwsearch.objectives.limit import Limit, parse_limit, unreachable_error
from hwsearch.objectives.names import UNITS


@pytest.mark.parametrize(
    ("text", "metric", "name", "op", "value"),
    [
        ("latency_ms<=2", None, "latency_ms", "<=", 2.0),
        ("latency <= 12 ms", None, "latency_ms", "<=", 12.0),
        ("  latency_ms<=500us ", None, "latency_ms", "<=", 0.5),
        ("latency_ms<=500µs", None, "latency_ms", "<=", 0.5),
        ("latency_ms<=500μs", None, "latency_ms", "<=", 0.5),  # the Greek letter, not the micro sign
        ("latency_ms<=0.25 s", None, "latency_ms", "<=", 250.0),
        ("<= 12 ms", "latency", "latency_ms", "<=", 12.0),
        ("latency<=3", "latency_ms", "latency_ms", "<=", 3.0),
        ("accuracy>=80", None, "accuracy", ">=", 80.0),
        ("top1 >= 80 %", None, "accuracy", ">=", 80.0),
        ("accuracy>=79.5pt", None, "accuracy", ">=", 79.5),
        ("macs<=300M", None, "macs", "<=", 300e6),
        ("macs<=1.5e9", None, "macs", "<=", 1.5e9),
        ("params <= 4.5 m", None, "params", "<=", 4.5e6),
        ("size <= 10 MiB", None, "model_size_mib", "<=", 10.0),
        ("model_size<=1.048576MB", None, "model_size_mib", "<=", 1.0),
        ("peak_memory<=0.5GiB", None, "peak_memory_mib", "<=", 512.0),
        ("energy<=2 J", None, "energy_mj", "<=", 2000.0),
        ("carbon<=3", None, "carbon", "<=", 3.0),
        ("latency_ms \N{LESS-THAN OR EQUAL TO} 2", None, "latency_ms", "<=", 2.0),
        (
            "latency_ms\N{FULLWIDTH LESS-THAN SIGN}\N{FULLWIDTH EQUALS SIGN}2\N{NO-BREAK SPACE}ms",
            None,
            "latency_ms",
            "<=",
            2.0,
        ),
        ("accuracy\N{GREATER-THAN OR SLANTED EQUAL TO}80", None, "accuracy", ">=", 80.0),
        ("latency_ms=<2", None, "latency_ms", "<=", 2.0),
        ("accuracy=>80", None, "accuracy", ">=", 80.0),
        ("accuracy>=0.75 %", None, "accuracy", ">=", 0.75),
        ("macs>=100M", None, "macs", ">=", 1e8),  # a range of sizes
    ],
)
def test_limits_are_read_in_the_unit_of_their_metric(
    text: str, metric: str | None, name: str, op: str, value: float
) -> None:
    found, limit = parse_limit(text, metric)
    assert found == name and limit.op == op and not limit.relative
    assert limit.value == pytest.approx(value, rel=1e-12)


def test_a_percentage_is_a_share_of_the_largest_except_for_accuracy() -> None:
    name, limit = parse_limit("<= 60 %", "latency")
    assert (name, limit) == ("latency_ms", Limit("<=", 0.6, relative=True))
    assert str(limit) == "<= 60 %" and limit.resolve(20.0) == Limit("<=", 12.0)
    with pytest.raises(LimitError, match="'<= 60 %' needs the largest subnet's value"):
        limit.resolve(None)
    absolute = parse_limit("accuracy >= 60 %")[1]
    assert absolute.resolve(None) == absolute == Limit(">=", 60.0)


@pytest.mark.parametrize(
    ("text", "metric", "message"),
    [
        ("", None, "'' is not a limit. Write METRIC<=NUMBER"),
        ("latency_ms", None, "is not a limit"),
        ("latency_ms<2", None, "is not a limit"),
        ("latency_ms=2", None, "is not a limit"),
        ("latency_ms==2", None, "is not a limit"),
        ("latency_ms<=", None, "is not a limit"),
        ("latency_ms<=fast", None, "is not a limit"),
        ("latency_ms<=1,5", None, "is not a limit"),
        ("latency_ms<=1.2.3", None, "'1.2.3' in limit 'latency_ms<=1.2.3' is not a number"),
        ("latency_ms<=2 mms", None, "unit 'mms' .* does not fit 'latency_ms'. Did you mean 'ms'"),
        ("latency_ms<=2 MiB", None, "unit 'MiB' .* does not fit 'latency_ms'"),
        ("carbon<=2 kg", None, "unit 'kg' .* does not fit 'carbon'"),
        ("latency_ms<=1e999", None, "'1e999' in limit 'latency_ms<=1e999' is too large"),
        ("accuracy>=0.75", None, r"may mean 0.75 % or 75 %.*Write 'accuracy>=75' or 'accuracy>=0.75 %'"),
        ("accuracy>=1", None, "may mean 1 % or 100 %"),
        ("accuracy<=75", None, "would keep only what is worse: of accuracy more is better. Write 'accuracy>=75'"),
        ("latency>=12 ms", None, "of latency_ms less is better. Write 'latency_ms<=12 ms'"),
        ("energy>=3", None, "of energy_mj less is better"),
        ("<= 2", None, "does not name its metric. Write 'latency_ms<= 2'"),
        ("accuracy>=80", "latency", "the limit 'accuracy>=80' is on 'accuracy', not on 'latency_ms'"),
    ],
)
def test_wrong_limits_are_explained(text: str, metric: str | None, message: str) -> None:
    with pytest.raises(LimitError, match=message):
        parse_limit(text, metric)


@settings(deadline=None)
@given(st.sampled_from(sorted(UNITS)), st.sampled_from(["<=", ">="]), st.floats(1e-3, 1e9))
def test_a_printed_limit_is_read_as_itself(metric: str, op: str, value: float) -> None:
    try:
        limit = parse_limit(f"{metric} {op} {value!r}")[1]
    except LimitError:  # on the wrong side, or an accuracy that may be a fraction
        assert metric in ("accuracy", "verified_accuracy", "latency_ms", "peak_memory_mib", "energy_mj")
        return
    assert limit == Limit(op, value)
    again = parse_limit(str(limit), metric)[1]
    assert again.op == op and again.value == pytest.approx(value, rel=1e-5)


def test_which_values_meet_a_limit() -> None:
    values = np.array([1.0, 2.0, 3.0, np.nan])
    assert Limit("<=", 2.0).met(values).tolist() == [True, True, False, False]
    assert Limit(">=", 2.0).met(values).tolist() == [False, True, True, False]


@settings(deadline=None)
@given(st.sampled_from(["<=", ">="]), st.floats(-9, 9), st.sampled_from(["<=", ">="]), st.floats(-9, 9))
def test_limits_exclude_each_other_when_no_value_meets_both(a: str, x: float, b: str, y: float) -> None:
    first, second = Limit(a, x), Limit(b, y)
    values = np.array([x, y, (x + y) / 2, -1e3, 1e3])  # if any value meets both, one of these does
    assert first.excludes(second) == (not (first.met(values) & second.met(values)).any())
    assert first.excludes(second) == second.excludes(first)
    assert not Limit(">=", 0.9, relative=True).excludes(Limit("<=", 0.1))


@pytest.mark.parametrize(
    ("op", "values", "best", "suggested"),
    [
        ("<=", [3.14159, 4.0, np.nan], "lowest measured is 3.14159", "latency_ms <= 3.15"),
        (">=", [76.543, 70.0, np.nan], "highest measured is 76.543", "latency_ms >= 76.5"),
        ("<=", [1234.5], "lowest measured is 1234.5", "latency_ms <= 1240"),
        (">=", [1234.5], "highest measured is 1234.5", "latency_ms >= 1230"),
        ("<=", [0.0], "lowest measured is 0", "latency_ms <= 0"),
    ],
)
def test_the_error_suggests_a_limit_on_the_side_that_can_be_met(
    op: str, values: list[float], best: str, suggested: str
) -> None:
    limit = Limit(op, 1.0)
    error = unreachable_error(f"latency_ms {limit}", limit, np.array(values), ["macs <= 9"], f"latency_ms {op}")
    assert best in error.message and "under macs <= 9" in error.message
    assert error.hint == f'Try "{suggested}".'
