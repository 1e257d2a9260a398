"""The figure of a front: intervals, predicted places, limits and names, where they are drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pytest

from hwsearch.objectives.limit import Limit
from hwsearch.objectives.objective import Objective
from hwsearch.reporting import DeviceReport, ReportData
from hwsearch.reporting.facts import measured
from hwsearch.reporting.figures.front import _bars, _limit_line, _lines, _predictions, front_figure
from hwsearch.reporting.style import PURPLE
from hwsearch.reporting.words import Z95

Make = Callable[..., ReportData]


@pytest.fixture
def device(make_report: Make) -> DeviceReport:
    return make_report(1).devices[0]


@pytest.fixture
def axes():
    figure, ax = plt.subplots()
    yield ax
    plt.close(figure)


def test_error_bars_are_the_ratios_interval_and_ninety_percent_of_the_score(device: DeviceReport) -> None:
    front = device.front.assign(
        latency_ratio_low=device.front["latency_ms"] - 0.01, latency_ratio_high=device.front["latency_ms"] + 0.02
    )
    figure = front_figure(replace(device, front=front))
    (bars,) = figure.axes[0].containers
    segments = [c.get_segments() for c in bars.lines[2]]
    across = {tuple(s[:, 0]) for s in segments[0]}
    up = {tuple(np.round(s[:, 1], 6)) for s in segments[1]}
    row = front.iloc[0]
    assert any(np.allclose(x, (row["latency_ms"] - 0.01, row["latency_ms"] + 0.02)) for x in across)
    half = Z95 * row["accuracy_se"]
    assert any(np.allclose(y, (row["accuracy"] - half, row["accuracy"] + half)) for y in up)


def test_the_step_goes_on_to_the_slowest_measured_point(device: DeviceReport) -> None:
    line = next(x for x in front_figure(device).axes[0].lines if x.get_drawstyle() == "steps-post")
    x, y = line.get_data()
    assert (
        x[-1] == measured(device)["latency_ms"].max() > device.front["latency_ms"].max()
        and y[-1] == y[-2] == device.front["accuracy"].max()
    )


def test_predicted_places_are_joined_to_the_measured_and_missing_ones_stay_there(device: DeviceReport, axes) -> None:
    front = device.front.assign(predicted_accuracy=np.nan, predicted_latency_ms=np.nan)
    front.loc[0, "predicted_latency_ms"] = 9.0
    front.loc[1, "predicted_accuracy"] = 50.0
    _predictions(axes, replace(device, front=front))
    drawn = {tuple(map(float, p)) for p in axes.collections[0].get_offsets()}
    assert drawn == {(9.0, front.loc[0, "accuracy"]), (front.loc[1, "latency_ms"], 50.0)}
    assert len(axes.lines) == 2
    _predictions(axes, replace(device, front=front[2:]))
    assert len(axes.lines) == 2


@pytest.mark.parametrize("metric", ["latency_ms", "accuracy"])
def test_a_limit_stands_across_its_own_axis(axes, metric: str) -> None:
    _limit_line(axes, metric, 0.4, "limit")
    (line,), (text,) = axes.lines, axes.texts
    values = line.get_xdata() if metric == "latency_ms" else line.get_ydata()
    assert list(values) == [0.4, 0.4] and line.get_color() == PURPLE and text.get_text() == "limit"


def test_limits_of_other_devices_and_metrics_are_not_drawn(device: DeviceReport) -> None:
    limit = Limit("<=", 0.5)
    shown = [Objective("latency", limit=limit), Objective("latency", device=device.name, limit=limit)]
    hidden = [Objective("latency", device="another", limit=limit), Objective("macs", limit=Limit("<=", 5e6))]
    lines = [sum(x.get_color() == PURPLE for x in front_figure(device, o).axes[0].lines) for o in (shown, hidden)]
    assert lines == [2, 0]


def test_accuracy_intervals_are_obstacles_for_labels(device: DeviceReport) -> None:
    points, front = _bars(device).reshape(-1, 7, 2), device.front
    assert len(points) == len(front)
    np.testing.assert_allclose(points[:, 3, 1], front["accuracy"])
    np.testing.assert_allclose(points[:, 6, 1] - points[:, 0, 1], 2 * Z95 * front["accuracy_se"].fillna(0.0))
    np.testing.assert_allclose(points[:, :, 0], np.repeat(front["latency_ms"].to_numpy()[:, None], 7, axis=1))


def test_long_names_are_wrapped_and_never_cut_and_each_has_its_letter() -> None:
    assert _lines("a, b", ("knee", "x" * 44)) == ["a  knee", f"b  {'x' * 44}"]
    assert _lines("c", ("x" * 30 + " " + "y" * 30,)) == [f"c  {'x' * 30}", f"    {'y' * 30}"]
    assert _lines("c", ("x" * 60,)) == [f"c  {'x' * 60}"]


def test_a_narrow_figure_has_letters_alone(device: DeviceReport) -> None:
    texts = [t.get_text() for t in front_figure(device, narrow=True).axes[0].texts]
    assert texts and all(len(t) <= 7 for t in texts)
