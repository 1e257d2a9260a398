"""What a campaign hands over: the front of each device, picks under limits, ONNX files with cards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.chance import asked_probability, bounds, chance, surely_met
from hwsearch.campaigns.frames import WEIGHTED, WORST, largest_values
from hwsearch.campaigns.steps.bundle import export_model
from hwsearch.campaigns.steps.fronts import _view, final_frame, find_arch
from hwsearch.campaigns.view import View, joint_view
from hwsearch.errors import LimitError
from hwsearch.objectives.front import Front, LimitLike, unreachable
from hwsearch.spaces import Architecture


@dataclass(frozen=True)
class Pick:
    """One subnet worth shipping: why, and its row of the front."""

    label: str
    arch: Architecture
    row: dict[str, Any]


# ---------------------------------------------------------------------- picks
def pick(
    campaign: Campaign,
    limits: Sequence[str],
    device: str | None = None,
    *,
    probability: float | None = None,
    serve: str | None = None,
    export: Path | None = None,
) -> dict[str, Any]:
    """The best measured subnet of a front under limits such as ``latency_ms<=0.5``; exported, if asked.

    probability : with which each limit must be met, by the measured intervals; None: what the configuration asks for the
        objective, or else that the measured value meets it
    serve : ``worst`` or ``weighted``: one subnet for all devices; without limits of its own those of the configuration hold

    Raises `LimitError` with the nearest reachable value when no subnet meets them.
    """
    view = _view(campaign, device, serve)
    wanted = list(limits)
    if view.joint and not wanted:
        wanted = [f"{o.metric}{o.limit}" for o in joint_view(campaign, "worst").objectives if o.limit is not None]
    row, chances = choose(campaign, view, wanted, probability)
    arch = find_arch(campaign, str(row["arch_id"]))
    result = {
        "device": view.name,
        "limits": wanted,
        "met_with": chances,
        "arch_id": arch.id,
        "genes": arch.to_dict(),
        "score": campaign.loaded.task.score_name,
        "score_unit": campaign.loaded.task.score_unit,
        "confidence": campaign.final_protocol.confidence,
        **_numbers(row),
    }
    result["devices"] = latencies_of(view, row)
    if export is not None:
        result["export"] = export_model(campaign, arch, Path(export))
    return result


def choose(
    campaign: Campaign, view: View, limits: Sequence[LimitLike], probability: float | None = None
) -> tuple[dict[str, Any], dict[str, float]]:
    """(row of the best final measurement under limits, probability that each limit is met, by column); see `pick`."""
    frame = final_frame(campaign, view)
    searched = view.frame()
    whole = Front(frame, view.front_objectives)
    largest = largest_values(campaign, searched)
    parsed = [whole.limit(limit, largest) for limit in limits]
    met: list[str] = []
    left = np.ones(len(frame), dtype=bool)
    for column, limit in parsed:
        wanted = probability if probability is not None else asked_probability(campaign, view, column)
        if wanted is None:
            continue
        bounded = bounds(view, frame, column, limit, wanted)
        value = frame[column].to_numpy(dtype=np.float64)
        before = frame["arch_id"].map(searched.set_index("arch_id")[column]).to_numpy(dtype=np.float64)
        kept = left & surely_met(bounded, limit, before + (bounded - value))
        said = f"{column} {limit} with probability {wanted:g}"
        if not kept.any():
            raise unreachable(said, limit, bounded[left], met, f"{column} {limit.op}", "bound")
        left = kept
        met.append(said)
    found = Front.of(frame[left].reset_index(drop=True), view.front_objectives)
    row = dict(found.pick(parsed))
    one = frame[frame["arch_id"] == row["arch_id"]]
    return row, {f"{c} {limit}": chance(view, one, c, limit) for c, limit in parsed}


def latencies_of(view: View, row: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """A row's latency on each device of its view, with its interval; in a joint one also as the share it counts as."""
    found = {}
    for i, target in enumerate(view.targets):
        at = f"@{target.name}" if view.joint else ""
        found[target.name] = {
            "latency_ms": float(row[f"latency_ms{at}"]),
            "low": float(row[f"latency_ms_low{at}"]),
            "high": float(row[f"latency_ms_high{at}"]),
        }
        if view.joint:
            found[target.name]["share"] = found[target.name]["latency_ms"] / float(view.scales()[i])
    return found


def picks(campaign: Campaign, view: View) -> list[Pick]:
    """The subnets worth showing: under each configured limit, near the reference and the largest, the knee, the fastest
    good one.
    """
    found = Front.of(final_frame(campaign, view), view.front_objectives)
    frame = found.to_frame()
    chosen: list[Pick] = []

    def add(label: str, row: dict[str, Any]) -> None:
        arch = find_arch(campaign, str(row["arch_id"]))
        for i, p in enumerate(chosen):
            if p.arch == arch:
                chosen[i] = Pick(f"{p.label}; {label}", arch, p.row)
                return
        chosen.append(Pick(label, arch, row))

    for o in view.objectives:
        if o.limit is not None:
            label = "within every device's limit" if o.name == WORST else f"{o.metric} {o.limit}"
            if o.probability is not None:
                label += f" with probability {o.probability:g}"
            try:
                add(label, choose(campaign, view, [(o.name, o.limit)])[0])
            except LimitError as error:
                campaign.progress.warn(str(error))
    search = campaign.config.search
    if search.prefer == "reference" and view.reference:
        add("nearest to the reference", dict(found.nearest_to(view.reference)))
    cost = next((o.name for o in found.objectives if o.name in (WORST, WEIGHTED)), "latency_ms")
    if "accuracy" in frame and cost in frame:
        best = frame["accuracy"].max()
        task = campaign.loaded.task
        near = frame[frame["accuracy"] >= best - task.small_difference].sort_values(cost)
        add("most accurate", dict(frame.sort_values("accuracy").iloc[-1]))
        add(f"fastest within {task.small_difference:g} {task.difference_unit} of the most accurate", dict(near.iloc[0]))
    add("knee", dict(found.knee()))
    return chosen


def _numbers(row: dict[str, Any]) -> dict[str, Any]:
    keep = {}
    for key, value in row.items():
        if key == "arch_id" or "@" in key:
            continue
        keep[key] = value.item() if isinstance(value, np.generic) else value
    return keep
