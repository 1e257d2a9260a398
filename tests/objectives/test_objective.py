"""Objectives: what people type, and what they are told when it is wrong."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsearch.errors import LimitError
from hwsearch.objectives.limit import Limit
from hwsearch.objectives.names import DIRECTIONS, UNITS
from hwsearch.objectives.objective import Objective, signs


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


@settings(deadline=None)
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
