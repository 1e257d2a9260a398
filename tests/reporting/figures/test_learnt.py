"""Figures of how predictors learn show the numbers of their cards."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from hwsearch.reporting import ReportData, make_all
from hwsearch.reporting.figures.learnt import drawn_predictors, learnt_figure, predictors_figure
from hwsearch.reporting.figures.predicted import predicted_figure

Make = Callable[..., ReportData]

CARD = {
    "name": "latency",
    "unit": "ms",
    "where": "board",
    "model": "gaussian-process",
    "n": 4,
    "left_out": {
        "measured": [1.0, 2.0, 3.0, 4.0],
        "predicted": [1.1, 2.0, 2.5, 4.2],
        "low": [0.9, 1.8, 2.2, None],
        "high": [1.3, 2.2, 2.8, 5.0],
        "asked": 0.9,
    },
    "left_out_coverage": {"asked": [0.5, 0.9], "held": [0.4, 0.75], "n": 4},
    "later_coverage": {"asked": [0.5, 0.9], "held": [0.6, 1.0], "n": 9},
    "learning_curve": {
        "rows": [10, 20, 40],
        "mae": [0.3, 0.2, 0.1],
        "mae_error": [None, 0.1, 0.1],
        "mape": [9.0, 6.0, 3.0],
        "mape_error": [None, 1.0, 0.5],
    },
    "parts": {"fact": 0.7, "genes near": 0.2, "noise": 0.1, "pairs": 0.001},
}


def test_each_panel_holds_its_numbers() -> None:
    left, learning, coverage, parts = learnt_figure(CARD).axes
    texts = [t.get_text() for t in left.texts]
    assert "3 of 4 in their 90 % interval" in texts  # an end that is not known is infinite
    points = {line.get_label(): line.get_xydata().tolist() for line in left.lines}
    assert points["outside"] == [[2.5, 3.0]] and [1.1, 1.0] in points["in its interval"]
    assert "(ms)" in left.get_xlabel() and "predicted" in left.get_xlabel() and "measured" in left.get_ylabel()
    np.testing.assert_array_equal(learning.lines[0].get_xydata(), [[10, 9.0], [20, 6.0], [40, 3.0]])
    lines = {line.get_label(): line.get_ydata().tolist() for line in coverage.lines}
    assert lines["left out, n = 4"] == [0.4, 0.75] and lines["measured later, n = 9"] == [0.6, 1.0]
    assert [bar.get_width() for bar in parts.patches] == [0.7, 0.2, 0.1]  # the smallest is left out
    assert [t.get_text() for t in parts.get_yticklabels()] == ["fact", "genes near", "noise"]


def test_a_card_of_a_former_release_is_drawn_too() -> None:
    axes = learnt_figure({"name": "latency", "model": "ridge"}).axes
    assert [ax.texts[0].get_text() for ax in axes] == ["not kept: fit again"] * 3 + ["ridge has no parts"]


@pytest.fixture
def report(make_report: Make) -> ReportData:
    found = make_report(1)
    name = found.devices[0].name
    shown = {k: CARD[k] for k in ("left_out_coverage", "later_coverage", "learning_curve", "parts", "left_out")}
    found.predictors = [
        {"metric": "accuracy", "device": None, **shown},
        {"metric": "latency_ms", "device": name, **shown, "parts": {"operator": 0.6, "values": 0.4}},
        {"metric": "latency_ms", "device": "another", **shown},
    ]
    return found


@pytest.mark.parametrize("narrow", [False, True])
def test_the_page_compares_the_predictors_of_its_devices(report: ReportData, narrow: bool) -> None:
    name = report.devices[0].name
    assert [row["name"] for row in drawn_predictors(report)] == [str(report.metric), f"latency on {name}"]
    learning, _, shares = predictors_figure(report, narrow=narrow).axes
    assert [t.get_text() for t in learning.get_legend().get_texts()] == [str(report.metric), f"latency on {name}"]
    widths: dict[str, list[float]] = {
        box.get_label(): [bar.get_width() for bar in box] for box in shares.containers if box.get_label()
    }
    for group, found in {"cost features": [0.7, 0.0], "operators": [0.0, 0.6], "single genes": [0.2, 0.4]}.items():
        assert widths[group] == pytest.approx(found)


def test_rows_left_out_stand_behind_those_measured_later(report: ReportData, make_report: Make) -> None:
    panel = predicted_figure(report).axes[1]  # the latency
    drawn = [line.get_xydata().tolist() for line in panel.lines]
    assert [[1.1, 1.0], [2.0, 2.0], [2.5, 3.0], [4.2, 4.0]] in drawn
    assert "predictors" in make_all(report, fronts=False)
    assert "predictors" not in make_all(make_report(1), fronts=False)  # nothing was kept
