"""Time a group of subnets in as many measuring processes as it takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.jobs.job import Genes, payload_of, process_seconds
from hwsearch.campaigns.jobs.workloads import job_spec, needed_files
from hwsearch.campaigns.target import Target
from hwsearch.devices import Sample, Timing, combine
from hwsearch.devices.fleet.jobs import MeasuredRow, WorkerJob, WorkerResponse
from hwsearch.devices.fleet.responses import WorkerError
from hwsearch.devices.timing.estimate import not_converged
from hwsearch.devices.timing.protocol import TimingProtocol
from hwsearch.errors import DeviceError
from hwsearch.store import Job


@dataclass(frozen=True)
class GroupTiming:
    """Findings of the measuring processes of one group.

    Parameters
    ----------
    timings : dict of str to Timing
        By architecture id.
    answers : dict of str to mapping
        The first process's rows by architecture id: values of further metrics, or why there are none.
    started_at, ended_at : str
        UTC times.
    details : dict
        Load of the host before and after, its cores, size of the group, and name of the device.
    """

    timings: dict[str, Timing]
    answers: dict[str, MeasuredRow]
    started_at: str
    ended_at: str
    details: dict[str, Any]


def time_group(
    campaign: Campaign,
    target: Target,
    job: Job,
    ids: Sequence[str],
    genes: Sequence[Genes],
    tick: Callable[[float], None] | None = None,
) -> GroupTiming:
    """Time subnets together, in further processes as long as intervals are too wide and time is left.

    A process times only what has not settled yet and has not failed.

    Parameters
    ----------
    campaign : Campaign
        Whose supernet.
    target : Target
        The device.
    job : Job
        The latency job that the subnets belong to.
    ids : sequence of str
        Of the subnets that have to be measured.
    genes : sequence of dict
        Theirs.
    tick : callable, optional
        Takes the share that is done.

    Returns
    -------
    GroupTiming
        With a timing a subnet.

    Raises
    ------
    WorkerError
        If a process fails, or the job's time is over before the fewest processes are done.
    DeviceError
        If the host has another processor than when the campaign was opened.
    """
    payload = payload_of(job)
    protocol = TimingProtocol(**payload["protocol"])
    spec, files = job_spec(campaign, target, job, genes)
    fewest, most = protocol.processes
    found: list[list[Sample | None]] = []
    answers: list[WorkerResponse] = []
    at: list[float] = []
    timings: list[Timing] = []
    open_ = set(ids)
    until, longest = time.monotonic() + job.deadline_s, 0.0
    for k in range(most):
        began = time.monotonic()
        left_s = until - began
        if k >= fewest and left_s < 1.2 * longest:
            break  # what there is counts, and says that it has not converged
        if left_s <= 0:
            raise WorkerError(
                f"{k} of {fewest} measuring processes took {job.deadline_s:g} s, which is all that their job has.",
                hint="Allow more with [fleet] deadline_s.",
            )
        # a process that hangs must not take the time of all
        limit = left_s if payload["deadline_s"] is not None else min(left_s, process_seconds(protocol, len(ids)))
        entries = [e for e in spec["workloads"] if e["arch_id"] in open_]
        part: WorkerJob = {
            **spec,  # type: ignore[typeddict-item]
            "workloads": entries,
            "seed": [*spec["seed"], k],
            "metrics": [] if k else spec["metrics"],
        }
        share = (lambda x, k=k: tick(min(1.0, (k + x) / fewest))) if tick is not None else None
        answer = target.executor.run(part, needed_files(part, files), limit, share)
        longest = max(longest, time.monotonic() - began)
        _same_processor(target, answer)
        answers.append(answer)
        samples = {r["arch_id"]: Sample.from_dict(r["sample"]) for r in answer["rows"]}
        found.append([samples.get(i) for i in ids])
        at.append(_middle(answer))
        timings = combine(found, protocol, at=at)
        left = not_converged(timings, protocol) if k + 1 >= fewest else range(len(ids))
        open_ = {ids[i] for i in left if timings[i].failure is None}
        if not open_:
            break
    return GroupTiming(
        timings=dict(zip(ids, timings, strict=True)),
        answers={r["arch_id"]: r for r in answers[0]["rows"]},
        started_at=answers[0]["started_at"],
        ended_at=answers[-1]["ended_at"],
        details={
            "load_before": answers[0]["load"][0],
            "load_after": answers[-1]["load"][1],
            "cores": answers[0].get("cores"),
            "group": len(ids),
            "device": target.name,
        },
    )


def _same_processor(target: Target, answer: WorkerResponse) -> None:
    """Refuse what was measured on another processor than the device's: a virtual machine may have moved to another host."""
    facts, now = target.facts.get("host"), answer.get("cpu")
    began = facts.get("cpu") if isinstance(facts, dict) else None
    if began and now and began != now:
        raise DeviceError(
            f"the host has another processor now, {now!r}, than when the campaign was opened, {began!r}: it is another device.",
            hint="Give the same command again: the new processor gets measurements of its own, and the old ones are kept.",
        )


def _middle(answer: WorkerResponse) -> float:
    """Return the middle of a process's measuring, seconds since 1970."""
    ends = (datetime.fromisoformat(answer[end]) for end in ("started_at", "ended_at"))
    return round(sum(t.timestamp() for t in ends) / 2, 2)
