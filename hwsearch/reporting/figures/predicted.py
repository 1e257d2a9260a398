"""The figure of predicted against measured values."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from hwsearch._json import JsonObject
from hwsearch._typing import FloatArray
from hwsearch.reporting.columns import ROLES
from hwsearch.reporting.data import DeviceReport, ReportData
from hwsearch.reporting.facts import kendall
from hwsearch.reporting.style import (
    BLUE,
    FAINT,
    MUTED,
    ORANGE,
    PAPER,
    new_figure,
    note,
    styled,
)
from hwsearch.reporting.words import number, percent

#: most subnets of a panel that are drawn; figures are of all
MOST_DOTS = 1000


@styled
def predicted_figure(report: ReportData, *, narrow: bool = False) -> Figure:
    """Draw predicted against measured values, for subnets that were not in the fit.

    One panel for accuracy, one for the latency on each device.

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
    panels: list[tuple[str, str, FloatArray, FloatArray, tuple[str, str | None]]] = []
    accuracies: dict[str, tuple[float, float]] = {}
    for device in report.devices:
        accuracies |= _pairs(device, "predicted_accuracy", "accuracy", ("profile", "search", "random"))
    if accuracies:
        panels.append(
            (
                f"validation {report.metric}",
                percent(report.metric).strip(),
                *np.array(list(accuracies.values())).T,
                ("accuracy", None),
            )
        )
    for device in report.devices:
        latencies = _pairs(device, "predicted_latency_ms", "latency_ms", ROLES)
        if latencies:
            panels.append(
                (f"latency on {device.name}", "ms", *np.array(list(latencies.values())).T, ("latency_ms", device.name))
            )
    left_out = {(p.get("metric"), p.get("device")): p["left_out"] for p in report.predictors if p.get("left_out")}
    columns = 1 if narrow else min(3, max(1, len(panels)))
    lines = max(1, -(-len(panels) // columns))
    figure = new_figure(
        3.6 if narrow else 2.4 * max(columns, 2), (2.9 if narrow else 2.75) * lines + (0.4 if left_out else 0.0)
    )
    if not panels:
        figure.text(0.5, 0.5, "no subnet was both predicted and measured", ha="center", color=MUTED)
        return figure
    axes = np.atleast_1d(figure.subplots(lines, columns)).ravel()
    for ax in axes[len(panels) :]:
        ax.set_visible(False)
    for ax, (title, unit, predicted, found, key) in zip(axes, panels, strict=False):
        others = _left_out(left_out.get(key))
        every = np.concatenate([predicted, found, *others[:2]])
        low, high = every.min(), every.max()
        pad = 0.06 * (high - low or abs(high) or 1.0)
        span = (low - pad, high + pad)
        ax.plot(span, span, color=FAINT, lw=1.0, zorder=1)
        if len(others[0]):
            x, y, starts, ends = others
            ax.hlines(y, np.clip(starts, *span), np.clip(ends, *span), color=ORANGE, lw=0.7, alpha=0.45, zorder=1.5)
            ax.plot(
                x,
                y,
                "D",
                color=ORANGE,
                ms=2.6,
                mew=0,
                zorder=2,
                label="left out of the fit in turn, with 90 % interval",
            )
        drawn = np.random.default_rng(0).permutation(len(found))[:MOST_DOTS]
        ax.scatter(
            predicted[drawn], found[drawn], s=16, color=BLUE, edgecolor=PAPER, lw=0.4, zorder=3, label="measured later"
        )
        behind = f" ({unit})" if unit else ""
        ax.set(
            xlim=span, ylim=span, aspect="equal", title=title, xlabel=f"predicted{behind}", ylabel=f"measured{behind}"
        )
        ax.locator_params(nbins=5)
        tau = kendall(predicted, found)
        error = f"mean error {number(np.abs(predicted - found).mean(), 2)} {unit if unit == 'ms' else 'points'}"
        few = f", {MOST_DOTS} of them drawn" if len(found) > MOST_DOTS else ""
        told = f"n = {len(found)}{few}\n{error}" + (f"\nKendall τ {tau:.2f}" if np.isfinite(tau) else "")
        note(ax, told, lower_right=True)
    if left_out:
        key_of = next((ax for ax in axes if len(ax.get_legend_handles_labels()[1]) > 1), axes[0])
        figure.legend(*key_of.get_legend_handles_labels(), loc="outside lower left", ncols=1 if narrow else 2)
    return figure


def _pairs(device: DeviceReport, predicted: str, found: str, roles: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Pair (predicted, measured) by arch_id, the search's measurement before the validation's."""
    p = device.points.loc[device.points["role"].isin(roles), ["arch_id", "role", predicted, found]].dropna()
    p = p.iloc[np.argsort(p["role"].to_numpy() == "validated", kind="stable")].drop_duplicates("arch_id")
    return {a: (float(x), float(y)) for a, x, y in zip(p["arch_id"], p[predicted], p[found], strict=True)}


def _left_out(found: JsonObject | None) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return predictions, measured values and ends of intervals of rows that a fit left out in turn."""
    names = ("predicted", "measured", "low", "high")
    columns = [np.array([np.nan if v is None else v for v in (found or {}).get(n, [])], dtype=float) for n in names]
    x, y, low, high = columns
    return x, y, np.nan_to_num(low, nan=-np.inf), np.nan_to_num(high, nan=np.inf)
