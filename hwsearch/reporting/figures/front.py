"""The figure of one device's front."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from hwsearch.objectives.objective import Objective
from hwsearch.reporting.data import DeviceReport
from hwsearch.reporting.facts import limits, measured, named_points
from hwsearch.reporting.labels import nearest, place
from hwsearch.reporting.style import (
    BLUE,
    FAINT,
    INK,
    MUTED,
    ORANGE,
    PAPER,
    PURPLE,
    RED,
    new_figure,
    styled,
)
from hwsearch.reporting.words import Z95, axis_label


@styled
def front_figure(
    device: DeviceReport, objectives: Sequence[Objective] = (), *, metric: str = "top-1", narrow: bool = False
) -> Figure:
    """Draw the measured front of a device: accuracy (%) against latency (ms), with intervals.

    Faint points: what the search measured, and crosses: random subnets, both scored on validation data; hollow points: what
    was validated and is not on the front, scored on test data as the front is; hollow diamonds: where a predictor
    expected a point of the front.

    Parameters
    ----------
    device : DeviceReport
        The device's part of the report.
    objectives : sequence of Objective
        For their limits, drawn as dashed lines.
    metric : str
        Name of the score.
    narrow : bool
        Whether to draw for a phone's width.

    Returns
    -------
    matplotlib.figure.Figure
        The figure.
    """
    figure = new_figure(3.6, 3.8) if narrow else new_figure(7.2, 4.6)
    ax = figure.subplots()
    cloud, random, front = measured(device), device.random_points, device.front
    again = (cloud["role"] == "validated").to_numpy() & ~cloud["arch_id"].isin(front["arch_id"]).to_numpy()
    early = cloud[(cloud["role"] != "validated").to_numpy()]
    ax.scatter(early["latency_ms"], early["accuracy"], s=11, color=FAINT, alpha=0.7, lw=0, label="measured", zorder=2)
    if again.any():
        ax.scatter(
            cloud["latency_ms"][again], cloud["accuracy"][again], s=20, facecolor="none", edgecolor=BLUE, lw=0.9,
            label="validated, not on it", zorder=2.4,
        )  # fmt: skip
    if len(random):
        ax.scatter(
            random["latency_ms"], random["accuracy"], s=20, marker="x", color=ORANGE, lw=1.1, label="random", zorder=2.5
        )
    _predictions(ax, device)
    if len(front):
        x, y = front["latency_ms"].to_numpy(), front["accuracy"].to_numpy()
        right = np.nanmax(np.concatenate([x, cloud["latency_ms"].to_numpy()]))
        ax.step(np.append(x, right), np.append(y, y[-1]), where="post", color=BLUE, lw=1.2, alpha=0.55, zorder=3)
        sides = np.stack([x - front["latency_ratio_low"], front["latency_ratio_high"] - x])
        bars: dict[str, Any] = dict(fmt="none", ecolor=BLUE, elinewidth=0.9, alpha=0.6, zorder=3.5)
        ax.errorbar(
            x, y, xerr=np.clip(np.nan_to_num(sides), 0, None), yerr=Z95 * front["accuracy_se"].to_numpy(), **bars
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
            path_effects=[withStroke(linewidth=2.5, foreground=PAPER)],
        )  # fmt: skip


def _bars(device: DeviceReport) -> NDArray[np.float64]:
    """Sample the accuracy intervals of the front, as points ``(n, 2)``."""
    front = device.front
    half = np.outer(Z95 * front["accuracy_se"].fillna(0.0), np.linspace(-1, 1, 7))
    heights = front["accuracy"].to_numpy()[:, None] + half
    return np.stack([np.broadcast_to(front["latency_ms"].to_numpy()[:, None], heights.shape), heights], -1).reshape(
        -1, 2
    )


def _lines(letters: str, labels: Sequence[str], most: int = 44) -> list[str]:
    found = []
    for letter, name in zip(letters.split(", "), labels, strict=True):
        first, *rest = textwrap.wrap(name, most, break_long_words=False) or [name]
        found += [f"{letter}  {first}", *(f"    {line}" for line in rest)]
    return found
