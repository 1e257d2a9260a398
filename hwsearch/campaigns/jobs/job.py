"""Measuring subnets: what the store has is taken from it, what it lacks is measured and kept at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.known import MAX_FAILURES
from hwsearch.campaigns.target import Target
from hwsearch.devices.timing.protocol import TimingProtocol
from hwsearch.spaces import Architecture
from hwsearch.store import Job, NewJob
from hwsearch.store.job import job_key


def _advance(update: Callable[[float], None], before: float, n: int, share: float) -> None:
    update(before + share * n)


def latency_job(
    campaign: Campaign, target: Target, group: Sequence[Architecture], protocol: TimingProtocol, purpose: str
) -> NewJob:
    """A group of architectures to be measured together on one device; named by all that its result depends on."""
    metrics = [m for m in campaign.device_metrics(target.name) if m != "latency_ms"]
    payload = {
        "archs": [a.to_dict() for a in group],
        "ids": [a.id for a in group],
        "reference": campaign.reference.to_dict(),
        "purpose": purpose,
        "protocol": protocol.model_dump(mode="json"),
        "protocol_key": protocol.key,
        "metrics": metrics,
        "deadline_s": campaign.config.fleet.deadline_s,
        "part": False,
    }
    ids = sorted(a.id for a in group)
    key = job_key(target.fingerprint, protocol.key, purpose, campaign.loaded.digest, metrics, ids)
    return NewJob(key, job_kind(campaign), target.fingerprint, payload, _deadline(payload), max_attempts=3)


def job_kind(campaign: Campaign) -> str:
    """What a worker must have to do a campaign's latency jobs: its supernet."""
    return f"latency:{campaign.loaded.digest}"


def _process_s(protocol: TimingProtocol, models: int) -> float:
    """How long one measuring process may take: twice the protocol's budget, and time to start, load and warm up."""
    return 60 + 2 * protocol.budget_s + 2 * models


def _deadline(payload: Mapping[str, Any]) -> float:
    """What is configured for a whole job, or what its processes may take."""
    if payload["deadline_s"] is not None:
        return float(payload["deadline_s"])
    protocol = TimingProtocol(**payload["protocol"])
    return protocol.processes[1] * _process_s(protocol, len(payload["ids"]))


def halves(job: Job) -> list[NewJob]:
    """Two jobs in the place of one, to find the model that it fails by."""
    ids, archs = job.payload["ids"], job.payload["archs"]
    middle = len(ids) // 2
    found = []
    for half in (slice(None, middle), slice(middle, None)):
        payload = {**job.payload, "ids": ids[half], "archs": archs[half], "part": True}
        attempts = MAX_FAILURES if len(payload["ids"]) == 1 else job.max_attempts
        key = job_key(job.key, payload["ids"])
        found.append(NewJob(key, job.kind, job.device, payload, _deadline(payload), attempts))
    return found
