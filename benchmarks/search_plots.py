"""Plots of the search benchmark."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.search_runs import ATTAINED, OURS
from benchmarks.search_task import Best
from benchmarks.search_tasks import load
from hwsearch._typing import FloatArray
from hwsearch.objectives.objective import Objective
from hwsearch.objectives.pareto import attainment
from hwsearch.reporting.style import DEVICE_COLOURS, DEVICE_LINES, DEVICE_MARKERS, INK, new_figure, save, style

#: evaluations at which figures are given
AT = (25, 50, 75, 100, 150, 200, 300, 600, 1000)


def curves(entries: list[dict[str, Any]], key: str) -> FloatArray:
    """Stack (seeds, evaluations) of a list in each entry, cut to the shortest."""
    width = min(len(entry[key]) for entry in entries)
    return np.array([entry[key][:width] for entry in entries], dtype=np.float64)


def _look(k: int, tactic: str) -> dict[str, Any]:
    """Return colour, line, width and name of the k-th tactic of a plot."""
    return {
        "color": DEVICE_COLOURS[k % len(DEVICE_COLOURS)],
        "linestyle": DEVICE_LINES[(k + k // len(DEVICE_COLOURS)) % len(DEVICE_LINES)],
        "linewidth": 2.2 if tactic == OURS else 1.3,
        "label": tactic,
    }


def _file(name: str) -> str:
    """Return the task's name in file names."""
    return name.replace("/", "-").replace("#", "-")


def plot(name: str, found: dict[str, list[dict[str, Any]]], best: Best, folder: Path) -> None:
    """Plot medians with quartile bands over evaluations, or the share of runs that have found the optimum, as PNG and SVG."""
    with style():
        figure = new_figure(6.4, 4.0)
        ax = figure.add_subplot()
        single, lowest = "query" in next(iter(found.values()))[0], 1.0
        for k, (tactic, entries) in enumerate(found.items()):
            look = _look(k, tactic)
            look |= {
                "marker": DEVICE_MARKERS[(k + 2 * (k // len(DEVICE_COLOURS))) % len(DEVICE_MARKERS)],
                "markersize": 4,
            }
            if single:
                queries = np.sort([entry["query"] for entry in entries if entry["query"]])
                x = np.array([1, *queries, entries[0]["evaluations"]])
                y = np.array([0, *range(1, len(queries) + 1), len(queries)]) / len(entries)
                ax.step(x, y, where="post", markevery=max(1, len(x) // 8), **look)
                continue
            share = curves(entries, "volume") / best.volume
            x = np.arange(1, share.shape[1] + 1)
            marks = [n - 1 for n in AT if n <= len(x)]
            lowest = min(lowest, float(np.quantile(share[:, min(9, len(x) - 1)], 0.25)))
            low, middle, high = np.quantile(share, [0.25, 0.5, 0.75], axis=0)
            ax.fill_between(x, low, high, color=look["color"], alpha=0.15, linewidth=0)
            ax.plot(x, middle, markevery=marks, **look)
        ax.set_xscale("log")
        last = max(entry["evaluations"] for entries in found.values() for entry in entries)
        ax.set_xlim(10, 1.05 * last)
        ax.set_xticks([n for n in (10, 20, 50, 100, 200, 300, 500, 1000) if n <= last])
        ax.xaxis.set_major_formatter("{x:.0f}")
        ax.minorticks_off()
        ax.set_xlabel("evaluations")
        ax.set_ylabel("runs that have evaluated the optimum" if single else "share of the best known hypervolume")
        ax.set_ylim(0.0 if single else max(0.0, lowest - 0.03), 1.02)
        ax.set_title(name)
        ax.legend(loc="lower right" if not single else "upper left", ncols=2)
    save(figure, folder, _file(name))


def plot_attainment(name: str, found: dict[str, list[dict[str, Any]]], best: Best, folder: Path) -> None:
    """Plot what half of the runs attain after `ATTAINED` evaluations, with a band from a quarter to three quarters of them."""
    task = load(name)
    kept = {
        tactic: [np.array(e["attained"]) for e in entries if e.get("attained")] for tactic, entries in found.items()
    }
    kept = {tactic: fronts for tactic, fronts in kept.items() if len(fronts) > 1}
    if len(task.objectives) != 2 or not kept:
        return
    objectives = [Objective.parse(text) for text in task.objectives]
    across, up = 1, 0  # latency to the right, accuracy upwards
    edges = np.concatenate([front for fronts in kept.values() for front in fronts])
    grid = np.linspace(edges[:, across].min(), edges[:, across].max(), 800)
    with style():
        figure = new_figure(6.4, 4.0)
        ax = figure.add_subplot()
        ax.step(grid, _steps(best.values, grid), where="post", color=INK, linewidth=1.0, label="best known")
        bottom = []
        for k, (tactic, fronts) in enumerate(kept.items()):
            look = _look(k, tactic)
            low, middle, high = (_steps(attainment(fronts, objectives, share), grid) for share in (0.75, 0.5, 0.25))
            ax.fill_between(grid, low, high, color=look["color"], alpha=0.18, linewidth=0, step="post")
            ax.step(grid, middle, where="post", **look)
            bottom.append(np.nanquantile(middle, 0.05))
        top = float(best.values[:, up].max())
        ax.set_ylim(min(bottom) - 0.02 * (top - min(bottom)), top + 0.03 * (top - min(bottom)))
        ax.set_xlim(grid[0], grid[-1])
        ax.set_xlabel("latency, ms")
        ax.set_ylabel("accuracy, %")
        ax.set_title(f"{name}: attained by half of the runs after {ATTAINED} evaluations")
        ax.legend(loc="lower right")
    save(figure, folder, f"{_file(name)}-attainment")


def _steps(surface: FloatArray, grid: FloatArray) -> FloatArray:
    """Return the best accuracy of a surface (k, 2) within each latency of the grid; NaN where there is none."""
    surface = surface[np.argsort(surface[:, 1])]
    heights = np.append(np.nan, np.maximum.accumulate(surface[:, 0]))
    return np.asarray(heights[np.searchsorted(surface[:, 1], grid, side="right")])
