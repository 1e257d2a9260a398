"""Validate: candidates for a front are measured afresh, in further rounds as long as it is open who is on it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.jobs.latency import measure_latencies
from hwsearch.campaigns.jobs.verified import measure_scores
from hwsearch.campaigns.known import Known
from hwsearch.campaigns.membership import membership
from hwsearch.campaigns.purpose import VALIDATE, Purpose
from hwsearch.campaigns.running import record_coverage
from hwsearch.campaigns.split import Split
from hwsearch.campaigns.states import CANDIDATES, MEMBERSHIP, spread_state
from hwsearch.campaigns.steps.candidates import candidates
from hwsearch.campaigns.steps.fronts import complete_final_set
from hwsearch.campaigns.steps.kept_rounds import KeptRounds
from hwsearch.campaigns.steps.race import race_accuracy, raced_latencies
from hwsearch.campaigns.steps.rounds import measure_further
from hwsearch.campaigns.views import device_view, joint_view, timed_targets, views
from hwsearch.errors import DeviceError
from hwsearch.spaces import Architecture


def validate(campaign: Campaign) -> pd.DataFrame:
    """Measure every candidate for a front afresh: latency on every device, the score on data the search never saw.

    Latencies are measured in rounds of one process, spread over the step; what has not converged after the fewest gets
    more. Then, in further rounds, what may or may not be on a front is measured again
    (`hwsearch.campaigns.steps.rounds.measure_further`).

    Parameters
    ----------
    campaign : Campaign
        Whose search has been made.

    Returns
    -------
    pandas.DataFrame
        A row a device and subnet: ``latency_ms`` with ``low`` and ``high``, from how many ``measurements``, and
        ``front_probability``, that it is on the device's front.

    Raises
    ------
    CampaignError
        If nothing has been measured in all objectives.
    LimitError
        If nothing measured meets the limits.
    DeviceError
        If a device is lost.
    """
    known = Known.read(campaign, final=False)  # the same candidates when it is run again
    wanted: dict[Architecture, None] = {}
    for view in views(campaign):
        wanted |= dict.fromkeys(candidates(view, known).archs)
    archs = list(wanted)
    _keep(campaign, CANDIDATES, {"archs": [a.to_dict() for a in archs]})
    _measure_spread(campaign, archs)
    measure_further(campaign, archs)
    known = Known.read(campaign)
    record_coverage(campaign)
    memberships = _keep_memberships(campaign, known)
    frames = []
    for name in campaign.targets:
        found, sure = known.latency(name, VALIDATE), memberships.get(name, {})
        rows = [
            {
                "device": name,
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


def _measure_spread(campaign: Campaign, archs: Sequence[Architecture]) -> None:
    """Time the candidates in rounds of one process a device, and evaluate a share of them after each.

    Each round meets the host at another time, and no round waits for that: evaluations lie between. Where candidates race,
    the race needs all latencies of the first rounds, which lie between those of the other devices.
    """
    config = campaign.config.validate_
    fewest, most = config.processes
    for r in range(1, fewest + 1):
        _time_round(campaign, r, dict.fromkeys(campaign.targets, archs), fewest)
        if config.race_error is None:
            measure_scores(
                campaign,
                archs[: math.ceil(r * len(archs) / fewest)],
                split=Split.TEST,
                purpose=VALIDATE,
                stage="validate accuracy",
            )
    if config.race_error is not None:
        race_accuracy(campaign, archs, raced_latencies(campaign, fewest))
    _time_what_is_loose(campaign, archs, fewest, most)


def _time_what_is_loose(campaign: Campaign, archs: Sequence[Architecture], fewest: int, most: int) -> None:
    """Time what has not converged in further rounds.

    What a round times is kept before it does: later measurements change what is known of all, and the same command run again
    would find other subnets loose.
    """
    by_id = {a.id: a for a in archs}
    place = spread_state(
        list(campaign.targets.values()),
        list(by_id),
        weights=campaign.loaded.digest,
        protocol=campaign.final_protocol.key,
        fewest=fewest,
    )
    kept = KeptRounds(campaign.store, place)
    for k, r in enumerate(range(fewest + 1, most + 1)):
        plan: dict[str, list[str]] = kept.begin(k, lambda: _loose(campaign, archs)) or {}
        if not any(plan.values()):
            break
        _time_round(campaign, r, {name: [by_id[i] for i in ids] for name, ids in plan.items()}, most)


def _loose(campaign: Campaign, archs: Sequence[Architecture]) -> dict[str, list[str]]:
    """Return what is not as precise as asked, by device."""
    known = Known.read(campaign)
    loose = {}
    for name in campaign.targets:
        found = known.latency(name, VALIDATE)
        loose[name] = [a.id for a in archs if a.id in found and not found[a.id].details["converged"]]
    return loose


def _time_round(campaign: Campaign, number: int, wanted: Mapping[str, Sequence[Architecture]], of: int) -> None:
    """Time each device's subnets once more; a device that is lost does not keep the others from it."""
    lost: DeviceError | None = None
    for name, archs in wanted.items():
        if archs:
            try:
                measure_latencies(
                    campaign,
                    [campaign.targets[name]],
                    archs,
                    purpose=Purpose.final(number),
                    stage=f"validate {number}/{of}",
                )
            except DeviceError as error:
                lost = lost or error
    if lost is not None:
        raise lost


def _keep_memberships(campaign: Campaign, known: Known) -> dict[str, dict[str, list[float]]]:
    """Keep, of every front that can be asked for, who is on it how surely: of each device, and of all together."""
    fronts = [device_view(campaign, t) for t in campaign.targets.values()]
    if len(timed_targets(campaign)) > 1:
        fronts += [joint_view(campaign, "worst-case"), joint_view(campaign, "weighted")]
    found: dict[str, dict[str, list[float]]] = {}
    for view in fronts:
        measured = complete_final_set(view, known)
        if measured is not None:
            found[view.key] = membership(campaign, view, measured, known).to_dict()
    _keep(campaign, MEMBERSHIP, {"views": found, "confidence": campaign.config.validate_.membership})
    return found


def _keep(campaign: Campaign, name: str, document: dict[str, Any]) -> None:
    if campaign.store.get_state(name) != document:
        campaign.store.put_state(name, document)
