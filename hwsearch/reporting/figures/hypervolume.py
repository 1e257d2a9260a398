"""The figure of hypervolume over evaluations."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from hwsearch.reporting.data import ReportData
from hwsearch.reporting.style import (
    BLUE,
    GRID,
    MUTED,
    ORANGE,
    new_figure,
    styled,
)


@styled
def hypervolume_figure(report: ReportData, *, narrow: bool = False) -> Figure:
    """Draw the share of the best hypervolume over evaluations: the search, and random sampling with its band.

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
            h["evaluations"], h["random_low"], h["random_high"], color=ORANGE, alpha=0.22, lw=0, label="random, 95 %"
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
