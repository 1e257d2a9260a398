"""Pick the best measured subnet of a front under limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hwsearch._typing import FloatArray
from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.chance import accepted, asked_probability, bounds, chance
from hwsearch.campaigns.known import Known
from hwsearch.campaigns.measured import MeasuredSet, largest_values
from hwsearch.campaigns.purpose import VALIDATE
from hwsearch.campaigns.steps.bundle import export_model
from hwsearch.campaigns.steps.fronts import asked_view, final_set
from hwsearch.campaigns.steps.trade_offs import neighbours, trade_offs
from hwsearch.campaigns.view import View
from hwsearch.campaigns.views import joint_view
from hwsearch.objectives.front import Front, LimitLike
from hwsearch.objectives.limit import Limit, unreachable_error

#: one row of a front, by column
Row = dict[str, Any]


def pick(
    campaign: Campaign,
    limits: Sequence[str],
    device: str | None = None,
    *,
    probability: float | None = None,
    deployment: str | None = None,
    export: Path | None = None,
) -> dict[str, Any]:
    """Pick the best measured subnet of a front under limits, and export it if asked.

    Parameters
    ----------
    campaign : Campaign
        Whose candidates have been validated.
    limits : sequence of str
        Such as ``latency_ms<=0.5``.
    device : str, optional
        The device; the only one by default.
    probability : float, optional
        With which each limit must be met, by the measured intervals; None: what the configuration asks for the objective,
        or else that the measured value meets it.
    deployment : {"worst-case", "weighted"}, optional
        One subnet for all devices; without limits of its own those of the configuration hold.
    export : pathlib.Path, optional
        The ONNX file to write.

    Returns
    -------
    dict
        Id, genes, values, intervals, the probability with which each limit is met, and for one device ``neighbours``: what the
        next slower and the next faster member of the front differ by, see `trade_offs`.

    Raises
    ------
    LimitError
        When no subnet meets the limits; names the nearest value that can be reached.
    """
    view = asked_view(campaign, device, deployment)
    wanted = wanted_limits(view, limits)
    known = Known.read(campaign)
    row, met_with = choose(view, known, wanted, probability)
    arch = known.architectures[str(row["arch_id"])]
    result = {
        "device": view.name,
        "limits": wanted,
        "met_with": met_with,
        "arch_id": arch.id,
        "genes": arch.to_dict(),
        "score": campaign.loaded.task.score_name,
        "score_unit": campaign.loaded.task.score_unit,
        "confidence": campaign.final_protocol.confidence,
        **numbers_of(row),
    }
    result["devices"] = latencies_of(view, row, view.scales(known, VALIDATE) if view.joint else None)
    if not view.joint:
        front = Front.of(final_set(view, known).frame, view.front_objectives).to_frame()
        result["neighbours"] = neighbours(trade_offs(campaign, known, front), arch.id)
    if export is not None:
        result["export"] = export_model(campaign.with_network, arch, Path(export), known)
    return result


def choose(
    view: View, known: Known, limits: Sequence[LimitLike], probability: float | None = None
) -> tuple[Row, dict[str, float]]:
    """Choose the best final measurement under limits; see `pick`.

    Parameters
    ----------
    view : View
        The front.
    known : Known
        What the store holds.
    limits : sequence
        Texts, or pairs of column and limit.
    probability : float, optional
        With which each limit must be met.

    Returns
    -------
    tuple of dict and dict
        The row, and the probability that each limit is met.

    Raises
    ------
    LimitError
        When no subnet meets them.
    """
    left, parsed = within(view, known, limits, probability)
    row = dict(Front.of(left.frame, view.front_objectives).pick(parsed))
    one = left.where((left.frame["arch_id"] == row["arch_id"]).to_numpy())
    return row, chances(view, one, parsed)


def within(
    view: View, known: Known, limits: Sequence[LimitLike], probability: float | None = None
) -> tuple[MeasuredSet, list[tuple[str, Limit]]]:
    """Leave of the final measurements those that meet limits surely enough; see `pick`.

    Parameters
    ----------
    view : View
        The front.
    known : Known
        What the store holds.
    limits : sequence
        Texts, or pairs of column and limit.
    probability : float, optional
        With which each limit must be met.

    Returns
    -------
    tuple of MeasuredSet and list
        Those that are left, and the limits by column. Where no probability is asked, the limit itself has not been applied.

    Raises
    ------
    LimitError
        When none is left.
    """
    campaign = view.campaign
    measured, searched = final_set(view, known), view.measured(known)
    whole = Front(measured.frame, view.front_objectives)
    largest = largest_values(campaign, searched)
    parsed = [whole.resolve_limit(limit, largest) for limit in limits]
    met: list[str] = []
    left = np.ones(len(measured), dtype=bool)
    for column, limit in parsed:
        wanted = probability if probability is not None else asked_probability(campaign, view, column)
        if wanted is None:
            continue
        bounded = bounds(view, measured, column, limit, wanted)
        values = searched.frame.set_index("arch_id")[column]
        before = measured.frame["arch_id"].map(values).to_numpy(dtype=np.float64)
        kept = left & accepted(measured.values(column), bounded, before, limit)
        said = f"{column} {limit} with probability {wanted:g}"
        if not kept.any():
            raise unreachable_error(said, limit, bounded[left], met, f"{column} {limit.op}", "bound")
        left = kept
        met.append(said)
    return measured.where(left), parsed


def chances(view: View, one: MeasuredSet, parsed: Sequence[tuple[str, Limit]]) -> dict[str, float]:
    """Return the probability with which one measured subnet meets each limit.

    Parameters
    ----------
    view : View
        The front.
    one : MeasuredSet
        Of one subnet.
    parsed : sequence of (str, Limit)
        Limits by column.

    Returns
    -------
    dict of str to float
    """
    return {f"{c} {limit}": chance(view, one, c, limit) for c, limit in parsed}


def latencies_of(view: View, row: Mapping[str, Any], scales: FloatArray | None) -> dict[str, dict[str, float]]:
    """Return the latencies of one row on each device of its view.

    Parameters
    ----------
    view : View
        The front.
    row : mapping
        A row of its final measurements.
    scales : FloatArray, optional
        (devices,) ms that count as 1, in a joint view.

    Returns
    -------
    dict of str to dict
        By device ``latency_ms``, ``low`` and ``high``; in a joint view also the ``share`` it counts as.
    """
    found = {}
    for i, target in enumerate(view.targets):
        at = f"@{target.name}" if view.joint else ""
        found[target.name] = {
            "latency_ms": float(row[f"latency_ms{at}"]),
            "low": float(row[f"latency_ms_low{at}"]),
            "high": float(row[f"latency_ms_high{at}"]),
        }
        if scales is not None:
            found[target.name]["share"] = found[target.name]["latency_ms"] / float(scales[i])
    return found


def wanted_limits(view: View, limits: Sequence[str]) -> list[str]:
    """Return the limits asked for; of one subnet for all devices, those of the configuration where none are.

    Parameters
    ----------
    view : View
        The front.
    limits : sequence of str
        As asked.

    Returns
    -------
    list of str
    """
    if not view.joint or limits:
        return list(limits)
    worst = joint_view(view.campaign, "worst-case")
    return [f"{o.metric}{o.limit}" for o in worst.objectives if o.limit is not None]


def numbers_of(row: Row) -> Row:
    """Return what was measured of a row, as plain numbers; the columns of single devices are left out.

    Parameters
    ----------
    row : dict
        Of a front.

    Returns
    -------
    dict
    """
    keep = {}
    for key, value in row.items():
        if key == "arch_id" or "@" in key:
            continue
        keep[key] = value.item() if isinstance(value, np.generic) else value
    return keep
