"""Plots of the latency benchmark: one panel a part, empty for what was not measured."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from hwsearch.reporting.style import new_figure, save, style


def plot(result: dict, folder: Path) -> list[Path]:
    with style():
        figure = new_figure(10.5, 3.4)
        axes = figure.subplots(1, 3)
        for place, (part, draw) in zip(axes, DRAWN.items(), strict=True):
            if part in result:
                draw(place, result)
            else:
                place.set_axis_off()
        return save(figure, folder, "latency")


def _draw_repeatability(axes: Any, result: dict) -> None:
    for rows, name, mark in (
        (result["ours"], "interleaved loads", "o-"),
        ({k: r for k, r in result["fixed"].items() if k != "spread"}, "100 repeats in a row", "s--"),
    ):
        line = sorted((r["seconds"], r["error"]) for r in rows.values())
        axes.plot(*zip(*line, strict=True), mark, label=name)
    axes.set(xlabel=f"seconds for {result['subnets']} subnets", ylabel="median disagreement (%)", ylim=(0, None))
    axes.set_title("Two campaigns, one half under load")
    axes.legend(frameon=False)


def _draw_a_a(axes: Any, result: dict) -> None:
    trials = result["aa_trials"]
    for i, name in enumerate(("visits", "bursts")):
        axes.plot(np.full(len(trials[name]), i), trials[name], "o", color=f"C{i}", alpha=0.7)
        axes.plot([i - 0.2, i + 0.2], [np.median(trials[name])] * 2, "k-")
    axes.set(xticks=[0, 1], xlim=(-0.5, 1.5), ylabel="spread of eight values (%)", ylim=(0, None))
    axes.set_xticklabels(["interleaved\nloads", "one burst\neach"])
    axes.set_title("One network, eight times")


def _draw_coverage(axes: Any, result: dict) -> None:
    half, apart = np.array(result["half_widths_pct"]), np.abs(result["difference_pct"])
    axes.plot(half, apart, "o", alpha=0.5, markersize=3)
    top = float(max(half.max(), apart.max()) * 1.05)
    axes.plot([0, top], [0, top], "k-", linewidth=0.8)
    axes.set(
        xlabel="half of the 95 % interval (%)", ylabel="difference of second campaign (%)", xlim=(0, top), ylim=(0, top)
    )
    axes.set_title(f"{100 * result['coverage95']:.0f} % lie below the line")


#: what draws a part, by a figure that only that part finds
DRAWN: dict[str, Callable[[Any, dict], None]] = {
    "ours": _draw_repeatability,
    "aa_trials": _draw_a_a,
    "half_widths_pct": _draw_coverage,
}
