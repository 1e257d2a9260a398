"""Facts that follow from a report's numbers: the largest subnet, the knee, limits, and one sentence a device."""

from __future__ import annotations

import math
import re
import string
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from hwsearch._json import JsonObject
from hwsearch.objectives.objective import Objective
from hwsearch.reporting.data import DeviceReport, ReportData
from hwsearch.reporting.words import Z95, finite, percent


def measured(device: DeviceReport) -> pd.DataFrame:
    """Select the points that have both accuracy and latency, each subnet once.

    Parameters
    ----------
    device : DeviceReport
        The device's part of the report.

    Returns
    -------
    pandas.DataFrame
        Of each subnet its validation, or what was measured last before it.
    """
    p = device.points
    p = p[np.isfinite(p["accuracy"]) & np.isfinite(p["latency_ms"])]
    order = np.argsort(p["role"].to_numpy() == "validated", kind="stable")
    last = p.iloc[order].drop_duplicates("arch_id", keep="last").index
    return p[p.index.isin(last)]


def largest(device: DeviceReport) -> pd.Series | None:
    """Find the measured point with the most MACs.

    Parameters
    ----------
    device : DeviceReport
        The device's part of the report.

    Returns
    -------
    pandas.Series or None
        The point; None when no point has MACs.
    """
    p = measured(device)
    p = p[np.isfinite(p["macs"])]
    if p.empty:
        return None
    return p.iloc[int(np.argmax(p["macs"].to_numpy()))]


@dataclass(frozen=True)
class AxisLimit:
    """An absolute limit on one axis of the front.

    Attributes
    ----------
    metric : str
        ``latency_ms`` or ``accuracy``.
    value : float
        The limit, in ms or percent.
    text : str
        What is written beside its line.
    """

    metric: str
    value: float
    text: str


def limits(device: DeviceReport, objectives: Sequence[Objective], metric: str = "top-1") -> list[AxisLimit]:
    """Collect the limits that hold on a device and have an axis.

    Parameters
    ----------
    device : DeviceReport
        The device's part of the report.
    objectives : sequence of Objective
        The campaign's objectives.
    metric : str
        Name of the score.

    Returns
    -------
    list of AxisLimit
        Absolute limits; a share of the largest subnet is left out where that was not measured.
    """
    found = []
    top = largest(device)
    for o in objectives:
        if o.limit is None or o.device not in (None, device.name) or o.metric not in ("latency_ms", "accuracy"):
            continue
        if o.limit.relative and top is None:
            continue
        bound = o.limit.resolve(float(top[o.metric]) if top is not None else None)
        unit = " ms" if o.metric == "latency_ms" else percent(metric)
        sign = "≤" if bound.op == "<=" else "≥"
        note = f" ({100 * o.limit.value:g} % of the largest)" if o.limit.relative else ""
        found.append(AxisLimit(o.metric, bound.value, f"limit {sign} {bound.value:.3g}{unit}{note}"))
    return found


