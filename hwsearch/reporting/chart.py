"""Lay out the page's chart of a front: marks in pixels, for the template to draw as SVG."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from hwsearch.objectives.objective import Objective
from hwsearch.reporting.axis import PixelAxis
from hwsearch.reporting.data import DeviceReport
from hwsearch.reporting.facts import limits, measured, named_points
from hwsearch.reporting.genes import Layout, describe, layout
from hwsearch.reporting.labels import nearest, place
from hwsearch.reporting.marks import Chart, Mark, Name
from hwsearch.reporting.words import Z95, axis_label, decimals, finite, interval, percent, plus_minus, scaled
from hwsearch.spaces.choice import Value


class PointRow(Protocol):
    """A row of `DeviceReport.points`, as `pandas.DataFrame.itertuples` gives it.

    Attributes
    ----------
    role : str
        What the subnet was measured for.
    genes : dict
        The architecture.
    accuracy, accuracy_se : float
        The score and its standard error, percent.
    latency_ms, latency_low, latency_high, latency_ratio_low, latency_ratio_high : float
        Latency and the ends of its two intervals, ms.
    macs, params : float
        Multiply-accumulates and weights.
    """

    role: str
    genes: Mapping[str, Value]
    accuracy: float
    accuracy_se: float
    latency_ms: float
    latency_low: float
    latency_high: float
    latency_ratio_low: float
    latency_ratio_high: float
    macs: float
    params: float


#: latency spans wider than this ratio get a logarithmic axis
LOG_RATIO = 25.0


def point_words(
    row: PointRow, title: str, metric: str, confidence: float, places: int, plan: Layout
) -> tuple[str, ...]:
    """Describe a measured subnet: its name, its numbers with intervals, and its genes.

    Parameters
    ----------
    row : namedtuple
        A row of `DeviceReport.points`.
    title : str
        The first line.
    metric : str
        Name of the score.
    confidence : float
        Level of the latency interval.
    places : int
        Decimals of latencies.
    plan : Layout
        How genes are written.

    Returns
    -------
    tuple of str
        The lines.
    """
    spread = interval(row.latency_low, row.latency_high, places)
    latency = f"latency {row.latency_ms:.{places}f} ms" + (f" ({100 * confidence:.0f} %: {spread})" if spread else "")
    images = "test" if row.role == "validated" else "validation"
    words = [title, f"{metric} {plus_minus(row.accuracy, row.accuracy_se)}{percent(metric)}, {images} data"]
    words.append(latency)
    if finite(row.macs):
        words.append(f"{scaled(row.macs)} MACs" + (f", {scaled(row.params)} weights" if finite(row.params) else ""))
    if row.genes:
        words.append(describe(row.genes, plan))
    return tuple(words)


def build(
    device: DeviceReport, objectives: Sequence[Objective], metric: str, *, width: int, height: int, narrow: bool
) -> Chart:
    """Compute the chart of one device's front.

    Parameters
    ----------
    device : DeviceReport
        The device's part of the report.
    objectives : sequence of Objective
        For their limits.
    metric : str
        Name of the score.
    width, height : int
        Of the view box, in pixels.
    narrow : bool
        Whether it is for a phone: letters in place of names, fewer ticks.

    Returns
    -------
    Chart
        The chart; without marks if nothing was measured.
    """
    chart = Chart(
        width, height, 40 if narrow else 56, width - (8 if narrow else 14), 12 if narrow else 16, height - 46, narrow,
        f"latency on {device.name} (ms)" if len(device.name) <= (24 if narrow else 80) else "latency (ms)", axis_label(metric),
    )  # fmt: skip
    cloud, random, front = measured(device), device.random_points.dropna(), device.front
    bounds = limits(device, objectives, metric)
    xs = np.concatenate([
        cloud["latency_ms"], random["latency_ms"], front["latency_ms"], front["latency_ratio_low"], front["latency_ratio_high"],
        [b.value for b in bounds if b.metric == "latency_ms"],
    ])  # fmt: skip
    half = Z95 * front["accuracy_se"].fillna(0.0)
    ys = np.concatenate([
        cloud["accuracy"], random["accuracy"], front["accuracy"] - half, front["accuracy"] + half,
        [b.value for b in bounds if b.metric == "accuracy"],
    ])  # fmt: skip
    xs, ys = xs[np.isfinite(xs)], ys[np.isfinite(ys)]
    if not (len(xs) and len(ys)):
        return chart
    log = bool(xs.min() > 0 and xs.max() / xs.min() > LOG_RATIO)
    x = PixelAxis(float(xs.min()), float(xs.max()), chart.left, chart.right, log)
    y = PixelAxis(float(ys.min()), float(ys.max()), chart.bottom, chart.top)
    chart.x_ticks, chart.y_ticks = x.ticks(5 if narrow else 9), y.ticks(6 if narrow else 8)

    places = latency_places(device)
    plan = layout([*device.points["genes"], *front["genes"]])
    on_front = set(front["arch_id"])
    names = {a: p for p in named_points(device) for a in [p.arch_id]}
    roles = {
        "profile": "profiled",
        "search": "found by the search",
        "random": "drawn at random",
        "validated": "validated",
    }
    for row in cloud.itertuples():
        if row.arch_id not in on_front and row.role != "random":
            title = f"{row.arch_id}, {roles[row.role]}, not on the front"
            words = point_words(row, title, metric, device.confidence, places, plan)
            side = chart.validated if row.role == "validated" else chart.cloud
            side.append(_mark(row, x, y, words, bars=False))
    for row in random.itertuples():
        words = (
            "random subnet",
            f"{metric} {row.accuracy:.1f}{percent(metric)}, validation data",
            f"latency {row.latency_ms:.{places}f} ms",
        )
        chart.random.append(_mark(row, x, y, words, bars=False))
    for i, row in enumerate(front.itertuples(), 1):
        named = names.get(row.arch_id)
        title = (
            f"{named.letters}: {', '.join(named.labels)}, {row.arch_id}"
            if named
            else f"{row.arch_id}, point {i} of the front"
        )
        words = point_words(row, title, metric, device.confidence, places, plan)
        chart.front.append(replace(_mark(row, x, y, words), picked=named is not None))
    chart.stairs = _stairs(chart)
    for b in bounds:
        chart.limits.append(("x", x(b.value), b.text) if b.metric == "latency_ms" else ("y", y(b.value), b.text))
    _add_names(chart, [(x(p.latency_ms), y(p.accuracy), p.letters, p.labels) for p in names.values()])
    return chart


def latency_places(device: DeviceReport) -> int:
    """Choose the decimals of a device's latencies from the width of the front's intervals.

    Parameters
    ----------
    device : DeviceReport
        The device's part of the report.

    Returns
    -------
    int
        Number of decimals.
    """
    frame = device.front if len(device.front) else measured(device)
    return decimals((frame["latency_ratio_high"] - frame["latency_ratio_low"]) / 2, frame["latency_ms"])


def _mark(row: PointRow, x: PixelAxis, y: PixelAxis, words: tuple[str, ...], *, bars: bool = True) -> Mark:
    latency, accuracy = float(row.latency_ms), float(row.accuracy)
    px, py = x(latency), y(accuracy)
    left, right, top, bottom = px, px, py, py
    if bars:
        low, high, se = (float(getattr(row, k)) for k in ("latency_ratio_low", "latency_ratio_high", "accuracy_se"))
        left, right = (x(low) if finite(low) else px), (x(high) if finite(high) else px)
        if finite(se):
            top, bottom = y(accuracy + Z95 * se), y(accuracy - Z95 * se)
    return Mark(px, py, left, right, top, bottom, words)


def _stairs(chart: Chart) -> str:
    """Write the SVG path of the front's staircase, on to the right edge."""
    if not chart.front:
        return ""
    first, *rest = chart.front
    return f"M{first.x} {first.y}" + "".join(f"H{m.x}V{m.y}" for m in rest) + f"H{chart.right}"


