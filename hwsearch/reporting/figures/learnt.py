"""The figures of how predictors learn: left-out rows with intervals, learning curves, coverage, and what explains the variance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator, PercentFormatter

from hwsearch._json import JsonObject
from hwsearch._typing import FloatArray
from hwsearch.reporting.data import ReportData
from hwsearch.reporting.style import (
    BLUE,
    DEVICE_COLOURS,
    DEVICE_LINES,
    DEVICE_MARKERS,
    FAINT,
    GREEN,
    GRID,
    MUTED,
    ORANGE,
    PAPER,
    PURPLE,
    RED,
    SKY,
    new_figure,
    note,
    styled,
)
from hwsearch.reporting.words import label

#: what each part of the variance is of: its name, the beginnings of the names of parts, colour and hatch
GROUPS = (
    ("cost features", ("fact",), BLUE, ""),
    ("operators", ("operator",), ORANGE, "//"),
    ("other devices", ("source",), RED, "\\\\"),
    ("cheaper measurements", ("fidelity",), SKY, ".."),
    ("single genes", ("values", "trends", "switched on", "genes"), GREEN, ""),
    ("counts of values", ("counts",), "#8fd3bd", "--"),
    ("pairs of genes", ("slot", "pairs"), PURPLE, "xx"),
    ("noise", ("noise",), GRID, ""),
)
#: parts of a smaller share are not listed one by one
SMALLEST = 0.01


@styled
def learnt_figure(predictor: Mapping[str, object]) -> Figure:
    """Draw how one predictor learns, in four panels.

    Parameters
    ----------
    predictor : mapping
        ``name``, ``where`` (the device, or empty) and ``unit``; of the card ``model``, ``n``, ``left_out``, ``learning_curve``, ``left_out_coverage`` and ``parts``; optionally
        ``later_coverage``, as the one of rows left out.

    Returns
    -------
    matplotlib.figure.Figure
        The figure.
    """
    figure = new_figure(8.6, 6.5)
    where = f" on {predictor['where']}" if predictor.get("where") else ""
    figure.suptitle(
        f"Predictor of {predictor.get('name', '')}{where}: {predictor.get('model', '')}, {predictor.get('n', '')} subnets",
        x=0.01,
        ha="left",
        fontsize=11,
    )
    (left, right), (low, last) = figure.subplots(2, 2)
    draw_left_out(left, predictor)
    _learning(right, [predictor])
    _coverage(low, [predictor])
    _parts(last, predictor)
    return figure


@styled
def predictors_figure(report: ReportData, *, narrow: bool = False) -> Figure:
    """Draw how the predictors of a campaign learn: error over measured subnets, coverage, and shares of the variance.

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
    rows = drawn_predictors(report)
    if narrow:
        figure = new_figure(3.6, 8.6 + 0.3 * len(rows))
        first, second, third = figure.subplots(3, 1)
    else:
        figure = new_figure(8.6, 3.5)
        first, second, third = figure.subplots(1, 3, width_ratios=[1, 1, 1.05])
    _learning(first, rows)
    _coverage(second, rows)
    _shares(third, rows)
    if len(rows) > 1:
        first.legend(loc="upper right")
    return figure


def drawn_predictors(report: ReportData) -> list[JsonObject]:
    """Return what is known of the predictors of a report's devices and of accuracy, where `fit` kept how they learn.

    Parameters
    ----------
    report : ReportData
        The report.

    Returns
    -------
    list of dict
        Rows of `ReportData.predictors`, with ``name``.
    """
    devices = {d.name for d in report.devices}
    found = []
    for row in report.predictors:
        if not row.get("learning_curve") or (row.get("device") is not None and row["device"] not in devices):
            continue
        metric = str(row.get("metric"))
        name = str(report.metric) if metric == "accuracy" else label(metric).split(" (")[0].lower()
        found.append({**row, "name": f"{name} on {row['device']}" if row.get("device") else name})
    return found[: len(DEVICE_COLOURS)]


