"""Latency jobs: what one asks for, how long it may take, and its halves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypedDict, cast

from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.lookup import MAX_FAILURES
from hwsearch.campaigns.purpose import Purpose
from hwsearch.campaigns.target import Target
from hwsearch.devices.timing.protocol import TimingProtocol
from hwsearch.spaces import Architecture
from hwsearch.store import Job, NewJob
from hwsearch.store.job import job_key

Genes = dict[str, Any]


class LatencyPayload(TypedDict):
    """Latency job, as the queue keeps it.

    Attributes
    ----------
    archs : list of dict
        Genes of the architectures that are timed together.
    ids : list of str
        Their ids, in the same order.
    reference : dict
        Genes of the reference subnet.
    purpose : str
        Text of the `Purpose`.
    protocol : dict
        Fields of the `TimingProtocol`.
    protocol_key : str
        Its key.
    metrics : list of str
        What is measured besides latency.
    deadline_s : float or None
        Configured seconds for the whole job; None: what its processes may take.
    part : bool
        Whether it is a part of a job that was split.
    """

    archs: list[Genes]
    ids: list[str]
    reference: Genes
    purpose: str
    protocol: dict[str, Any]
    protocol_key: str
    metrics: list[str]
    deadline_s: float | None
    part: bool


def payload_of(job: Job) -> LatencyPayload:
    """Return what a latency job asks for.

    Parameters
    ----------
    job : Job
        A job that `latency_job` or `halves` made.

    Returns
    -------
    LatencyPayload
        Its payload.
    """
    return cast(LatencyPayload, job.payload)


def latency_job(
    campaign: Campaign, target: Target, group: Sequence[Architecture], protocol: TimingProtocol, purpose: Purpose
) -> NewJob:
    """Make the job of measuring a group of architectures together on one device.

    Parameters
    ----------
    campaign : Campaign
        Whose supernet and reference subnet.
    target : Target
        The device.
    group : sequence of Architecture
        What is measured.
    protocol : TimingProtocol
        How it is measured.
    purpose : Purpose
        What it is measured for.

    Returns
    -------
    NewJob
        Its key names all that its result depends on.
    """
    metrics = [m for m in campaign.device_metrics(target.name) if m != "latency_ms"]
    payload: LatencyPayload = {
        "archs": [a.to_dict() for a in group],
        "ids": [a.id for a in group],
        "reference": campaign.reference.to_dict(),
        "purpose": str(purpose),
        "protocol": protocol.model_dump(mode="json"),
        "protocol_key": protocol.key,
        "metrics": metrics,
        "deadline_s": campaign.config.fleet.deadline_s,
        "part": False,
    }
    ids = sorted(a.id for a in group)
    key = job_key(target.fingerprint, protocol.key, str(purpose), campaign.loaded.digest, metrics, ids)
    return NewJob(key, job_kind(campaign), target.fingerprint, payload, _deadline(payload), max_attempts=3)


def job_kind(campaign: Campaign) -> str:
    """Return the kind of a campaign's latency jobs: what a worker must have to do them.

    Parameters
    ----------
    campaign : Campaign
        Whose jobs.

    Returns
    -------
    str
        Names the weights of its supernet.
    """
    return f"latency:{campaign.loaded.digest}"


def process_seconds(protocol: TimingProtocol, models: int) -> float:
    """Return how long one measuring process may take.

    Parameters
    ----------
    protocol : TimingProtocol
        With its budget.
    models : int
        Number of models that it times.

    Returns
    -------
    float
        Seconds: twice the protocol's budget, and time to start, load and warm up.
    """
    return 60 + 2 * protocol.budget_s + 2 * models


def _deadline(payload: LatencyPayload) -> float:
    """Return what is configured for a whole job, or what its processes may take."""
    if payload["deadline_s"] is not None:
        return float(payload["deadline_s"])
    protocol = TimingProtocol(**payload["protocol"])
    return protocol.processes[1] * process_seconds(protocol, len(payload["ids"]))


def halves(job: Job) -> list[NewJob]:
    """Make two jobs in the place of one, to find the model that it fails by.

    Parameters
    ----------
    job : Job
        Of at least two architectures.

    Returns
    -------
    list of NewJob
        The halves; the same at every call.
    """
    whole = payload_of(job)
    middle = len(whole["ids"]) // 2
    found = []
    for half in (slice(None, middle), slice(middle, None)):
        payload: LatencyPayload = {**whole, "ids": whole["ids"][half], "archs": whole["archs"][half], "part": True}
        attempts = MAX_FAILURES if len(payload["ids"]) == 1 else job.max_attempts
        key = job_key(job.key, payload["ids"])
        found.append(NewJob(key, job.kind, job.device, payload, _deadline(payload), attempts))
    return found


def share_of(update: Callable[[float], None], done: float, n: int) -> Callable[[float], None]:
    """Make a progress callback for one job out of one for many.

    Parameters
    ----------
    update : callable
        Takes the number of subnets done.
    done : float
        Subnets done before the job.
    n : int
        Subnets of the job.

    Returns
    -------
    callable
        Takes the share of the job that is done, 0 to 1.
    """
    return lambda share: update(done + share * n)
