"""The figures of a report. Each function returns a matplotlib Figure; `narrow` draws it for a phone's width."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from hwsearch.objectives.objective import Objective
from hwsearch.reporting.choices import choices_figure
from hwsearch.reporting.data import ROLES, DeviceReport, ReportData
from hwsearch.reporting.devices import devices_figure
from hwsearch.reporting.facts import Z90, kendall, limits, measured, named_points
from hwsearch.reporting.labels import nearest, place
from hwsearch.reporting.style import (
    BLUE,
    FAINT,
    GRID,
    INK,
    MUTED,
    ORANGE,
    PAPER,
    PURPLE,
    RED,
    new_figure,
    note,
    save,
    styled,
)
from hwsearch.reporting.words import axis_label, number, percent

__all__ = [
    "choices_figure",
    "devices_figure",
    "front_figure",
    "hypervolume_figure",
    "make_all",
    "predicted_figure",
    "save_all",
    "slugs",
]


@styled
def front_figure(
    device: DeviceReport, objectives: Sequence[Objective] = (), *, metric: str = "top-1", narrow: bool = False
) -> Figure:
    """Accuracy (%) against latency (ms): the measured front with intervals, and what it is to be compared with.

    Faint points: everything measured; crosses: random subnets; hollow diamonds: where a predictor expected a
    point of the front; dashed lines: limits.
    """
    figure = new_figure(3.6, 3.8) if narrow else new_figure(7.2, 4.6)
    ax = figure.subplots()
    cloud, random, front = measured(device), device.random_points, device.front
    ax.scatter(cloud["latency_ms"], cloud["accuracy"], s=11, color=FAINT, alpha=0.7, lw=0, label="measured", zorder=2)
    if len(random):
        ax.scatter(
            random["latency_ms"], random["accuracy"], s=20, marker="x", color=ORANGE, lw=1.1, label="random", zorder=2.5
        )
    _predictions(ax, device)
    if len(front):
        x, y = front["latency_ms"].to_numpy(), front["accuracy"].to_numpy()
        right = np.nanmax(np.concatenate([x, cloud["latency_ms"].to_numpy()]))
        ax.step(np.append(x, right), np.append(y, y[-1]), where="post", color=BLUE, lw=1.2, alpha=0.55, zorder=3)
        sides = np.stack([x - front["latency_low"], front["latency_high"] - x])
        bars: dict[str, Any] = dict(fmt="none", ecolor=BLUE, elinewidth=0.9, alpha=0.6, zorder=3.5)
        ax.errorbar(
            x, y, xerr=np.clip(np.nan_to_num(sides), 0, None), yerr=Z90 * front["accuracy_se"].to_numpy(), **bars
        )
        ax.scatter(x, y, s=34, color=BLUE, edgecolor=PAPER, lw=0.8, label="validated front", zorder=4)
    ax.set_xlabel(f"latency on {device.name} (ms)")
    ax.set_ylabel(axis_label(metric))
    ax.margins(0.05, 0.07)
    for limit in limits(device, objectives, metric):
        _limit_line(ax, limit.metric, limit.value, limit.text)
    figure.legend(loc="outside upper left", ncols=2 if narrow else 4, columnspacing=1.4)
    _name_picks(figure, ax, device, letters_only=narrow)
    return figure


def _predictions(ax: Axes, device: DeviceReport) -> None:
    p = device.front
    p = p[np.isfinite(p["predicted_accuracy"]) | np.isfinite(p["predicted_latency_ms"])]
    if p.empty:
        return
    px = p["predicted_latency_ms"].fillna(p["latency_ms"]).to_numpy()
    py = p["predicted_accuracy"].fillna(p["accuracy"]).to_numpy()
    for x0, y0, x1, y1 in zip(px, py, p["latency_ms"], p["accuracy"], strict=True):
        ax.plot([x0, x1], [y0, y1], color=MUTED, lw=0.5, alpha=0.7, zorder=2.7)
    ax.scatter(px, py, s=17, marker="D", facecolor="none", edgecolor=MUTED, lw=0.8, label="predicted place", zorder=2.8)


def _limit_line(ax: Axes, metric: str, value: float, text: str) -> None:
    line: dict[str, Any] = dict(color=PURPLE, lw=1.1, ls=(0, (5, 3)), zorder=2.2)
    words: dict[str, Any] = dict(color=PURPLE, fontsize=8, textcoords="offset points")
    if metric == "latency_ms":
        ax.axvline(value, **line)
        ax.annotate(
            text, (value, 0), xycoords=("data", "axes fraction"), xytext=(-3, 4), rotation=90, ha="right", **words
        )
    else:
        ax.axhline(value, **line)
        ax.annotate(text, (1, value), xycoords=("axes fraction", "data"), xytext=(0, 3), ha="right", **words)


def _name_picks(figure: Figure, ax: Axes, device: DeviceReport, *, letters_only: bool) -> None:
    """Ring the picked points and write their names where there is room."""
    named = named_points(device)
    if not named:
        return
    xy = np.array([(p.latency_ms, p.accuracy) for p in named])
    ax.scatter(*xy.T, s=70, facecolor="none", edgecolor=RED, lw=1.5, zorder=5)
    figure.draw_without_rendering()  # settles the layout, so that pixels below are final
    ax.set_autoscale_on(False)
    flip = np.array([1.0, -1.0])
    px = 72 / figure.dpi
    texts = [p.letters if letters_only else "\n".join(_lines(p.letters, p.labels)) for p in named]
    sizes = [(5.0 * max(map(len, t.split("\n"))) + 2, 11.0 * len(t.split("\n"))) for t in texts]
    anchors = ax.transData.transform(xy) * px * flip
    seen = np.concatenate([measured(device)[["latency_ms", "accuracy"]], device.front[["latency_ms", "accuracy"]]])
    obstacles = ax.transData.transform(np.concatenate([seen, _bars(device)])) * px * flip
    box = ax.get_window_extent()
    bounds = (box.x0 * px, -box.y1 * px, box.x1 * px, -box.y0 * px)
    for text, anchor, label in zip(
        texts, anchors, place([tuple(a) for a in anchors], sizes, obstacles, bounds), strict=True
    ):
        if label.leader:
            end = nearest(label, (anchor[0], anchor[1]))
            line = ax.transData.inverted().transform(np.array([anchor, end]) * flip / px)
            ax.plot(*line.T, color=RED, lw=0.7, zorder=4.5)
        left_of = label.left + label.width / 2 < anchor[0] - 4
        corner = np.array([label.left + (label.width if left_of else 0), label.top + label.height]) * flip / px
        x, y = ax.transData.inverted().transform(corner)
        ax.text(
            x, y, text, color=INK, fontsize=8.5, fontweight="bold" if letters_only else "normal",
            ha="right" if left_of else "left", va="bottom", linespacing=1.15, zorder=6,
        )  # fmt: skip


def _bars(device: DeviceReport) -> NDArray[np.float64]:
    """Samples (n, 2) along the accuracy intervals of the front."""
    front = device.front
    half = np.outer(Z90 * front["accuracy_se"].fillna(0.0), np.linspace(-1, 1, 7))
    heights = front["accuracy"].to_numpy()[:, None] + half
    return np.stack([np.broadcast_to(front["latency_ms"].to_numpy()[:, None], heights.shape), heights], -1).reshape(
        -1, 2
    )


def _lines(letters: str, labels: Sequence[str], most: int = 44) -> list[str]:
    return [
        f"{letter}  {name if len(name) <= most else name[: most - 1] + '…'}"
        for letter, name in zip(letters.split(", "), labels, strict=True)
    ]


@styled
def predicted_figure(report: ReportData, *, narrow: bool = False) -> Figure:
    """Predicted against measured, for subnets that were not in the fit: accuracy, and latency on each device."""
    panels: list[tuple[str, str, Any, Any]] = []
    accuracies: dict[str, tuple[float, float]] = {}
    for device in report.devices:
        accuracies |= _pairs(device, "predicted_accuracy", "accuracy", ("profile", "search", "random"))
    if accuracies:
        panels.append(
            (f"validation {report.metric}", percent(report.metric).strip(), *np.array(list(accuracies.values())).T)
        )
    for device in report.devices:
        latencies = _pairs(device, "predicted_latency_ms", "latency_ms", ROLES)
        if latencies:
            panels.append((f"latency on {device.name}", "ms", *np.array(list(latencies.values())).T))
    columns = 1 if narrow else min(3, max(1, len(panels)))
    lines = max(1, -(-len(panels) // columns))
    figure = new_figure(3.6 if narrow else 2.4 * max(columns, 2), (2.9 if narrow else 2.75) * lines)
    if not panels:
        figure.text(0.5, 0.5, "no subnet was both predicted and measured", ha="center", color=MUTED)
        return figure
    axes = np.atleast_1d(figure.subplots(lines, columns)).ravel()
    for ax in axes[len(panels) :]:
        ax.set_visible(False)
    for ax, (title, unit, predicted, found) in zip(axes, panels, strict=False):
        low, high = min(predicted.min(), found.min()), max(predicted.max(), found.max())
        pad = 0.06 * (high - low or abs(high) or 1.0)
        span = (low - pad, high + pad)
        ax.plot(span, span, color=FAINT, lw=1.0, zorder=1)
        ax.scatter(predicted, found, s=16, color=BLUE, edgecolor=PAPER, lw=0.4, zorder=3)
        behind = f" ({unit})" if unit else ""
        ax.set(
            xlim=span, ylim=span, aspect="equal", title=title, xlabel=f"predicted{behind}", ylabel=f"measured{behind}"
        )
        ax.locator_params(nbins=5)
        tau = kendall(predicted, found)
        error = f"mean error {number(np.abs(predicted - found).mean(), 2)} {unit if unit == 'ms' else 'points'}"
        note(ax, f"n = {len(found)}\n{error}" + (f"\nKendall τ {tau:.2f}" if np.isfinite(tau) else ""))
    return figure


def _pairs(device: DeviceReport, predicted: str, found: str, roles: Sequence[str]) -> dict[str, tuple[float, float]]:
    """(predicted, measured) by arch_id, the search's measurement before the validation's."""
    p = device.points.loc[device.points["role"].isin(roles), ["arch_id", "role", predicted, found]].dropna()
    p = p.iloc[np.argsort(p["role"].to_numpy() == "validated", kind="stable")].drop_duplicates("arch_id")
    return {a: (float(x), float(y)) for a, x, y in zip(p["arch_id"], p[predicted], p[found], strict=True)}


@styled
def hypervolume_figure(report: ReportData, *, narrow: bool = False) -> Figure:
    """Share of the best hypervolume over evaluations: the search, and random sampling with its band."""
    devices = [d for d in report.devices if len(d.hypervolume)]
    columns = 1 if narrow else min(3, max(1, len(devices)))
    lines = max(1, -(-len(devices) // columns))
    figure = new_figure(3.6 if narrow else (5.0 if columns == 1 else 7.2), (2.6 if narrow else 2.7) * lines)
    if not devices:
        figure.text(0.5, 0.5, "hypervolume was not recorded", ha="center", color=MUTED)
        return figure
    axes = np.atleast_1d(figure.subplots(lines, columns, sharey=True)).ravel()
    for ax in axes[len(devices) :]:
        ax.set_visible(False)
    for i, (ax, device) in enumerate(zip(axes, devices, strict=False)):
        h = device.hypervolume
        ax.fill_between(
            h["evaluations"], h["random_low"], h["random_high"], color=ORANGE, alpha=0.22, lw=0, label="random, range"
        )
        ax.plot(h["evaluations"], h["random_median"], color=ORANGE, ls=(0, (4, 2)), lw=1.3, label="random, median")
        ax.plot(h["evaluations"], h["search"], color=BLUE, lw=1.8, label="search")
        begun = h.dropna(subset=["search"]).iloc[:1]
        ax.plot(begun["evaluations"], begun["search"], "o", color=BLUE, ms=4.5, label="after the profile")
        ax.set(title=device.name, xlabel="measured subnets")
        ax.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
        ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        ax.margins(x=0.01)
        if i % columns == 0:
            ax.set_ylabel("share of best hypervolume")
        if i == 0:
            ax.legend(loc="lower right", borderaxespad=0.6, reverse=True)
        ax.axhline(1.0, color=GRID, lw=1.0, zorder=1)
    return figure


def slugs(report: ReportData) -> list[str]:
    """A distinct name for files, made of lower-case letters, digits and dashes, for each device."""
    names: list[str] = []
    for device in report.devices:
        base = re.sub(r"[^a-z0-9]+", "-", device.name.lower()).strip("-") or "device"
        name, k = base, 2
        while name in names:
            name, k = f"{base}-{k}", k + 1
        names.append(name)
    return names


def make_all(report: ReportData, *, narrow: bool = False) -> dict[str, Figure]:
    """Every figure by file stem: front-DEVICE, choices-DEVICE, predicted, hypervolume, devices (if several)."""
    figures = {}
    for slug, device in zip(slugs(report), report.devices, strict=True):
        figures[f"front-{slug}"] = front_figure(device, report.objectives, metric=report.metric, narrow=narrow)
        if len(device.front):
            figures[f"choices-{slug}"] = choices_figure(device, narrow=narrow)
    figures["predicted"] = predicted_figure(report, narrow=narrow)
    figures["hypervolume"] = hypervolume_figure(report, narrow=narrow)
    if len(report.devices) > 1:
        figures["devices"] = devices_figure(report, narrow=narrow)
    return figures


def save_all(report: ReportData, folder: Path) -> list[Path]:
    """Every figure as SVG and PNG in `folder`."""
    return [path for stem, figure in make_all(report).items() for path in save(figure, Path(folder), stem)]
