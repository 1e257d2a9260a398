"""Report of one device."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.host_speed import host_speed
from hwsearch.campaigns.intervals import ratio_ends
from hwsearch.campaigns.known import Known
from hwsearch.campaigns.measured import MeasuredSet
from hwsearch.campaigns.profile_set import ProfileSet
from hwsearch.campaigns.purpose import VALIDATE
from hwsearch.campaigns.steps.report_curve import hypervolume_curve
from hwsearch.campaigns.steps.report_points import drawn_points, pick_entry, searched_points, validated_points
from hwsearch.campaigns.steps.trade_offs import trade_offs
from hwsearch.campaigns.steps.worth import search_worth
from hwsearch.campaigns.target import Target
from hwsearch.devices import versions
from hwsearch.devices.timing.level import percent
from hwsearch.objectives.front import Front
from hwsearch.objectives.objective import Objective
from hwsearch.objectives.pareto import hypervolume, reference_point
from hwsearch.reporting import DeviceReport


def device_report(
    campaign: Campaign,
    known: Known,
    target: Target,
    fresh: MeasuredSet,
    profiled: ProfileSet,
    cards: list[dict[str, Any]],
) -> DeviceReport:
    """Collect what a report tells of one device.

    Parameters
    ----------
    campaign : Campaign
        Whose report.
    known : Known
        What the store holds.
    target : Target
        The device.
    fresh : MeasuredSet
        Its final measurements.
    profiled : ProfileSet
        What was measured before the search.
    cards : list of dict
        Of the device's exported picks.

    Returns
    -------
    DeviceReport
        Without ``cross``, which compares devices.
    """
    points = searched_points(campaign, known, target, profiled)
    front = Front.of(fresh.frame, campaign.objectives(target.name)).to_frame()
    on_front = set(front["arch_id"])
    validated = validated_points(campaign, known, target, fresh, on_front, profiled)
    random = points[points["role"] == "random"]
    drawn = drawn_points(campaign, known, target, points)
    latency = list(known.latency(target.name, VALIDATE).values())
    widths = [100 * (m.spread or 0) / m.value for m in latency if m.value]
    ratios = [50 * math.log(high / low) for low, high in map(ratio_ends, latency) if low and high]
    level = host_speed(known, target.name, campaign.final_protocol.confidence)
    return DeviceReport(
        name=target.name,
        description={
            "runtime": target.device.runtime,
            "provider": target.device.provider,
            "provider_verified": _verified(target),
            "threads": target.device.threads,
            "batch": target.device.batch,
            "precision": target.device.precision,
            "cpu": target.facts.get("hardware") or target.facts.get("gpu") or target.facts.get("host", {}).get("cpu"),
            "versions": versions("onnxruntime"),
            "fingerprint": target.fingerprint,
        },
        protocol={**campaign.final_protocol.describe(), "reference": campaign.reference.id},
        noise={
            "half_interval_percent": round(float(np.median(widths)), 2) if widths else None,
            "half_ratio_interval_percent": round(float(np.median(ratios)), 2) if ratios else None,
            "host": level.verdict if level is not None else None,
            "host_spread_percent": percent(level.spread) if level is not None else None,
            "another_campaign_percent": [percent(x) for x in level.ends] if level is not None else None,
            "host_speeds": [s._asdict() for s in level.speeds] if level is not None else None,
            "undisturbed_percent": percent(level.undisturbed_ms / level.typical_ms) if level is not None else None,
            "not_converged": sum(not m.details["converged"] for m in latency),
            "measured_again": len(latency),
        },
        points=pd.concat([drawn, validated], ignore_index=True),
        measured_subnets={
            c: len({*points.loc[points[c].notna(), "arch_id"], *validated.loc[validated[c].notna(), "arch_id"]})
            for c in ("accuracy", "latency_ms")
        },
        front=validated[validated["on_front"]],
        picks=[pick_entry(c, validated) for c in cards],
        hypervolume=hypervolume_curve(points),
        random_points=random[["accuracy", "latency_ms"]].dropna(),
        trade_offs=trade_offs(campaign, known, front),
        worth=search_worth(points),
    )


def kept_elsewhere(here: MeasuredSet, fronts: dict[str, set[str]]) -> dict[str, float]:
    """Return the share of a device's hypervolume that is kept when the front of another device runs on it.

    Parameters
    ----------
    here : MeasuredSet
        Final measurements of the device.
    fronts : dict of str to set
        Ids of the subnets on the fronts of the other devices, by name.

    Returns
    -------
    dict of str to float
        By name of the other device, 0 to 1.
    """
    two = [Objective("accuracy"), Objective("latency_ms")]
    values = here.frame[["accuracy", "latency_ms"]].to_numpy(dtype=np.float64)
    reference = reference_point(values, two)
    own = hypervolume(values, two, reference)
    if own <= 0:
        return {}
    places = {name: np.array([i in theirs for i in here.ids], dtype=bool) for name, theirs in fronts.items()}
    return {name: hypervolume(values[mask], two, reference) / own for name, mask in places.items()}


def _verified(target: Target) -> str:
    """Return what is known of where the models ran."""
    if target.facts.get("simulated"):
        return f"simulated from table {target.facts['table']}: nothing ran"
    if target.facts.get("allow_cpu_nodes"):
        return "some nodes may run on the CPU, as the configuration allows"
    return "as the program says" if target.device.runtime == "command" else "every node of the graph ran on it"
