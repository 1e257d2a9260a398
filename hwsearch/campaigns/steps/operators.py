"""Measure operator tables: which kernels a search space can ask for, what each takes, and how their sum compares."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.jobs.turn import turn
from hwsearch.campaigns.jobs.workloads import workload
from hwsearch.campaigns.lookup import find_latency
from hwsearch.campaigns.purpose import PROFILE, SEARCH
from hwsearch.campaigns.states import operators_state
from hwsearch.campaigns.target import Target
from hwsearch.devices.operators import Signature
from hwsearch.devices.profiler import Profiled, count_signatures
from hwsearch.devices.timing.covering import COVERING, DRAWN, choose, covering_set, uncovered
from hwsearch.devices.timing.operator_profile import PROTOCOL, ROUNDS, RUNS, profile_operators
from hwsearch.devices.timing.operator_sums import agreement, sums
from hwsearch.errors import DeviceError, MeasurementError
from hwsearch.objectives.computed import computed_metric
from hwsearch.reporting.figures.operators import operators_figure
from hwsearch.reporting.style import save
from hwsearch.spaces import Architecture
from hwsearch.store import Measurement


def operators(campaign: Campaign, device: str | None = None) -> dict[str, Any]:
    """Complete the operator table of a device for a campaign's space, and compare it with the measured latencies.

    Which signatures the space can ask for is found by running a covering set of architectures once each, and checked on
    others drawn at random. Those that the store does not have for this device are measured, and kept there for every
    campaign on it.

    Parameters
    ----------
    campaign : Campaign
        Whose space.
    device : str, optional
        The device; the only one by default.

    Returns
    -------
    dict
        ``coverage``, numbers of signatures and what is not covered (see `Uncovered`); ``agreement`` of the sum of operators
        with measured latencies; frames ``operators`` (a row a signature, costliest over the space first), ``wholes`` (a row
        a measured architecture with its latency, its sum of operators and the corrected sum, in ms) and ``kinds``
        (milliseconds of each kind of operator in the architectures of ``wholes``); ``plots``, paths of the figure.

    Raises
    ------
    DeviceError
        For a device that is not ONNX Runtime or torch on this host, and for one that compiles networks.
    """
    target = campaign.target(device)
    runtime = target.runtime
    if not isinstance(runtime, Profiled):
        where = "on another host" if target.remote else f"of runtime {target.device.runtime!r}"
        raise DeviceError(
            f"device {target.name!r} is {where}: operator profiles are read from ONNX Runtime and torch on this host.",
            hint="Name a device with runtime = 'onnxruntime', 'torch-cpu' or 'cuda' by --device, or run this command on the other host.",
        )
    campaign.store.add_device(target.fingerprint, target.name, target.facts)
    latency = find_latency(campaign, target, SEARCH)
    whole = [a for a in campaign.store.architectures(campaign.space) if a.id in latency]
    rng = campaign.rng("operators")
    covers = covering_set(campaign.space, rng, limit=COVERING)
    drawn = campaign.space.sample(DRAWN, rng, exclude=covers)
    counts = _counts(campaign, target, runtime, [*covers, *drawn, *whole])
    inside = {s for a in covers for s in counts.get(a.id, ())}
    asked = inside.union(*counts.values())
    known = _known(campaign, target)
    missing = asked - known.keys()
    if missing:
        _complete(campaign, target, runtime, counts, missing)
    table = _known(campaign, target)
    coverage = {
        "signatures": len(asked),
        "known_before": len(asked) - len(missing),
        "measured_now": len(missing & table.keys()),
        "missing": sorted(asked - table.keys()),
        "covering_set": len(covers),
        **asdict(uncovered(inside, [counts[a.id] for a in drawn if a.id in counts])),
    }
    found = [a for a in whole if a.id in counts]
    wholes, kinds, said = _wholes(campaign, found, latency, counts, table)
    frame = _frame(table, asked, [counts[a.id] for a in drawn if a.id in counts])
    figure = operators_figure(wholes, kinds, said, target.name)
    return {
        "device": target.name,
        "fingerprint": target.fingerprint,
        "coverage": coverage,
        "agreement": said,
        "operators": frame,
        "wholes": wholes,
        "kinds": kinds,
        "plots": [str(p) for p in save(figure, campaign.folder / "plots", f"operators-{target.name}")],
    }


def _common(target: Target) -> dict[str, Any]:
    return {"subject": target.fingerprint, "protocol": PROTOCOL, "purpose": str(PROFILE)}


def _known(campaign: Campaign, target: Target) -> dict[str, Measurement]:
    rows = campaign.store.find(metric="operator_ms", **_common(target))
    return {m.arch_id: m for m in rows if m.value is not None}


def _counts(
    campaign: Campaign, target: Target, runtime: Profiled, archs: Iterable[Architecture]
) -> dict[str, dict[str, int]]:
    """Return signatures of each architecture by id, from the store or one run; those that cannot be run are left out."""
    every = list(dict.fromkeys(archs))
    common = {"metric": "kernels", **_common(target), "supernet": campaign.loaded.digest}
    found = {m.arch_id: dict(m.details["signatures"]) for m in campaign.store.find(**common)}
    todo = [a for a in every if a.id not in found]
    campaign.enter(todo)
    with campaign.progress.task(f"operators of {target.name}", len(every), "subnets") as task:
        for done, arch in enumerate(todo):
            try:
                counted = count_signatures(runtime, workload(campaign, target, arch))
            except (DeviceError, MeasurementError) as error:
                campaign.progress.warn(f"subnet {arch.id} on {target.name}: {error}")
                continue
            by_id = {s.id: times for s, times in counted.items()}
            row = Measurement(
                arch.id, value=float(sum(by_id.values())), unit="kernels", details={"signatures": by_id}, **common
            )
            campaign.store.add([row])
            found[arch.id] = by_id
            task.update(len(every) - len(todo) + done + 1)
        task.note(f"{len({s for c in found.values() for s in c})} signatures")
    return {a.id: found[a.id] for a in every if a.id in found}


def _complete(
    campaign: Campaign,
    target: Target,
    runtime: Profiled,
    counts: Mapping[str, Mapping[str, int]],
    missing: set[str],
) -> None:
    """Measure what is missing on few architectures, and keep it."""
    ids = choose(counts, missing)
    archs = {a.id: a for a in campaign.store.architectures(campaign.space)}
    place = operators_state(target.fingerprint, campaign.loaded.digest)
    scale = (campaign.store.get_state(place, 1) or {}).get("reference_ms")
    with campaign.progress.task(f"profile operators {target.name}", len(ids), "subnets") as task:
        with turn(campaign, target):
            session = profile_operators(
                runtime,
                [partial(workload, campaign, target, archs[i]) for i in ids],
                partial(workload, campaign, target, campaign.reference),
                campaign.rng("operator rounds"),
                reference_ms=scale,
                rounds=ROUNDS,
                runs=RUNS,
                tick=lambda share: task.update(share * len(ids)),
            )
        if scale is None:
            campaign.store.put_state(place, {"reference_ms": session.reference_ms})
        facts = {"profiler_ms": session.profiler_ms, "reference_ms": session.reference_ms}
        campaign.store.add(
            Measurement(
                k,
                "operator_ms",
                value=o.ms,
                unit="ms",
                repeats=o.visits * RUNS,
                details={
                    "signature": asdict(o.signature),
                    "visits": o.visits,
                    "quartiles_ms": [o.low, o.high],
                    **facts,
                },
                **_common(target),
            )
            for k, o in session.operators.items()
            if k in missing
        )
        task.note(f"{len(missing & session.operators.keys())} signatures measured")


def _wholes(
    campaign: Campaign,
    archs: Sequence[Architecture],
    latency: Mapping[str, Measurement],
    counts: Mapping[str, Mapping[str, int]],
    table: Mapping[str, Measurement],
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    ms = {k: float(m.value or 0.0) for k, m in table.items()}
    kind = {k: Signature.from_dict(m.details["signature"]).kind for k, m in table.items()}
    frame = pd.DataFrame({"arch_id": [a.id for a in archs]})
    frame["latency_ms"] = [float(latency[a.id].value or math.nan) for a in archs]
    frame["operator_sum_ms"] = sums(ms, [counts[a.id] for a in archs])
    rows = campaign.space.to_array(archs)
    for name in ("macs", "params"):
        frame[name] = computed_metric(name).values(campaign.loaded.net, rows) if archs else []
    frame = frame[frame["operator_sum_ms"].notna()].reset_index(drop=True)
    x, whole = frame["operator_sum_ms"].to_numpy(float), frame["latency_ms"].to_numpy(float)
    said = agreement(x, whole, campaign.rng("operator correction"))
    frame["corrected_ms"] = said["offset_ms"] + said["slope"] * x if said["fitted"] else np.nan
    shares = []
    for arch_id in frame["arch_id"]:
        own: dict[str, float] = defaultdict(float)
        for s, times in counts[arch_id].items():
            own[kind[s]] += times * ms[s]
        shares.append({"arch_id": arch_id, **own})
    return frame, pd.DataFrame(shares).fillna(0.0), said


def _frame(table: Mapping[str, Measurement], asked: set[str], drawn: Sequence[Mapping[str, int]]) -> pd.DataFrame:
    """Return a row a signature of the space, the costliest for the drawn architectures first, with its share of time."""
    times: Counter[str] = Counter()
    for counts in drawn:
        times.update(counts)
    rows = []
    for k in asked & table.keys():
        m, signature = table[k], Signature.from_dict(table[k].details["signature"])
        low, high = m.details["quartiles_ms"]
        row = [k, signature.kind, signature.text, float(m.value or 0.0), low, high, m.details["visits"], times[k]]
        rows.append(row)
    names = ["signature", "kind", "operator", "operator_ms", "quartile_low_ms", "quartile_high_ms", "visits", "times"]
    frame = pd.DataFrame(rows, columns=names)
    cost = frame["operator_ms"] * frame.pop("times")
    frame["share_pct"] = 100 * cost / cost.sum() if cost.sum() else 0.0
    return frame.sort_values(["share_pct", "signature"], ascending=[False, True], ignore_index=True)