def _occupied(chart: Chart) -> list[tuple[float, float]]:
    """List the places that names should leave free: marks, samples of the bars and of the limits."""
    spots = [(m.x, m.y) for m in (*chart.front, *chart.cloud, *chart.validated, *chart.random)]
    spots += [(m.x, float(y)) for m in chart.front for y in np.linspace(m.top, m.bottom, 7)]
    for axis, at, _ in chart.limits:
        if axis == "x":
            spots += [(at, float(y)) for y in np.linspace(chart.top, chart.bottom, 30)]
        else:
            spots += [(float(x), at) for x in np.linspace(chart.left, chart.right, 30)]
    return spots


def wrapped(text: str, width: int = 42) -> list[tuple[bool, str]]:
    """Break a label into lines; nothing is cut.

    Parameters
    ----------
    text : str
        The label.
    width : int
        Most characters of a line, but for words that are longer.

    Returns
    -------
    list of (bool, str)
        Whether it is the first line, and its text.
    """
    lines = textwrap.wrap(text, width, break_long_words=False) or [text]
    return [(i == 0, line) for i, line in enumerate(lines)]


def _add_names(chart: Chart, points: Sequence[tuple[float, float, str, tuple[str, ...]]]) -> None:
    entries = []
    for px, py, letters, labels in points:
        if chart.narrow:
            lines = [(letters, "")]
        else:
            lines = [
                (k if first else "", part)
                for k, w in zip(letters.split(", "), labels, strict=True)
                for first, part in wrapped(w)
            ]
        entries.append(((px, py), lines))
    sizes = [(max(12.0 + 7.0 * len(a + b) for a, b in lines), 17.0 * len(lines)) for _, lines in entries]
    spots = np.array(_occupied(chart)).reshape(-1, 2)
    box = (chart.left + 2, chart.top, chart.right, chart.bottom - 2)
    for (ring, lines), label in zip(entries, place([e[0] for e in entries], sizes, spots, box), strict=True):
        before = label.left + label.width / 2 < ring[0] - 4
        tx = label.left + (label.width - 2 if before else 2)
        text = tuple((round(tx, 1), round(label.top + 13 + 17 * k, 1), a, b) for k, (a, b) in enumerate(lines))
        leader = nearest(label, ring) if label.leader else None
        end = (round(leader[0], 1), round(leader[1], 1)) if leader else None
        chart.names.append(Name(ring, text, "end" if before else "start", end))