def pick_letters(device: DeviceReport) -> list[str]:
    """Give the picks short names: A, B, …, Z, AA, ….

    Parameters
    ----------
    device : DeviceReport
        The device's part of the report.

    Returns
    -------
    list of str
        One name a pick, in order.
    """
    letters = string.ascii_uppercase
    return [(letters[i // 26 - 1] if i >= 26 else "") + letters[i % 26] for i in range(len(device.picks))]


@dataclass(frozen=True)
class NamedPoint:
    """One architecture that one or several picks chose.

    Attributes
    ----------
    arch_id : str
        The architecture.
    letters : str
        Short names of the picks, joined by commas.
    labels : tuple of str
        Labels of the picks.
    latency_ms : float
        Its latency, ms.
    accuracy : float
        Its accuracy, percent.
    """

    arch_id: str
    letters: str
    labels: tuple[str, ...]
    latency_ms: float
    accuracy: float


def named_points(device: DeviceReport) -> list[NamedPoint]:
    """Collect the picked architectures, each once, with all their names.

    Parameters
    ----------
    device : DeviceReport
        The device's part of the report.

    Returns
    -------
    list of NamedPoint
        The architectures; those without numbers are left out.
    """
    grouped: dict[str, list[tuple[str, JsonObject]]] = {}
    for letter, pick in zip(pick_letters(device), device.picks, strict=True):
        grouped.setdefault(str(pick.get("arch_id")), []).append((letter, pick))
    points = []
    for arch_id, entries in grouped.items():
        first = entries[0][1]
        if finite(first.get("latency_ms")) and finite(first.get("accuracy")):
            names = tuple(pretty_label(str(p.get("label", ""))) for _, p in entries)
            letters = ", ".join(letter for letter, _ in entries)
            points.append(NamedPoint(arch_id, letters, names, float(first["latency_ms"]), float(first["accuracy"])))
    return points


def pretty_label(text: str) -> str:
    """Write a pick's label for readers: ``latency_ms <= 0.5`` becomes ``latency ≤ 0.5 ms``.

    Parameters
    ----------
    text : str
        The label.

    Returns
    -------
    str
        The label with signs and units; other labels as they are.
    """
    units = {"ms": "ms", "mib": "MiB", "mj": "mJ"}

    def pretty(match: re.Match[str]) -> str:
        return f"{match[1].replace('_', ' ')} {match[3]} {match[4]} {units[match[2]]}"

    text = re.sub(r"\b(\w+?)_(ms|mib|mj)\s*(<=|>=)\s*([\d.eE+-]+)", pretty, text.strip())
    return text.replace("<=", "≤").replace(">=", "≥")


def knee(device: DeviceReport) -> JsonObject | None:
    """Find the pick whose label says knee.

    Parameters
    ----------
    device : DeviceReport
        The device's part of the report.

    Returns
    -------
    dict or None
        The pick.
    """
    return next((p for p in device.picks if "knee" in str(p.get("label", "")).lower()), None)


def headline(device: DeviceReport, report: ReportData) -> str:
    """Write what follows "On DEVICE, ".

    Parameters
    ----------
    device : DeviceReport
        The device's part of the report.
    report : ReportData
        The report.

    Returns
    -------
    str
        How many points are on the front, and what the knee costs and gives against the largest subnet.
    """
    n = len(device.front)
    if n == 0:
        return "no subnet was validated yet."
    count = f"{n} measured subnets are Pareto-optimal" if n > 1 else "one measured subnet is Pareto-optimal"
    tail = _against_largest(device, report)
    return f"{count}; {tail}." if tail else f"{count}."


def _against_largest(device: DeviceReport, report: ReportData) -> str:
    pick, top = knee(device), largest(device)
    if pick is None or top is None or not (finite(pick.get("accuracy")) and finite(pick.get("latency_ms"))):
        return ""
    card = report.supernet.get("macs_range") or (None, None)
    whole = finite(card[1]) and float(top["macs"]) >= 0.999 * float(card[1])
    name = "the largest" if whole else "the largest that was measured"
    if str(pick.get("arch_id")) == top["arch_id"]:
        return f"the knee is {name} itself"
    ratio = float(top["latency_ms"]) / float(pick["latency_ms"])
    ends = [_number(pick.get(f"latency_ratio_{end}", pick.get(f"latency_{end}"))) for end in ("low", "high")]
    low, high = float(top["latency_ratio_low"]) / ends[1], float(top["latency_ratio_high"]) / ends[0]
    span = f" ({low:.1f}–{high:.1f})" if math.isfinite(low) and math.isfinite(high) else ""
    faster = f"is {ratio:.1f}×{span} faster than {name}"
    if top["role"] != "validated":
        return f"the knee {faster}"  # the largest's accuracy is on validation images: no difference to tell
    loss = float(top["accuracy"]) - float(pick["accuracy"])
    error = Z95 * math.hypot(float(top["accuracy_se"]), _number(pick.get("accuracy_se")))
    verb = "loses" if loss >= 0 else "gains"
    spread = f" ± {error:.1f}" if math.isfinite(error) else ""
    return f"the knee {verb} {abs(loss):.1f}{spread} points of {report.metric} and {faster}"


def _number(value: object) -> float:
    return float(value) if finite(value) else math.nan


def kendall(x: ArrayLike, y: ArrayLike) -> float:
    """Compute Kendall's tau-b.

    Parameters
    ----------
    x, y : array_like of float, shape (n,)
        Two rankings by value.

    Returns
    -------
    float
        The correlation, -1 to 1; NaN when one of them does not vary.

    References
    ----------
    Kendall, "The treatment of ties in ranking problems", 1945, doi 10.1093/biomet/33.3.239.

    Examples
    --------
    >>> from hwsearch.reporting.facts import kendall
    >>> kendall([1, 2, 3], [10, 30, 20])
    0.3333333333333333
    """
    a, b = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    sa, sb = (np.sign(np.subtract.outer(v, v))[np.triu_indices(len(v), 1)] for v in (a, b))
    scale = math.sqrt(float((sa**2).sum()) * float((sb**2).sum()))
    return float((sa * sb).sum()) / scale if scale else math.nan
