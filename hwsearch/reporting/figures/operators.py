"""The figure of operators: their sum against measured wholes, and where the time goes along the latency range."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hwsearch._json import JsonObject
from hwsearch.reporting.style import BLUE, FAINT, GREEN, INK, MUTED, ORANGE, PURPLE, RED, SKY, new_figure, note, styled

#: colours and hatches of kinds, the costliest first
FILLS = ((BLUE, ""), (ORANGE, "//"), (GREEN, ""), (RED, "\\\\"), (PURPLE, ""), (SKY, ".."), (FAINT, ""))


@styled
def operators_figure(wholes: pd.DataFrame, kinds: pd.DataFrame, said: JsonObject, device: str) -> Figure:
    """Draw latency against the sum of operators, and milliseconds by kind of operator.

    Parameters
    ----------
    wholes : pandas.DataFrame
        Columns ``latency_ms`` and ``operator_sum_ms``, one architecture a row.
    kinds : pandas.DataFrame
        The same rows, one column a kind of operator, in ms.
    said : mapping
        ``rank``, ``mape_pct``, ``offset_ms`` and ``slope`` of the linear correction, and ``fitted``; None
        where there were too few wholes.
    device : str
        Name of the device.

    Returns
    -------
    matplotlib.figure.Figure
        The figure.
    """
    figure = new_figure(8.6, 3.3)
    left, right = figure.subplots(1, 2, width_ratios=[1, 1.25])
    left.set_title(f"Sum of operators on {device}")
    right.set_title("Where the time goes")
    if wholes.empty:
        for ax in (left, right):
            note(ax, "no measured latency yet")
        return figure
    _against(left, wholes, said)
    _kinds(right, wholes["latency_ms"].to_numpy(float), kinds.drop(columns="arch_id", errors="ignore"))
    return figure


def _against(ax: Axes, wholes: pd.DataFrame, said: JsonObject) -> None:
    x, y = wholes["operator_sum_ms"].to_numpy(float), wholes["latency_ms"].to_numpy(float)
    ax.plot(x, y, "o", color=BLUE, ms=3.5, alpha=0.6, mew=0)
    ends = np.array([0.0, 1.04 * max(x.max(), y.max())])
    ax.plot(ends, ends, color=FAINT, lw=1, ls=(0, (4, 2)), label="equal")
    if said["fitted"]:
        line = np.array([x.min(), x.max()])
        ax.plot(line, said["offset_ms"] + said["slope"] * line, color=RED, lw=1.2, label="linear correction")
        note(ax, f"rank correlation {said['rank']:.4f}\nerror {said['mape_pct']:.1f} % after correction")
    ax.set(xlabel="sum of operators (ms)", ylabel="measured latency (ms)", xlim=ends, ylim=ends)
    ax.legend(loc="lower right")


def _kinds(ax: Axes, latency: np.ndarray, kinds: pd.DataFrame) -> None:
    """Draw the means of neighbours in latency, one band a kind; the line is the latency itself."""
    order = np.argsort(latency)
    parts = np.array_split(order, min(12, len(order)))
    x = np.array([latency[p].mean() for p in parts])
    mean = kinds.mean().sort_values(ascending=False)
    names = list(mean.index[: len(FILLS) - 1 if len(mean) > len(FILLS) else len(FILLS)])
    bands = [np.array([kinds[n].to_numpy()[p].mean() for p in parts]) for n in names]
    if len(mean) > len(names):
        rest = kinds.drop(columns=names).sum(axis=1).to_numpy()
        names, bands = [*names, "others"], [*bands, np.array([rest[p].mean() for p in parts])]
    low = np.zeros(len(x))
    for name, band, (colour, hatch) in zip(names, bands, FILLS, strict=False):
        ax.fill_between(
            x, low, low + band, facecolor=colour, edgecolor="white", hatch=hatch, alpha=0.75, lw=0.4, label=name
        )
        low = low + band
    ax.plot(x, x, color=INK, lw=1.1, label="latency")
    ax.set(
        xlabel="measured latency (ms)",
        ylabel="operators (ms)",
        ylim=(0, None),
        xlim=(x[0], x[-1] if len(x) > 1 else None),
    )
    handles, labels = ax.get_legend_handles_labels()
    ax.legend(handles[::-1], labels[::-1], loc="upper left", bbox_to_anchor=(1.02, 1.0), labelcolor=MUTED)
