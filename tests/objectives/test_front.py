"""The front of measured rows: what it keeps, what it picks, and what it says when nothing fits."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsearch._typing import FloatArray
from hwsearch.errors import LimitError, SearchError
from hwsearch.objectives.front import Front
from hwsearch.objectives.limit import Limit
from hwsearch.objectives.objective import Objective
from hwsearch.objectives.pareto import hypervolume
from tests.objectives.strategies import POOL, cases

OBJECTIVES = ["max accuracy", "min latency_ms@cpu"]


def front_objectives() -> list[Objective]:
    return [Objective.parse(text) for text in OBJECTIVES]


def frame() -> pd.DataFrame:
    rows = [("a", 70.0, 1.0, 10.0), ("b", 80.0, 2.0, 30.0), ("c", 82.0, 4.0, 20.0), ("worse", 79.0, 2.5, 1.0)]
    rows += [("twin", 80.0, 2.0, 5.0), ("failed", np.nan, 0.1, 5.0)]
    return pd.DataFrame(rows, columns=["arch_id", "accuracy", "latency_ms@cpu", "macs"]).iloc[::-1]


def test_front_keeps_the_first_twin_and_sorts_by_the_last_objective() -> None:
    source = frame()
    before = source.copy()
    front = Front.of(source, OBJECTIVES)
    assert front.to_frame()["arch_id"].tolist() == ["a", "twin", "c"]  # reversed above, so the twin comes first
    assert front.to_frame()["macs"].tolist() == [10.0, 5.0, 20.0]
    pd.testing.assert_frame_equal(source, before)
    assert front.hypervolume([69.0, 5.0]) == pytest.approx(hypervolume(front.values, front.objectives, [69.0, 5.0]))


def test_front_names_the_missing_column() -> None:
    with pytest.raises(SearchError, match="latency_ms@cpu"):
        Front.of(frame(), ["max accuracy", "min latency_ms@cp"])


def test_knee_of_very_small_fronts() -> None:
    assert Front.of(frame()[frame()["arch_id"].isin(["a", "c"])], OBJECTIVES).knee()["arch_id"] == "c"
    with pytest.raises(SearchError):
        Front.from_values([], np.empty((0, 2)), front_objectives()).knee()


@settings(deadline=None)
@given(cases(0, 9), st.floats(0, 9), st.floats(0, 9))
def test_pick_is_the_best_of_what_meets_the_limits(values: FloatArray, least: float, most: float) -> None:
    """Against a search through all rows, with limits on the first two of m objectives."""
    if values.shape[1] < 2:
        return
    objectives = POOL[: values.shape[1]]
    front = Front.from_values([str(i) for i in range(len(values))], values, objectives)
    free = objectives[2] if len(objectives) > 2 else objectives[0]
    meeting = [v for v in front.values if v[0] >= least and v[1] <= most]
    limits = [("accuracy", Limit(">=", least)), ("latency_ms@cpu", Limit("<=", most))]
    if not meeting:
        with pytest.raises(LimitError):
            front.pick(limits)
        return
    picked = front.pick(limits)
    assert picked["accuracy"] >= least and picked["latency_ms@cpu"] <= most
    column = objectives.index(free)
    assert picked[free.name] * free.sign == min(v[column] * free.sign for v in meeting)


def test_pick_understands_texts_devices_and_extra_columns() -> None:
    front = Front.of(frame(), OBJECTIVES)
    assert front.pick("latency_ms<=2")["arch_id"] == "twin"
    assert front.pick("latency <= 3 ms")["arch_id"] == "twin"
    assert front.pick("latency_ms@cpu <= 1999 us")["arch_id"] == "a"
    assert front.pick("accuracy>=75")["arch_id"] == "twin"  # the fastest of those
    assert front.pick(["macs>=15"])["arch_id"] == "c"
    assert front.pick([])["arch_id"] == "c"
    assert front.pick(("latency_ms", Limit("<=", 0.6, relative=True)), largest={"latency_ms": 4.0})["arch_id"] == "twin"
    with pytest.raises(LimitError, match="largest"):
        front.pick("latency_ms <= 60 %")


def test_pick_names_the_nearest_value_that_can_be_reached() -> None:
    front = Front.from_values(["a", "b"], [[70.0, 0.31249], [80.0, 2.0]], front_objectives())
    with pytest.raises(LimitError) as error:
        front.pick("latency_ms<=0.1")
    assert "the lowest measured is 0.31249" in error.value.message
    suggestion = str(error.value.hint).split('"')[1]
    assert suggestion == "latency_ms@cpu <= 0.313"
    assert front.pick(suggestion)["arch_id"] == "a"
    with pytest.raises(LimitError, match="under latency_ms@cpu <= 1: the highest measured is 70"):
        front.pick(["latency_ms<=1", "accuracy>=75"])


@settings(deadline=None)
@given(st.floats(1e-3, 1e9), st.sampled_from(["<=", ">="]))
def test_the_suggested_limit_can_be_met(value: float, op: str) -> None:
    front = Front.from_values(["a"], [[value, 1.0]], [Objective("macs"), Objective("latency_ms")])
    with pytest.raises(LimitError) as error:
        front.pick([("macs", Limit(op, value / 2 if op == "<=" else value * 2))])
    assert front.pick(str(error.value.hint).split('"')[1])["arch_id"] == "a"


def test_pick_refuses_what_is_unknown_or_ambiguous() -> None:
    objectives = [Objective("accuracy"), Objective("latency_ms", device="cpu"), Objective("latency_ms", device="gpu")]
    front = Front.from_values(["a"], [[70.0, 1.0, 2.0]], objectives)
    with pytest.raises(LimitError, match="fits 2 columns"):
        front.pick("latency_ms<=2")
    assert front.pick("latency_ms@gpu<=2")["arch_id"] == "a"
    with pytest.raises(LimitError, match="energy_mj"):
        front.pick("energy<=2")


def test_plot_draws_the_values_on_the_axes_given() -> None:
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    ax = Figure().subplots()
    front = Front.of(frame(), OBJECTIVES)
    assert front.plot(ax, color="k") is ax
    x, y = ax.lines[0].get_data()
    assert np.array_equal(np.stack([y, x], axis=1), front.values)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("latency_ms@cpu", "accuracy")
