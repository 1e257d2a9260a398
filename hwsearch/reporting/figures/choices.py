"""The figure of the genes along a front: small multiples, one panel a group of genes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from hwsearch.reporting.data import DeviceReport
from hwsearch.reporting.genes import DEPTH, TITLES, Layout, layout, short, split
from hwsearch.reporting.style import BLUE, GRID, INK, MUTED, PAPER, new_figure, styled
from hwsearch.spaces.choice import Value

Genes = Mapping[str, Value]


@styled
def choices_figure(device: DeviceReport, *, narrow: bool = False) -> Figure:
    """Draw the genes along the front, from the fastest subnet to the most accurate.

    Where depth genes tell the stages: one row a kind of gene, one column a stage, dots for the values of the
    stage's blocks (larger: more blocks) and a line for their mean; genes that are not by stage span all columns. Any
    other space: one strip a gene.

    Parameters
    ----------
    device : DeviceReport
        The device's part of the report.
    narrow : bool
        Whether to draw for a phone's width.

    Returns
    -------
    matplotlib.figure.Figure
        The figure.
    """
    archs: list[Genes] = list(device.front["genes"])
    plan = layout([*archs, *device.points["genes"]])
    numeric = all(isinstance(v, (int, float)) for g in archs for v in g.values())
    if plan.stages and numeric:
        return _staged(archs, plan, narrow)
    return _strips(archs, plan, narrow)


def _staged(archs: Sequence[Genes], plan: Layout, narrow: bool) -> Figure:
    scalars = [s for s in plan.scalars if len({g.get(s) for g in archs} - {None})]
    kinds = [DEPTH, *(k for k in plan.groups if k != DEPTH and plan.per_stage[k])]
    whole = [k for k in plan.groups if not plan.per_stage[k]]
    columns = plan.stages
    rows = len(scalars) + len(whole) + len(kinds)
    figure = new_figure(3.6 if narrow else 7.2, (1.05 if narrow else 1.15) * rows + 0.55)
    grid = figure.add_gridspec(rows, columns)
    rank = np.arange(1, len(archs) + 1)
    for i, name in enumerate([*scalars, *whole]):
        ax = figure.add_subplot(grid[i, :])
        values = [[v for gene, v in g.items() if split(gene)[0] == name] for g in archs]
        _panel(ax, rank, values, size=12 if narrow else 15)
        ax.set_title(TITLES.get(name, name), fontsize=8.5)
        ax.tick_params(labelbottom=False)
    for k, kind in enumerate(kinds):
        row = len(scalars) + len(whole) + k
        ticks = sorted({v for g in archs for name, v in g.items() if split(name)[0] == kind})
        for s in range(columns):
            ax = figure.add_subplot(grid[row, s])
            _panel(ax, rank, [_stage_values(g, plan, kind, s) for g in archs], ticks, size=7 if narrow else 15)
            if s == 0:
                ax.set_title(TITLES.get(kind, kind), fontsize=8.5, loc="left")
            ax.tick_params(labelleft=s == 0, labelbottom=k == len(kinds) - 1)
            if k == len(kinds) - 1:
                ax.set_xlabel(f"stage {s + 1}", labelpad=1, fontsize=8.5)
    figure.supxlabel("place along the front: 1 is the fastest", fontsize=9, color=MUTED)
    return figure


def _stage_values(genes: Genes, plan: Layout, kind: str, stage: int) -> list[Value]:
    found = []
    for i in range(plan.groups[kind]):
        if plan.where(kind, i)[0] == stage and f"{kind}[{i}]" in genes:
            found.append(genes[f"{kind}[{i}]"])
    return found


def _panel(
    ax: Axes,
    rank: NDArray[np.int64],
    values: Sequence[Sequence[Value]],
    ticks: Sequence[Value] | None = None,
    *,
    size: float,
) -> None:
    """Draw dots at each value (area: number of blocks, one has `size` square points) and a line through the means."""
    ticks = list(ticks if ticks is not None else sorted({v for vs in values for v in vs}))
    place = {v: i for i, v in enumerate(ticks)}
    means = np.array([np.mean([place[v] for v in vs]) if vs else np.nan for vs in values])
    ax.plot(rank, means, color=BLUE, lw=1.0, alpha=0.6, zorder=2)
    dots = np.array([(x, place[v], n) for x, vs in zip(rank, values, strict=True) for v, n in Counter(vs).items()])
    for n in sorted({int(d[2]) for d in dots}):  # one marker a size keeps the SVG small
        x, y, _ = dots[dots[:, 2] == n].T
        ax.plot(x, y, "o", ms=(size * (1 + 0.8 * (n - 1))) ** 0.5, color=BLUE, mec=PAPER, mew=0.5, zorder=3)
    step = max(1, -(-len(ticks) // 6))
    ax.set_yticks(range(0, len(ticks), step), [short(v) for v in ticks[::step]])
    ax.set_ylim(-0.45, max(len(ticks) - 1, 0) + 0.45)
    last = int(rank[-1])
    ax.set_xlim(0.4, last + 0.6)
    ax.set_xticks([1, last] if last > 1 else [1])
    ax.grid(False, axis="x")
    ax.spines["left"].set_visible(False)
    ax.spines["bottom"].set_color(GRID)


def _strips(archs: Sequence[Genes], plan: Layout, narrow: bool, most: int = 60) -> Figure:
    """Draw one row a gene, one column a front point; the tint is the value's place among the values seen."""
    present = {name for g in archs for name in g}
    every = [*plan.scalars, *(f"{prefix}[{i}]" for prefix, count in plan.groups.items() for i in range(count))]
    known = [name for name in every if name in present]
    names = known[:most]
    grid = np.full((len(names), len(archs)), np.nan)
    words: dict[tuple[int, int], str] = {}
    for i, name in enumerate(names):
        seen = sorted({g[name] for g in archs if name in g}, key=lambda v: (isinstance(v, str), v))
        for j, g in enumerate(archs):
            if name in g:
                grid[i, j] = 0.5 if len(seen) == 1 else seen.index(g[name]) / (len(seen) - 1)
                words[i, j] = short(g[name])
    figure = new_figure(3.6 if narrow else 7.2, 0.75 + 0.22 * max(len(names), 2))
    ax = figure.subplots()
    for (i, j), text in words.items():
        ax.fill_between([j + 0.53, j + 1.47], i - 0.46, i + 0.46, color=BLUE, alpha=0.06 + 0.5 * grid[i, j], lw=0)
        if len(archs) * max(map(len, words.values())) <= (36 if narrow else 90):
            ax.text(j + 1, i, text, ha="center", va="center", fontsize=7, color=INK)
    ax.set_yticks(range(len(names)), names, fontsize=8)
    ax.set(xlim=(0.4, len(archs) + 0.6), ylim=(max(len(names), 1) - 0.4, -0.6))
    ax.set_xticks([1, len(archs)] if len(archs) > 1 else [1])
    some = f"; the first {most} of {len(known)} genes" if len(known) > most else ""
    ax.set_xlabel(f"place along the front: 1 is the fastest{some}")
    ax.grid(False)
    ax.tick_params(length=0)
    for spine in ax.spines.values():
        spine.set_visible(False)
    return figure
