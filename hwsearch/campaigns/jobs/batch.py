"""Subnets requested on one device: pending jobs, progress, results."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import psutil

from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.estimates import host_visits
from hwsearch.campaigns.jobs.job import halves, latency_job, payload_of, share_of
from hwsearch.campaigns.jobs.registration import enter_device
from hwsearch.campaigns.jobs.turn import SHORT_S, turn
from hwsearch.campaigns.jobs.worker import LatencyWorker
from hwsearch.campaigns.lookup import find_failed_too_often, find_settled, latency_rows
from hwsearch.campaigns.purpose import VALIDATE, Purpose
from hwsearch.campaigns.reading import device_reading
from hwsearch.campaigns.target import Target
from hwsearch.devices.timing.protocol import TimingProtocol
from hwsearch.spaces import Architecture
from hwsearch.store import Job, Measurement, NewJob, Queue

#: a group's time is at least by this share that of its subnets, whatever a start was thought to take
LEAST_SHARE = 0.2


class LatencyBatch:
    """Subnets requested on one device: pending jobs, progress, results.

    Parameters
    ----------
    campaign : Campaign
        Whose store and queue.
    target : Target
        The device.
    archs : sequence of Architecture
        What is requested.
    purpose : Purpose
        What it is measured for.

    Attributes
    ----------
    todo : list of Architecture
        What has no result yet and has not failed too often.
    stop : threading.Event
        Set to end `fill` early.
    """

    def __init__(self, campaign: Campaign, target: Target, archs: Sequence[Architecture], purpose: Purpose) -> None:
        self.campaign, self.target, self.purpose = campaign, target, purpose
        self.protocol = campaign.final_protocol if purpose.is_final else campaign.protocol
        self.queue = Queue(campaign.store)
        self.stop = threading.Event()
        self.archs = list(archs)
        self.ids = list(dict.fromkeys(a.id for a in self.archs))
        self.before = self._known()
        given_up = find_failed_too_often(campaign, "latency_ms", target.fingerprint)
        settled = find_settled(
            campaign, target, self.protocol.key, purpose, campaign.device_metrics(target.name), self.ids
        )
        self.todo = [a for a in dict.fromkeys(archs) if a.id not in settled and a.id not in given_up]
        enter_device(campaign, target)

    def _known(self) -> dict[str, Measurement]:
        """Find the latencies of the subnets as they were stored for this purpose and round, by architecture id."""
        rows = latency_rows(
            self.campaign.store,
            self.target.fingerprint,
            self.campaign.loaded.digest,
            protocol=self.protocol.key,
            purpose=self.purpose,
            ids=self.ids,
        )
        return {m.arch_id: m for m in rows if m.value is not None}

    def results(self) -> dict[str, Measurement]:
        """Return the latencies of the requested subnets, as far as they are known.

        Returns
        -------
        dict of str to Measurement
            By architecture id; final ones rest on all rounds so far.
        """
        kind = VALIDATE if self.purpose.is_final else self.purpose
        known = device_reading(self.campaign, self.target).latency(kind)
        return {i: known[i] for i in self.ids if i in known}

    def _jobs(self) -> list[NewJob]:
        size = group_size(self.campaign, self.protocol)
        groups = [self.todo[i : i + size] for i in range(0, len(self.todo), size)]
        return [latency_job(self.campaign, self.target, g, self.protocol, self.purpose) for g in groups]

    def fill(self, update: Callable[[float], None]) -> None:
        """Have everything measured, by this process or by others; return when nothing is open any more.

        Parameters
        ----------
        update : callable
            Takes the number of subnets done.

        Raises
        ------
        DeviceError
            If the device is lost.
        """
        wanted = {a.id for a in self.archs}
        update(len(self.archs) - len(self.todo))
        jobs = self._jobs()
        self.queue.submit(jobs)
        keys = {j.key for j in jobs}
        worker, idle_since = LatencyWorker(self.campaign, [self.target]), math.inf
        while keys and not self.stop.is_set():
            with turn(self.campaign, self.target):
                job = worker.claim(keys)
                if job is not None:
                    base = len(wanted & self._known().keys())
                    worker.run(job, share_of(update, base, len(payload_of(job)["ids"])))
            rows = self.jobs_with_parts(keys)
            if job is None:
                if not any(j.status in ("queued", "leased") for j in rows):
                    break
                idle_since = min(idle_since, time.monotonic())
                if time.monotonic() - idle_since >= SHORT_S:
                    self.campaign.progress.wait(_others(rows))
                self.stop.wait(0.2)
            else:
                idle_since = math.inf
            update(len(wanted & self._known().keys()))
        if idle_since < math.inf:
            self.campaign.progress.wait("")
        for job in self.queue.find(keys):
            if job.status == "failed":
                self.campaign.progress.warn(
                    f"{self.target.name}: {len(payload_of(job)['archs'])} subnets are not measured: {job.failure}"
                )

    @contextmanager
    def paced(self) -> Iterator[None]:
        """Note what the subnets took that were measured meanwhile, without the time that others were waited for.

        Yields
        ------
        None
        """
        started, waited, pace, name = time.monotonic(), self.campaign.waited_s, self.campaign.pace, self.target.name
        yield
        seconds = time.monotonic() - started - (self.campaign.waited_s - waited)
        fresh = [m for k, m in self._known().items() if k not in self.before]
        visits = sum(int(m.details.get("processes", 1)) for m in fresh)
        groups = math.ceil(visits / group_size(self.campaign, self.protocol)) if fresh else 0
        starts = pace.seconds(f"start {name}", groups, default=0.0)
        pace.note(f"time {name}", visits, max(seconds - starts, LEAST_SHARE * seconds))

    def jobs_with_parts(self, keys: set[str]) -> list[Job]:
        """Find jobs and, however often they were split, their parts.

        Parameters
        ----------
        keys : set of str
            Keys of jobs; those of their parts are added.

        Returns
        -------
        list of Job
            As they are now.
        """
        while True:
            rows = self.queue.find(keys)
            parts = {part.key for j in rows if j.status == "split" for part in halves(j)}
            if parts <= keys:
                return rows
            keys |= parts

    def note(self) -> str:
        """Return a remark for the finished step.

        Returns
        -------
        str
            How many were measured, and by how much the host's level differed between their processes.
        """
        if self.archs and not self.todo:
            return "already known"
        fresh = [m for k, m in self._known().items() if k not in self.before]
        level = host_visits(fresh)
        text = f"{len(fresh)} measured"
        if len(level) > 1:
            ms = [v.reference_ms for v in level]
            text += f" · host's level ±{100 * math.log(max(ms) / min(ms)) / 2:.1f} %"
        return text


def _others(rows: Sequence[Job]) -> str:
    """Return who works on jobs that this process waits for, in words."""
    leased = [j for j in rows if j.status == "leased"]
    if not leased:
        return "its turn: groups are queued"
    workers = sorted({":".join((j.worker or "").split(":")[:2]) for j in leased})
    return f"{len(leased)} group{'s' * (len(leased) > 1)} that other workers measure ({', '.join(workers)})"


def group_size(campaign: Campaign, protocol: TimingProtocol) -> int:
    """Return how many subnets are timed together.

    A session holds a model's weights about twice; all of a group get a third of the free memory.

    Parameters
    ----------
    campaign : Campaign
        Whose largest subnet tells the size of a model.
    protocol : TimingProtocol
        With the wanted number.

    Returns
    -------
    int
        The protocol's number, or fewer where their sessions would fill the memory; at least 1.
    """
    weights = 8 * campaign.loaded.net.params(campaign.space.largest())
    return max(1, min(protocol.group, int(psutil.virtual_memory().available / 3 / weights)))
