"""Objectives and limits: what people type, in which unit, and what they are told when it is wrong."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsearch.errors import LimitError
from hwsearch.objectives.limit import Limit, parse_limit
from hwsearch.objectives.names import DIRECTIONS, UNITS
from hwsearch.objectives.objective import Objective, signs


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
        ("<= 2", None, "does not name its metric. Write 'latency_ms<= 2'"),
        ("accuracy>=80", "latency", "the limit 'accuracy>=80' is on 'accuracy', not on 'latency_ms'"),
    ],
)
def test_wrong_limits_are_explained(text: str, metric: str | None, message: str) -> None:
    with pytest.raises(LimitError, match=message):
        parse_limit(text, metric)


@given(st.sampled_from(sorted(UNITS)), st.sampled_from(["<=", ">="]), st.floats(1e-3, 1e9))
def test_a_printed_limit_is_read_as_itself(metric: str, op: str, value: float) -> None:
    limit = parse_limit(f"{metric} {op} {value!r}")[1]
    assert limit == Limit(op, value)
    again = parse_limit(str(limit), metric)[1]
    assert again.op == op and again.value == pytest.approx(value, rel=1e-5)


def test_which_values_meet_a_limit() -> None:
    values = np.array([1.0, 2.0, 3.0, np.nan])
    assert Limit("<=", 2.0).met(values).tolist() == [True, True, False, False]
    assert Limit(">=", 2.0).met(values).tolist() == [False, True, True, False]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("max accuracy", Objective("accuracy", "max")),
        ("accuracy", Objective("accuracy", "max")),
        ("min latency", Objective("latency_ms", "min")),
        ("latency_ms <= 2", Objective("latency_ms", "min", limit=Limit("<=", 2.0))),
        ("min latency<=500us", Objective("latency_ms", "min", limit=Limit("<=", 0.5))),
        ("latency_ms@cpu-b1-t1", Objective("latency_ms", "min", "cpu-b1-t1")),
        ("latency@edge-box <= 2 ms", Objective("latency_ms", "min", "edge-box", Limit("<=", 2.0))),
        ("min energy@edge", Objective("energy_mj", "min", "edge")),
        ("max robustness", Objective("robustness", "max")),
        ("min accuracy", Objective("accuracy", "min")),
    ],
)
def test_objectives_are_read(text: str, expected: Objective) -> None:
    assert Objective.parse(text) == expected


@pytest.mark.parametrize("text", ["", "max", "robustness", "maximise accuracy", "carbon<=2"])
def test_an_objective_without_a_direction_is_refused(text: str) -> None:
    with pytest.raises(LimitError, match=r"has no direction\. Write 'min METRIC' or 'max METRIC'"):
        Objective.parse(text)


def test_a_misspelt_metric_names_the_near_one() -> None:
    with pytest.raises(LimitError, match="Did you mean 'latency_ms'"):
        Objective.parse("latncy_ms<=2")
    with pytest.raises(LimitError, match="objective 'accuracy' has no direction"):
        Objective("accuracy", "up")


def test_names_signs_and_limits() -> None:
    objectives = [Objective("accuracy"), Objective("latency", device="cpu"), Objective("macs")]
    assert [o.name for o in objectives] == ["accuracy", "latency_ms@cpu", "macs"]
    assert signs(objectives).tolist() == [-1.0, 1.0, 1.0]
    limited = objectives[1].with_limit(Limit("<=", 3.0))
    assert limited.limit == Limit("<=", 3.0) and limited.with_limit(None) == objectives[1]


def test_every_known_metric_has_a_unit() -> None:
    assert set(UNITS) == set(DIRECTIONS)
    assert all(units[""] == 1.0 for units in UNITS.values())


@given(st.sampled_from(["<=", ">="]), st.floats(-9, 9), st.sampled_from(["<=", ">="]), st.floats(-9, 9))
def test_limits_exclude_each_other_when_no_value_meets_both(a: str, x: float, b: str, y: float) -> None:
    first, second = Limit(a, x), Limit(b, y)
    values = np.array([x, y, (x + y) / 2, -1e3, 1e3])  # if any value meets both, one of these does
    assert first.excludes(second) == (not (first.met(values) & second.met(values)).any())
    assert first.excludes(second) == second.excludes(first)
    assert not Limit(">=", 0.9, relative=True).excludes(Limit("<=", 0.1))


@given(st.sampled_from(["min", "max"]), st.sampled_from([None, "<=", ">="]), st.floats(-9, 9), st.floats(-9, 9))
def test_at_least_asks_for_the_better_of_limit_and_value(
    direction: str, op: str | None, own: float, value: float
) -> None:
    limit = Limit(op, own) if op else None
    objective = Objective("x", direction, limit=limit, probability=0.9 if limit else None)
    found = objective.at_least(value).limit
    assert found is not None
    better = "<=" if direction == "min" else ">="
    if op == ("<=" if better == ">=" else ">="):
        assert found == limit  # the other side stays bounded
    else:
        tighter = (min if better == "<=" else max)([value, *([own] if op else [])])
        assert (found.op, found.value) == (better, tighter)


def test_a_probability_belongs_to_a_limit() -> None:
    limited = Objective("latency", limit=Limit("<=", 2.0), probability=0.95)
    assert limited.with_limit(Limit("<=", 1.0)).probability == 0.95 and limited.with_limit(None).probability is None
    assert limited.at_least(1.0).probability is None  # what is aspired to is no promise
    for limit, probability, says in (
        (None, 0.9, "no limit"),
        (Limit("<=", 1.0), 0.5, "not between"),
        (Limit("<=", 1.0), 1.0, "not between"),
    ):
        with pytest.raises(LimitError, match=says):
            Objective("latency", limit=limit, probability=probability)