# ---------------------------------------------------------------------- panels
def draw_left_out(ax: Axes, predictor: Mapping[str, object]) -> None:
    """Draw measured values over predictions of rows left out, with their intervals.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        The panel.
    predictor : mapping
        As in `learnt_figure`.
    """
    ax.set_title("Rows left out")
    found = predictor.get("left_out")
    if not isinstance(found, Mapping):
        note(ax, "not kept: fit again")
        return
    x, y, low, high = (_numbers(found[name]) for name in ("predicted", "measured", "low", "high"))
    both = np.concatenate([x, y])
    pad = 0.08 * (float(np.ptp(both)) or abs(float(both[0])) or 1.0)
    span = (float(both.min()) - pad, float(both.max()) + pad)
    ax.plot(span, span, color=FAINT, lw=1.0, zorder=1)
    held = ~((y < low) | (y > high))  # an end that is not known is infinite
    bars = np.clip(np.nan_to_num(np.stack([low, high]), nan=np.nan), *span)
    bars[0], bars[1] = np.where(np.isnan(low), span[0], bars[0]), np.where(np.isnan(high), span[1], bars[1])
    for some, colour, shape, title in ((held, BLUE, "o", "in its interval"), (~held, RED, "D", "outside")):
        if not some.any():
            continue
        ax.hlines(y[some], bars[0][some], bars[1][some], color=colour, lw=0.8, alpha=0.35, zorder=2)
        ax.plot(x[some], y[some], shape, color=colour, ms=4, mec=PAPER, mew=0.4, zorder=3, label=title)
    unit = f" ({predictor['unit']})" if predictor.get("unit") else ""
    name = predictor.get("name", "")
    ax.set(xlim=span, ylim=span, xlabel=f"predicted {name}{unit}", ylabel=f"measured{unit}")
    ax.locator_params(nbins=5)
    asked = float(str(found["asked"]))
    note(ax, f"{held.sum()} of {len(held)} in their {100 * asked:.0f} % interval")
    if not held.all():
        ax.legend(loc="lower right", handletextpad=0.3)


def _learning(ax: Axes, rows: Sequence[Mapping[str, object]]) -> None:
    """Draw mean relative errors of rows left out over the number of rows, with one standard error."""
    ax.set_title("Error over measured subnets")
    ticks: set[int] = set()
    values: list[float] = []
    for k, row in enumerate(rows):
        curve = row.get("learning_curve")
        if not isinstance(curve, Mapping):
            continue
        n, error, spread = (_numbers(curve[name]) for name in ("rows", "mape", "mape_error"))
        spread = np.nan_to_num(spread)
        colour = DEVICE_COLOURS[k]
        ax.fill_between(n, np.maximum(error - spread, 0.5 * error), error + spread, color=colour, alpha=0.15, lw=0)
        style = {"ls": DEVICE_LINES[k], "marker": DEVICE_MARKERS[k], "ms": 4.5}
        ax.plot(n, error, color=colour, label=str(row.get("name", "")), **style)
        ticks |= {int(i) for i in n}
        values += [*(error + spread), *error]
    if not values:
        note(ax, "not kept: fit again")
        return
    values = [v for v in values if np.isfinite(v) and v > 0]
    if not values:
        note(ax, "no relative errors: all values are 0")
        return
    ax.set_xscale("log")
    ax.set_yscale("log")
    low, high = min(values), max(values)
    ax.set_ylim(0.7 * low, 1.4 * high * (1.0 + 0.6 * (len(rows) - 1)))
    _round_ticks(ax)
    shown = _apart(sorted(ticks))
    ax.xaxis.set_major_locator(FixedLocator(shown))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:.0f}"))
    ax.set(xlabel="subnets learnt from", ylabel="mean error of others (%)")


def _round_ticks(ax: Axes) -> None:
    """Label a logarithmic axis of percentages at 1, 2 and 5 of each decade, or closer where that is too few."""
    low, high = ax.get_ylim()
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    for steps in ((1, 2, 5), (1, 1.5, 2, 3, 5, 7), (1, 1.2, 1.4, 1.6, 1.8, 2, 2.5, 3, 3.5, 4, 5, 6, 7, 8, 9)):
        ticks = [m * 10.0**d for d in decades for m in steps if low <= m * 10.0**d <= high]
        if len(ticks) >= 3:
            break
    ax.yaxis.set_major_locator(FixedLocator(ticks))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))


def _apart(ticks: Sequence[int]) -> list[int]:
    """Leave out the ticks of a logarithmic axis whose labels would touch, the last one last."""
    kept: list[int] = []
    for tick in reversed(ticks):
        if not kept or kept[-1] / tick >= 1.5:
            kept.append(tick)
    return kept[::-1]


