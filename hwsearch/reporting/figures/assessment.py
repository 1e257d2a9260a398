"""Figures of an assessed supernet: scores over MACs, excess losses, gradient conflict, inherited against stand-alone scores."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from hwsearch._json import JsonObject
from hwsearch.reporting.style import (
    BLUE,
    FAINT,
    INK,
    MUTED,
    ORANGE,
    PAPER,
    RED,
    new_figure,
    note,
    styled,
)
from hwsearch.reporting.words import Z95, ScoreName, axis_label, percent, scaled

#: zeros at the end of a decimal fraction
_ZEROS = re.compile(r"\.0+(?= |$)|(?<=\.[1-9])0+(?= |$)")
#: what `bands_figure` says to those who cannot see it
BANDS_WORDS = "Score of each measured subnet over its MACs, and the mean of each band; the tables list them."
#: most parts of the network that have a line of their own; the others, of the fewest common weights, are left out
MOST_PARTS = 24


def score_of(result: JsonObject) -> ScoreName:
    """Make the score's name with its unit.

    Parameters
    ----------
    result : dict
        Of `hwsearch.assess_supernet`.

    Returns
    -------
    ScoreName
        The name.
    """
    score = result["score"]
    return ScoreName(score["name"], score["unit"], score["label"])


@styled
def bands_figure(result: JsonObject, *, narrow: bool = False) -> Figure:
    """Draw the score of every measured subnet over its MACs, the mean of each band, and the probes trained by themselves.

    Parameters
    ----------
    result : dict
        Of `hwsearch.assess_supernet`.
    narrow : bool
        Whether to draw for a phone's width.

    Returns
    -------
    matplotlib.figure.Figure
        The figure.
    """
    figure = new_figure(3.6, 3.4) if narrow else new_figure(7.2, 3.9)
    ax = figure.subplots()
    rows = result["subnets"]
    macs = np.array([r["macs"] for r in rows], dtype=np.float64)
    ax.scatter(macs, [r["score"] for r in rows], s=16, color=FAINT, lw=0, label="subnets", zorder=2)
    for i, band in enumerate(result["bands"]):
        e, low, high = band["score"], band["macs_low"], band["macs_high"]
        ax.plot([low, high], [e["value"]] * 2, color=BLUE, lw=2.2, zorder=3, label=None if i else "mean of a band")
        if e["low"] is not None:
            ax.fill_between([low, high], e["low"], e["high"], color=BLUE, alpha=0.16, lw=0, zorder=1.5)
    probes = [r for r in rows if r["standalone"] is not None]
    for r in probes:
        ax.plot([r["macs"]] * 2, [r["score"], r["standalone"]], color=ORANGE, lw=0.8, zorder=3.4)
    if probes:
        ax.errorbar(
            [r["macs"] for r in probes], [r["standalone"] for r in probes], yerr=[Z95 * r["standalone_se"] for r in probes],
            fmt="s", ms=4.5, mfc=PAPER, mec=ORANGE, ecolor=ORANGE, elinewidth=0.8, label="trained by itself", zorder=3.6,
        )  # fmt: skip
    _macs_axis(ax, macs)
    ax.set_ylabel(axis_label(score_of(result)))
    ax.margins(y=0.08)
    figure.legend(loc="outside upper left", ncols=1 if narrow else 3, columnspacing=1.6)
    return figure


def _macs_axis(ax: Axes, macs: Any) -> None:
    """Make the axis of MACs logarithmic, with round numbers as words."""
    ax.set_xscale("log")
    span = float(macs.max() / macs.min()) if macs.min() > 0 else 1.0
    ax.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if span > 15 else (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0)))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _ZEROS.sub("", scaled(value))))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_xlabel("MACs")


@styled
def excess_figure(result: JsonObject, *, narrow: bool = False) -> Figure:
    """Draw the excess loss of each band of MACs, with intervals over other subnets.

    Parameters
    ----------
    result : dict
        Of `hwsearch.assess_supernet`.
    narrow : bool
        Whether to draw for a phone's width.

    Returns
    -------
    matplotlib.figure.Figure
        The figure.
    """
    figure = new_figure(3.6, 2.6)
    ax = figure.subplots()
    bands = result["bands"]
    places = np.arange(len(bands))
    values = [b["excess_loss"]["value"] for b in bands]
    ax.bar(places, values, width=0.62, color=BLUE, alpha=0.75, zorder=2)
    for at, b in zip(places, bands, strict=True):
        _interval(ax, at, b["excess_loss"], vertical=True)
    ax.set_xticks(places, [scaled((b["macs_low"] * b["macs_high"]) ** 0.5) for b in bands])
    ax.grid(False, axis="x")
    ax.set_xlabel("MACs at the middle of the band")
    ax.set_ylabel("excess loss")
    ax.set_ylim(bottom=0)
    return figure


def _interval(ax: Axes, at: float, estimate: JsonObject, *, vertical: bool = False) -> None:
    if estimate["low"] is None:
        return
    ends = [estimate["low"], estimate["high"]]
    ax.plot(*(([at, at], ends) if vertical else (ends, [at, at])), color=INK, lw=1.0, zorder=3)


@styled
def conflict_figure(result: JsonObject, *, narrow: bool = False) -> Figure:
    """Draw the cosine of the gradients of the smallest and the largest subnet, by part of the network.

    Parameters
    ----------
    result : dict
        Of `hwsearch.assess_supernet`.
    narrow : bool
        Whether to draw for a phone's width.

    Returns
    -------
    matplotlib.figure.Figure
        The figure; its panel says so where the two share no weights.
    """
    parts = result["conflict"]["parts"]
    if len(parts) > MOST_PARTS:
        kept = sorted(parts, key=lambda p: -p["common_weights"])[:MOST_PARTS]
        parts = [p for p in parts if p in kept]
    figure = new_figure(3.6, max(1.6, 0.62 + 0.19 * len(parts)))
    ax = figure.subplots()
    if not parts:
        ax.set_axis_off()
        note(ax, "The smallest and the largest subnet\nshare no weights.")
        return figure
    places = np.arange(len(parts))[::-1]
    ax.axvline(0, color=MUTED, lw=0.9, zorder=1)
    for at, part in zip(places, parts, strict=True):
        e = part["cosine"]
        _interval(ax, at, e)
        ax.plot([e["value"]], [at], "o", ms=4.5, color=RED if e["value"] < 0 else BLUE, zorder=4)
    ax.set_yticks(places, [p["part"] if len(p["part"]) <= 22 else f"…{p['part'][-21:]}" for p in parts])
    ax.grid(False, axis="y")
    ax.set_xlabel("cosine, smallest and largest")
    ax.set_ylim(-0.6, len(parts) - 0.4)
    return figure


@styled
def probes_figure(result: JsonObject, *, narrow: bool = False) -> Figure:
    """Draw stand-alone against inherited scores of the probes.

    Parameters
    ----------
    result : dict
        Of `hwsearch.assess_supernet`.
    narrow : bool
        Whether to draw for a phone's width.

    Returns
    -------
    matplotlib.figure.Figure
        The figure.
    """
    figure = new_figure(3.6, 3.2)
    ax = figure.subplots()
    probes = [r for r in result["subnets"] if r["standalone"] is not None]
    x, y = (np.array([r[k] for r in probes], dtype=np.float64) for k in ("score", "standalone"))
    ends = [min(x.min(), y.min()), max(x.max(), y.max())] if len(probes) else [0.0, 1.0]
    pad = 0.06 * (ends[1] - ends[0]) or 1.0
    line = [ends[0] - pad, ends[1] + pad]
    ax.plot(line, line, color=FAINT, lw=0.9, zorder=1)
    ax.errorbar(
        x, y, xerr=[Z95 * r["score_se"] for r in probes], yerr=[Z95 * r["standalone_se"] for r in probes],
        fmt="o", ms=5, color=BLUE, ecolor=BLUE, elinewidth=0.8, zorder=3,
    )  # fmt: skip
    name = score_of(result)
    unit = percent(name).strip()
    ax.set_xlabel(f"inherited {name}" + (f" ({unit})" if unit else ""))
    ax.set_ylabel(f"trained by itself ({unit})" if unit else "trained by itself")
    tau = (result["rank_correlation"] or {}).get("value")
    if tau is not None and math.isfinite(tau):
        note(ax, f"Kendall's τ {tau:.2f}\nn = {len(probes)}")
    return figure
