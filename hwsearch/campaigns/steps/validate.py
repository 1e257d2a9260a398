"""The end of a campaign: candidates for a front measured afresh, in further rounds as long as it is open who is on it."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.frames import archs_of
from hwsearch.campaigns.intervals import repeated
from hwsearch.campaigns.jobs.accuracy import measure_accuracy
from hwsearch.campaigns.jobs.latency import measure_latencies
from hwsearch.campaigns.known import find_latency
from hwsearch.campaigns.membership import membership
from hwsearch.campaigns.steps.fronts import MEMBERSHIP, final_frame
from hwsearch.campaigns.steps.race import race_accuracy
from hwsearch.campaigns.view import View, device_view, joint_view, timed, views
from hwsearch.errors import CampaignError, LimitError
from hwsearch.objectives.names import DEVICE_METRICS
from hwsearch.objectives.pareto import non_dominated
from hwsearch.spaces import Architecture


def candidates(campaign: Campaign, view: View) -> list[Architecture]:
    """What may belong to a front: everything not clearly dominated in the search's measurements.

    A subnet is clearly dominated when another is better by more than the noise of both: half a point of accuracy and
    the half width of the protocol in what is measured on the device.
    """
    frame = view.frame()
    objectives = view.objectives
    names = [o.name for o in objectives]
    full = frame[frame[names].notna().all(axis=1)].reset_index(drop=True)
    if full.empty:
        raise CampaignError(
            f"no subnet has been measured on {view.name!r} in all objectives.", hint="Run 'hwsearch search' first."
        )
    for o in view.resolved(frame):
        if o.limit is not None:
            wide = type(o.limit)(o.limit.op, o.limit.value * (1.05 if o.limit.op == "<=" else 0.98))
            full = full[wide.met(full[o.name].to_numpy())].reset_index(drop=True)
    if full.empty:
        raise LimitError(
            f"no measured subnet meets the limits on {view.name!r}.", hint="Loosen the limit, or search longer."
        )
    full.attrs = frame.attrs
    objectives = tuple(view.front_objectives)
    values = full[[o.name for o in objectives]].to_numpy(dtype=np.float64)
    archs = archs_of(full)
    strict = non_dominated(values, objectives)
    bonus = np.zeros_like(values)
    for j, o in enumerate(objectives):
        if o.metric == "accuracy":
            bonus[:, j] = 0.5
        elif o.metric in DEVICE_METRICS or (view.joint and o.name.startswith("latency_share")):
            bonus[:, j] = values[:, j] * campaign.protocol.half_width
    keep = [int(i) for i in np.flatnonzero(strict)]
    cost = values * np.array([o.sign for o in objectives])
    front, span = cost[strict], np.maximum(np.ptp(cost, axis=0), 1e-12)
    slack: list[tuple[int, float]] = []
    for i in np.flatnonzero(~strict):
        dominated = bool((front <= cost[i] - bonus[i]).all(axis=1).any())
        if not dominated:
            slack.append((int(i), float(((cost[i] - front) / span).min(axis=1).max())))
    for near, _ in sorted(slack, key=lambda s: s[1]):
        if len(keep) < campaign.config.validate_.candidates:
            keep.append(near)
    keep = keep[: max(campaign.config.validate_.candidates, int(strict.sum()))]
    return [archs[i] for i in keep]


def validate(campaign: Campaign) -> pd.DataFrame:
    """Measure every candidate for a front afresh: latency on every device, the score on data the search never saw.

    Then, in further rounds, what may or may not be on a front is measured again (`settle`). Returns a row a device and
    subnet: its latency, from how many measurements, and the probability that it is on the device's front.
    """
    wanted: dict[Architecture, None] = {}
    for view in views(campaign):
        wanted |= dict.fromkeys(candidates(campaign, view))
    archs = list(wanted)
    _keep(campaign, "validate", {"archs": [a.to_dict() for a in archs]})
    latencies = measure_latencies(campaign, campaign.targets.values(), archs, purpose="validate", stage="validate")
    if campaign.config.validate_.race_error is None:
        measure_accuracy(campaign, archs, split="test", purpose="validate", stage="validate accuracy")
    else:
        race_accuracy(campaign, archs, latencies)
    settle(campaign, archs)
    known = _keep_memberships(campaign)
    frames = []
    for target in campaign.targets.values():
        found = find_latency(campaign, target, "validate")
        sure = known.get(target.name, {})
        rows = [
            {
                "device": target.name,
                "arch_id": a.id,
                "latency_ms": m.value,
                "low": m.low,
                "high": m.high,
                "measurements": m.details.get("rounds", 1),
                "front_probability": sure[a.id][0] if a.id in sure else np.nan,
            }
            for a, m in ((a, found[a.id]) for a in archs if a.id in found)
        ]
        frames.append(pd.DataFrame(rows))
    return pd.concat(frames, ignore_index=True)


def settle(campaign: Campaign, archs: Sequence[Architecture]) -> None:
    """Further rounds of final measurements, until it is known of each candidate whether it is on its front.

    A round measures once more, on the devices of a front, each subnet whose membership is not settled with the probability
    ``[validate] membership``, and those that it hangs on; all measurements of a subnet are pooled. At most ``rounds`` are
    made, and none begins after ``rounds_s``. What a round measures is kept before it is, so that one that was stopped is
    taken up where it was. A score is not repeated: on the same data it would be the same.
    """
    config, store = campaign.config.validate_, campaign.store
    place = f"settle:{_key(campaign, archs)}"
    state: dict[str, Any] = store.get_state(place) or {"rounds": []}
    targets = {t.name: t for t in campaign.targets.values()}
    for r in range(config.rounds):
        if r >= len(state["rounds"]):
            spent = sum(float(one.get("seconds", 0.0)) for one in state["rounds"])
            plan = _plan(campaign) if spent <= config.rounds_s else {}
            if not any(plan.values()):
                break
            state["rounds"].append({"plan": plan})
            store.put_state(place, state)
        one, started = state["rounds"][r], time.monotonic()
        by_id = {a.id: a for a in store.architectures(campaign.space)}
        for device, purposes in one["plan"].items():
            for purpose, ids in purposes.items():
                measure_latencies(
                    campaign, [targets[device]], [by_id[i] for i in ids], purpose=purpose, stage=f"settle {r + 1}"
                )
        if "seconds" not in one:
            one["seconds"] = time.monotonic() - started
            store.put_state(place, state)


def _key(campaign: Campaign, archs: Sequence[Architecture]) -> str:
    """What the further rounds depend on."""
    key = [
        campaign.loaded.digest,
        campaign.example_subject("test"),
        campaign.final_protocol.key,
        [(t.name, t.fingerprint) for t in campaign.targets.values()],
        sorted(a.id for a in archs),
        campaign.config.validate_.membership,
        campaign.config.search.serve,
    ]
    return hashlib.sha256(json.dumps(key).encode()).hexdigest()[:12]


def _plan(campaign: Campaign) -> dict[str, dict[str, list[str]]]:
    """What is to be measured once more: by device and purpose, ids."""
    confidence = campaign.config.validate_.membership
    wanted: dict[str, dict[str, None]] = {}
    for view in views(campaign):
        frame = _complete(campaign, view)
        if frame is None:
            continue
        sure = membership(campaign, view, frame)
        for target in view.targets:
            wanted.setdefault(target.name, {}).update(dict.fromkeys(sure.to_measure(confidence)))
    plan: dict[str, dict[str, list[str]]] = {}
    for name, ids in wanted.items():
        known = find_latency(campaign, campaign.target(name), "validate")
        for i in ids:
            times = int(known[i].details.get("rounds", 1)) if i in known else 0
            plan.setdefault(name, {}).setdefault(repeated(times + 1), []).append(i)
    return plan


def _complete(campaign: Campaign, view: View) -> pd.DataFrame | None:
    """The final measurements of a view; None while there is none that is complete."""
    try:
        return final_frame(campaign, view)
    except CampaignError:
        return None


def _keep_memberships(campaign: Campaign) -> dict[str, dict[str, list[float]]]:
    """Keep, of every front that can be asked for, who is on it how surely: of each device, and of all together."""
    fronts = [device_view(campaign, t) for t in campaign.targets.values()]
    if len(timed(campaign)) > 1:
        fronts += [joint_view(campaign, form) for form in ("worst", "weighted")]
    found: dict[str, dict[str, list[float]]] = {}
    for view in fronts:
        frame = _complete(campaign, view)
        if frame is not None:
            found[view.key] = membership(campaign, view, frame).to_dict()
    _keep(campaign, MEMBERSHIP, {"views": found, "confidence": campaign.config.validate_.membership})
    return found


def _keep(campaign: Campaign, name: str, document: dict[str, Any]) -> None:
    if campaign.store.get_state(name) != document:
        campaign.store.put_state(name, document)