def _coverage(ax: Axes, rows: Sequence[Mapping[str, object]]) -> None:
    """Draw the share of values that intervals held over the share that was asked for."""
    ax.set_title("Coverage of intervals")
    ax.plot([0, 1], [0, 1], color=FAINT, lw=1.0, zorder=1)
    drawn = False
    for k, row in enumerate(rows):
        for of, line in (("left_out_coverage", "-"), ("later_coverage", (0, (1.5, 1.5)))):
            found = row.get(of)
            if not isinstance(found, Mapping) or not found.get("n"):
                continue
            asked, held = _numbers(found["asked"]), _numbers(found["held"])
            what = "left out" if of == "left_out_coverage" else "measured later"
            shape = {"marker": DEVICE_MARKERS[k], "ms": 4, "mfc": DEVICE_COLOURS[k] if line == "-" else PAPER}
            ax.plot(asked, held, color=DEVICE_COLOURS[k], ls=line, lw=1.3, label=f"{what}, n = {found['n']}", **shape)
            drawn = True
    if not drawn:
        note(ax, "not kept: fit again")
        return
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axis.set_major_locator(FixedLocator([0, 0.25, 0.5, 0.75, 1]))
    ax.set(xlim=(0, 1.02), ylim=(0, 1.02), xlabel="asked", ylabel="held")
    if len(rows) == 1:
        ax.legend(loc="lower right", borderaxespad=0.6)
    else:
        handles = [
            ax.plot([], [], color=MUTED, ls=line, lw=1.3, marker="o", ms=4, mfc=face)[0]
            for line, face in (("-", MUTED), ((0, (1.5, 1.5)), PAPER))
        ]
        later = any(isinstance(row.get("later_coverage"), Mapping) for row in rows)
        ax.legend(
            handles[: 1 + later],
            ["left out of the fit", "measured later"][: 1 + later],
            loc="upper left",
            bbox_to_anchor=(0.0, -0.24),
        )


def _parts(ax: Axes, predictor: Mapping[str, object]) -> None:
    """Draw the share of the variance of each part of a kernel, the largest first."""
    ax.set_title("What explains the variance")
    parts = predictor.get("parts")
    if not isinstance(parts, Mapping) or not parts:
        note(ax, f"{predictor.get('model', 'this model')} has no parts")
        ax.set_axis_off()
        return
    shares = sorted(((float(v), str(k)) for k, v in parts.items() if float(v) >= SMALLEST), reverse=True)[:10]
    at = np.arange(len(shares))[::-1]
    for place, (share, name) in zip(at, shares, strict=True):
        ax.barh(place, share, height=0.68, facecolor=_group(name)[1], lw=0)
        ax.annotate(
            f"{100 * share:.0f} %", (share, place), (4, 0), textcoords="offset points", va="center", fontsize=8.5
        )
    ax.set_yticks(at, [name for _, name in shares])
    ax.set(xlim=(0, 1.18 * max(share for share, _ in shares)), xlabel="share of the variance")
    ax.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    ax.grid(axis="y", visible=False)
    ax.locator_params(axis="x", nbins=5)


def _shares(ax: Axes, rows: Sequence[Mapping[str, object]]) -> None:
    """Draw a bar a predictor, divided among groups of parts."""
    ax.set_title("What explains the variance")
    shown = [row for row in rows if isinstance(row.get("parts"), Mapping) and row["parts"]]
    if not shown:
        note(ax, "no Gaussian process was chosen")
        ax.set_axis_off()
        return
    totals = [_grouped(row["parts"]) for row in shown]  # type: ignore[arg-type]
    left = np.zeros(len(shown))
    at = np.arange(len(shown))[::-1]
    for name, _, colour, hatch in GROUPS:
        width = np.array([total.get(name, 0.0) for total in totals])
        if width.max() < SMALLEST:
            continue
        ax.barh(at, width, left=left, height=0.5, facecolor=colour, edgecolor=PAPER, hatch=hatch, lw=0.4, label=name)
        left = left + width
    ax.set_yticks([])
    for place, row in zip(at, shown, strict=True):
        ax.annotate(str(row["name"]), (0, place + 0.3), (0, 2), textcoords="offset points", va="bottom", fontsize=8.5)
    ax.set(xlim=(0, 1.0), ylim=(-0.45, len(shown) - 0.2), xlabel="share of the variance")
    ax.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    ax.grid(axis="y", visible=False)
    ax.legend(loc="upper left", bbox_to_anchor=(0.0, -0.24), ncols=2, columnspacing=1.0, handlelength=1.2)


def _grouped(parts: Mapping[str, object]) -> dict[str, float]:
    """Sum shares by group."""
    out: dict[str, float] = {}
    for part, share in parts.items():
        name = _group(part)[0]
        out[name] = out.get(name, 0.0) + float(str(share))
    return out


def _group(part: str) -> tuple[str, str, str]:
    """Return name, colour and hatch of a part's group; those of other kernels are pairs of nothing known."""
    for name, begins, colour, hatch in GROUPS:
        if part.startswith(begins):
            return name, colour, hatch
    return "others", FAINT, ""


def _numbers(values: object) -> FloatArray:
    """Return a list of JSON as numbers; null is NaN."""
    assert isinstance(values, Sequence)
    return np.array([np.nan if v is None else float(v) for v in values], dtype=np.float64)
