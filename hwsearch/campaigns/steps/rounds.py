"""Further rounds of final measurements, until it is known of each candidate whether it is on its front."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from hwsearch._json import JsonObject
from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.front_change import DRAWS, expected_changes
from hwsearch.campaigns.jobs.latency import measure_latencies
from hwsearch.campaigns.known import Known
from hwsearch.campaigns.measured import MeasuredSet
from hwsearch.campaigns.membership import membership
from hwsearch.campaigns.noise import draws
from hwsearch.campaigns.purpose import Purpose
from hwsearch.campaigns.split import Split
from hwsearch.campaigns.states import rounds_state
from hwsearch.campaigns.steps.fronts import complete_final_set
from hwsearch.campaigns.steps.kept_rounds import KeptRounds
from hwsearch.campaigns.view import View
from hwsearch.campaigns.views import views
from hwsearch.spaces import Architecture
from hwsearch.store.measurement_table import Filters

#: what a round measures: by device and text of the purpose, ids
Plan = dict[str, dict[str, list[str]]]


def measure_further(campaign: Campaign, archs: Sequence[Architecture]) -> None:
    """Measure once more what may or may not be on a front, in rounds.

    A round measures, on the devices of a front, each subnet whose membership is not settled with the probability
    ``[validate] membership``, and those that it depends on; with ``per_round`` at most so many, by the expected change of the
    front (`hwsearch.campaigns.front_change`). All measurements of a subnet are pooled. At most ``rounds`` are
    made, and none begins after ``rounds_s``. What a round measures is kept before it is, so that one that was stopped is
    taken up where it was. A score is not repeated: on the same data it would be the same.

    Parameters
    ----------
    campaign : Campaign
        Whose candidates have been measured once.
    archs : sequence of Architecture
        The candidates.

    Raises
    ------
    DeviceError
        If a device is lost.
    """
    config, store = campaign.config.validate_, campaign.store
    place = rounds_state(
        campaign.config,
        list(campaign.targets.values()),
        [a.id for a in archs],
        weights=campaign.loaded.digest,
        subject=campaign.example_subject(Split.TEST),
        protocol=campaign.final_protocol.key,
    )
    kept = KeptRounds(store, place)

    def planned() -> JsonObject | None:
        spent = sum(float(one.get("seconds", 0.0)) for one in kept.rounds)
        plan = round_plan(campaign, Known.read(campaign)) if spent <= config.rounds_s else {}
        return {"plan": plan} if any(plan.values()) else None

    by_id = {a.id: a for a in archs}
    for r in range(config.rounds):
        one, started = kept.begin(r, planned), time.monotonic()
        if one is None:
            break
        wanted = {i for purposes in one["plan"].values() for ids in purposes.values() for i in ids}
        by_id |= {a.id: a for a in store.architectures(campaign.space, wanted - by_id.keys())}
        for device, purposes in one["plan"].items():
            for purpose, ids in purposes.items():
                measure_latencies(
                    campaign,
                    [campaign.targets[device]],
                    [by_id[i] for i in ids],
                    purpose=Purpose.parse(purpose),
                    stage=f"settle {r + 1}",
                )
        if "seconds" not in one:
            one["seconds"] = time.monotonic() - started
            kept.keep()


def _last_rounds(campaign: Campaign, device: str) -> dict[str, int]:
    """Return the number of each subnet's last final measurement on a device."""
    fingerprint, protocol = campaign.targets[device].fingerprint, campaign.final_protocol.key
    where: Filters = {"metric": "latency_ms", "subject": fingerprint, "protocol": protocol}
    where["supernet"] = campaign.loaded.digest
    last: dict[str, int] = {}
    for arch_id, text in campaign.store.scan(("arch_id", "purpose"), **where):
        purpose = Purpose.parse(text)
        if purpose.is_final:
            last[arch_id] = max(last.get(arch_id, 0), purpose.round)
    return last


def round_plan(campaign: Campaign, known: Known) -> Plan:
    """Return what is to be measured once more.

    Parameters
    ----------
    campaign : Campaign
        Whose fronts.
    known : Known
        What the store holds.

    Returns
    -------
    dict of str to dict
        By device and text of the purpose, architecture ids; empty when all is settled.
    """
    confidence, most = campaign.config.validate_.membership, campaign.config.validate_.per_round
    wanted: dict[str, dict[str, None]] = {}
    for view in views(campaign):
        measured = complete_final_set(view, known)
        if measured is None:
            continue
        doubtful = membership(campaign, view, measured, known).to_measure(confidence)
        if most is not None and len(doubtful) > most:
            doubtful = most_telling(campaign, view, measured, doubtful, most)
        for target in view.targets:
            wanted.setdefault(target.name, {}).update(dict.fromkeys(doubtful))
    plan: Plan = {}
    for name, ids in wanted.items():
        last = _last_rounds(campaign, name)
        for i in ids:
            plan.setdefault(name, {}).setdefault(str(Purpose.final(last.get(i, 0) + 1)), []).append(i)
    return plan


def most_telling(
    campaign: Campaign, view: View, measured: MeasuredSet, doubtful: Sequence[str], most: int
) -> list[str]:
    """Choose those in doubt whose repetition is expected to change the front most.

    Parameters
    ----------
    campaign : Campaign
        Whose seed; the result is the same at every call.
    view : View
        The front.
    measured : MeasuredSet
        Final measurements, complete in all objectives.
    doubtful : sequence of str
        Ids of what may be measured.
    most : int
        How many.

    Returns
    -------
    list of str
        Ids, the most telling first; those that would change nothing last, in the order of `doubtful`.
    """
    signs = np.array([o.sign for o in view.front_objectives])
    values = np.stack([measured.values(o.name) for o in view.front_objectives], axis=1) * signs
    drawn = draws(view, measured, DRAWS, campaign.rng(f"repeat:{view.name}"))
    gain = dict(zip(measured.ids, expected_changes(drawn, values).tolist(), strict=True))
    return sorted(doubtful, key=lambda i: -gain[i])[:most]
