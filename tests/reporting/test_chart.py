"""The page's chart: where marks, bars, ticks and limits lie, in pixels."""

from __future__ import annotations

import pandas as pd
import pytest

from hwsearch.objectives import Limit, Objective
from hwsearch.reporting import DeviceReport
from hwsearch.reporting.axis import PixelAxis
from hwsearch.reporting.chart import build, latency_places
from hwsearch.reporting.words import Z95


def device(latencies: tuple[float, ...] = (1.0, 2.0, 4.0), half: float = 0.02) -> DeviceReport:
    front = pd.DataFrame(
        [
            {"arch_id": f"a{i}", "role": "validated", "genes": {"r": 28}, "accuracy": 70.0 + 5 * i, "accuracy_se": 0.5}
            | {"latency_ms": x, "latency_low": x - half, "latency_high": x + half}
            for i, x in enumerate(latencies)
        ]
    )
    cloud = front.assign(arch_id=["b0", "b1", "b2"][: len(front)], role="search", accuracy=front["accuracy"] - 2)
    pick = {"arch_id": "a1", "label": "knee", "accuracy": 75.0, "latency_ms": latencies[1]}
    return DeviceReport("cpu", points=pd.concat([front, cloud]), front=front, picks=[pick])


def chart_of(found: DeviceReport, narrow: bool = False):
    limit = Objective("latency_ms", limit=Limit("<=", 3.0))
    return build(found, [Objective("accuracy"), limit], "top-1", width=920, height=520, narrow=narrow)


def test_axes_put_the_ends_and_the_middle_in_their_places() -> None:
    axis = PixelAxis(0.0, 10.0, 100.0, 200.0)  # with a margin of 5 % on both sides
    assert (axis(-0.5), axis(5.0), axis(10.5)) == (100.0, 150.0, 200.0)
    turned = PixelAxis(0.0, 10.0, 200.0, 100.0)  # pixels grow downwards
    assert turned(10.0) < turned(0.0)
    assert [text for _, text in axis.ticks(5)] == ["0.0", "2.5", "5.0", "7.5", "10.0"]
    log = PixelAxis(1.0, 100.0, 0.0, 100.0, log=True)
    assert log(10.0) == 50.0
    assert [text for _, text in log.ticks(5)] == ["1", "2", "5", "10", "20", "50", "100"]


def test_marks_stand_in_the_order_of_their_values_with_their_bars() -> None:
    chart = chart_of(device())
    x, y = [m.x for m in chart.front], [m.y for m in chart.front]
    assert x == sorted(x) and y == sorted(y, reverse=True)
    for mark in chart.front:
        assert mark.left < mark.x < mark.right and mark.top < mark.y < mark.bottom
    per_point = (chart.front[0].y - chart.front[1].y) / 5.0
    assert chart.front[0].y - chart.front[0].top == pytest.approx(per_point * Z95 * 0.5, abs=0.11)
    assert [m.picked for m in chart.front] == [False, True, False]
    assert len(chart.cloud) == 3 and all("found by the search" in m.words[0] for m in chart.cloud)
    assert all(m.left == m.x == m.right for m in chart.cloud)
    ((axis, at, text),) = chart.limits
    assert axis == "x" and chart.front[1].x < at < chart.front[2].x and text == "limit ≤ 3 ms"
    assert chart.stairs.startswith(f"M{x[0]} {y[0]}H{x[1]}V{y[1]}") and chart.stairs.endswith(f"H{chart.right}")


def test_a_wide_range_is_logarithmic() -> None:
    wide = chart_of(device((1.0, 10.0, 100.0)))
    x = [m.x for m in wide.front]
    assert x[1] - x[0] == pytest.approx(x[2] - x[1], abs=0.2)
    even = chart_of(device((1.0, 10.0, 19.0)))
    x = [m.x for m in even.front]
    assert x[1] - x[0] == pytest.approx(x[2] - x[1], abs=0.2)


def test_names_are_letters_on_a_phone() -> None:
    for narrow, lines in ((False, [("A", "knee")]), (True, [("A", "")])):
        (name,) = chart_of(device(), narrow).names
        assert [line[2:] for line in name.lines] == lines


def test_decimals_of_latencies_follow_their_intervals() -> None:
    assert latency_places(device(half=0.02)) == 2
    assert latency_places(device(half=0.2)) == 1
    assert latency_places(device(half=0.0004)) == 4


def test_nothing_measured_is_an_empty_chart() -> None:
    chart = chart_of(DeviceReport("cpu"))
    assert not chart.front and not chart.cloud and not chart.x_ticks and chart.stairs == ""
