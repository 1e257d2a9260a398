"""The figure that compares the fronts of several devices."""

from __future__ import annotations

import textwrap

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from hwsearch.reporting.data import ReportData
from hwsearch.reporting.style import BLUE, DEVICE_COLOURS, DEVICE_LINES, DEVICE_MARKERS, INK, PAPER, new_figure, styled
from hwsearch.reporting.words import axis_label, finite


@styled
def devices_figure(report: ReportData, *, narrow: bool = False) -> Figure:
    """Draw the devices side by side.

    Left: each front, latency relative to that device's fastest front point. Right: the share of hypervolume that the
    picks of other devices keep.

    Parameters
    ----------
    report : ReportData
        The report.
    narrow : bool
        Whether to draw for a phone's width.

    Returns
    -------
    matplotlib.figure.Figure
        The figure.
    """
    rows = max(len(report.devices), 2)
    side = 1.15 + 0.42 * rows
    if narrow:
        figure = new_figure(3.6, 3.0 + side + 0.4)
        left, right = figure.subplots(2, 1, height_ratios=[3.0, side])
    else:
        figure = new_figure(7.2, max(3.1, side))
        left, right = figure.subplots(1, 2, width_ratios=[1.45, 1])
    _fronts(left, report)
    _kept(right, report)
    return figure


def _fronts(ax: Axes, report: ReportData) -> None:
    for i, device in enumerate(report.devices):
        front = device.front
        if front.empty:
            continue
        k = i % len(DEVICE_COLOURS)
        x = front["latency_ms"].to_numpy() / front["latency_ms"].min()
        y = front["accuracy"].to_numpy()
        ax.step(x, y, where="post", color=DEVICE_COLOURS[k], ls=DEVICE_LINES[k], lw=1.3, zorder=3)
        ax.plot(
            x, y, DEVICE_MARKERS[k], color=DEVICE_COLOURS[k], ms=5.5, mec=PAPER, mew=0.7, zorder=4, label=device.name
        )
    ax.set_title("Fronts, side by side")
    ax.set_xlabel("latency relative to the fastest point")
    ax.set_ylabel(axis_label(report.metric))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}×"))
    if ax.get_legend_handles_labels()[0]:
        ax.legend(loc="lower right", borderaxespad=0.8)


def _kept(ax: Axes, report: ReportData) -> None:
    """Draw a matrix in words and tints: rows are where models run, columns where they were searched."""
    names = [d.name for d in report.devices]
    n = len(names)
    ax.set_title("Hypervolume kept")
    ax.grid(False)
    for i, device in enumerate(report.devices):
        for j, other in enumerate(names):
            share = 1.0 if i == j else device.cross.get(other)
            tint = (
                0.05 + 0.33 * float(np.clip((float(share) - 0.5) / 0.5, 0, 1))
                if share is not None and finite(share)
                else 0
            )
            ax.fill_between([j - 0.48, j + 0.48], i - 0.46, i + 0.46, color=BLUE, alpha=tint, lw=0)
            text = "own" if i == j else f"{100 * float(share):.1f} %" if share is not None and finite(share) else "–"
            ax.text(j, i, text, ha="center", va="center", fontsize=9, color=INK)
    shown = ["\n".join(textwrap.wrap(name, 16)) for name in names]
    turned = n > 3 or (max(map(len, names)) > 11 and n > 2)
    ax.set_xticks(range(n), shown, rotation=30 if turned else 0, ha="right" if turned else "center")
    ax.set_yticks(range(n), shown)
    ax.set(xlim=(-0.55, n - 0.45), ylim=(n - 0.45, -0.55), xlabel="picks searched for", ylabel="running on")
    ax.tick_params(length=0)
    for spine in ax.spines.values():
        spine.set_visible(False)
