"""Figures are drawn for any report, hold the data they are given, and are saved the same way twice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from hwsearch.reporting import DeviceReport, ReportData, make_all, save_all
from hwsearch.reporting.figures import devices_figure, front_figure, hypervolume_figure, predicted_figure, slugs
from hwsearch.reporting.style import RC, THEME

Make = Callable[..., ReportData]


def _offsets(figure: Figure) -> np.ndarray:
    return np.concatenate([c.get_offsets() for ax in figure.axes for c in ax.collections if len(c.get_offsets())])


def test_the_front_is_drawn_where_it_was_measured(make_report: Make) -> None:
    report = make_report(1)
    device = report.devices[0]
    figure = front_figure(device, report.objectives, metric=report.metric)
    drawn = _offsets(figure)
    for x, y in device.front[["latency_ms", "accuracy"]].to_numpy():
        assert np.isclose(drawn, (x, y)).all(axis=1).any()
    ax = figure.axes[0]
    assert "(ms" in ax.get_xlabel() and "(%" in ax.get_ylabel()
    texts = " ".join(t.get_text() for t in ax.texts)
    assert "knee" in texts and "limit ≤ 0.4 ms" in texts


def test_predictions_of_validated_test_accuracy_are_not_scored(make_report: Make) -> None:
    report = make_report(1)
    device = report.devices[0]
    p = device.points
    early = p["role"].eq("search") & p["predicted_accuracy"].notna() & p["accuracy"].notna()
    panel = predicted_figure(report).axes[0]
    assert f"n = {int(early.sum())}" in panel.texts[0].get_text()
    error = float((p["predicted_accuracy"] - p["accuracy"])[early].abs().mean())
    assert f"mean error {error:.2g} points" in panel.texts[0].get_text()


def test_hypervolume_lines_are_the_data(make_report: Make) -> None:
    report = make_report(1)
    lines = {line.get_label(): line.get_ydata() for line in hypervolume_figure(report).axes[0].lines}
    np.testing.assert_array_equal(lines["search"], report.devices[0].hypervolume["search"])
    begun = report.devices[0].hypervolume.dropna(subset=["search"])["search"].iloc[0]
    np.testing.assert_array_equal(lines["after the profile"], [begun])
    np.testing.assert_array_equal(lines["random, median"], report.devices[0].hypervolume["random_median"])


def test_saved_twice_is_the_same_and_whole(make_report: Make, tmp_path: Path) -> None:
    report = make_report(1)
    first = save_all(report, tmp_path / "a")
    second = save_all(report, tmp_path / "b")
    assert {p.stem for p in first} == {"front-cpu-b1-t1", "choices-cpu-b1-t1", "predicted", "hypervolume"}
    for a, b in zip(first, second, strict=True):
        assert a.name == b.name
        if a.suffix == ".svg":
            assert a.read_bytes() == b.read_bytes()
            assert "<text" in a.read_text(encoding="utf-8")
        else:
            with Image.open(a) as image:
                assert image.width >= 700 and len(set(image.convert("L").getdata())) > 10


@pytest.mark.parametrize("narrow", [False, True])
def test_poor_reports_can_be_drawn(make_report: Make, narrow: bool) -> None:
    report = make_report(2)
    full = report.devices[0]
    bare = full.points.assign(predicted_accuracy=np.nan, predicted_latency_ms=np.nan, accuracy_se=np.nan, macs=np.nan)
    report.devices = [DeviceReport("one", points=bare, front=full.front.head(1)), DeviceReport("none")]
    report.predictors = []
    figures = make_all(report, narrow=narrow)
    assert "choices-none" not in figures and "choices-one" in figures
    for figure in figures.values():
        figure.draw_without_rendering()


def test_devices_are_compared_when_there_are_several(make_report: Make) -> None:
    fronts, kept = devices_figure(make_report(2)).axes
    assert min(line.get_xdata().min() for line in fronts.lines) == 1.0
    assert sorted(t.get_text() for t in kept.texts) == ["96.3 %", "96.3 %", "own", "own"]


def test_settings_of_the_user_come_back(make_report: Make) -> None:
    with mpl.rc_context({"font.size": 23, "svg.fonttype": "path"}):
        make_all(make_report(1))
        assert mpl.rcParams["font.size"] == 23 and mpl.rcParams["svg.fonttype"] == "path"


def test_devices_with_like_names_get_files_of_their_own(make_report: Make) -> None:
    report = make_report(3)
    for device, name in zip(report.devices, ["A/b", "a b", "???"], strict=True):
        device.name = name
    assert slugs(report) == ["a-b", "a-b-2", "device"]


def _luminance(colour: str) -> float:
    """Relative luminance (W3C, Web Content Accessibility Guidelines 2.1)."""
    c = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(c <= 0.03928, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def _contrast(a: str, b: str) -> float:
    high, low = sorted((_luminance(a), _luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("dark", [False, True])
def test_contrast_on_both_papers(dark: bool) -> None:
    colours = {name: night if dark else day for day, (name, night) in THEME.items()}
    for words in ("ink", "muted"):
        assert _contrast(colours[words], colours["paper"]) >= 4.5
    for marks in ("blue", "red", "green", "purple"):
        assert _contrast(colours[marks], colours["paper"]) >= 3.0
    assert RC["svg.fonttype"] == "none"
