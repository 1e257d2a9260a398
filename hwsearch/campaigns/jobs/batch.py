"""Subnets requested on one device: pending jobs, progress, results."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import psutil

from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.jobs.calibration import calibration
from hwsearch.campaigns.jobs.job import halves, latency_job, payload_of, share_of
from hwsearch.campaigns.jobs.worker import LatencyWorker
from hwsearch.campaigns.lookup import find_failed_too_often, find_latency, find_settled
from hwsearch.campaigns.purpose import Purpose
from hwsearch.campaigns.target import Target
from hwsearch.devices.fleet.host_lock import host_lock
from hwsearch.devices.timing.protocol import TimingProtocol
from hwsearch.spaces import Architecture
from hwsearch.store import Job, Measurement, NewJob, Queue


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
        self.before = self._known()
        given_up = find_failed_too_often(campaign, "latency_ms", target.fingerprint)
        settled = find_settled(campaign, target, self.protocol.key, purpose, campaign.device_metrics(target.name))
        self.todo = [a for a in dict.fromkeys(archs) if a.id not in settled and a.id not in given_up]
        campaign.store.add_device(target.fingerprint, target.name, target.facts)

    def _known(self) -> dict[str, Measurement]:
        return find_latency(self.campaign, self.target, self.purpose)

    def results(self) -> dict[str, Measurement]:
        """Return the latencies of the requested subnets, as far as they are known.

        Returns
        -------
        dict of str to Measurement
            By architecture id.
        """
        known = self._known()
        return {a.id: known[a.id] for a in self.archs if a.id in known}

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
            If the device is lost, or cannot be calibrated.
        """
        wanted = {a.id for a in self.archs}
        update(len(self.archs) - len(self.todo))
        if self.todo:
            with host_lock(self.target.exclusive):
                calibration(self.campaign, self.target, self.purpose)
        jobs = self._jobs()
        self.queue.submit(jobs)
        keys = {j.key for j in jobs}
        worker = LatencyWorker(self.campaign, [self.target])
        while keys and not self.stop.is_set():
            with host_lock(self.target.exclusive):
                job = worker.claim(keys)
                if job is not None:
                    base = len(wanted & self._known().keys())
                    worker.run(job, share_of(update, base, len(payload_of(job)["ids"])))
            rows = self.jobs_with_parts(keys)
            if job is None:
                if not any(j.status in ("queued", "leased") for j in rows):
                    break
                self.stop.wait(0.2)
            update(len(wanted & self._known().keys()))
        self._tell_moved()
        for job in self.queue.find(keys):
            if job.status == "failed":
                self.campaign.progress.warn(
                    f"{self.target.name}: {len(payload_of(job)['archs'])} subnets are not measured: {job.failure}"
                )

    def _fresh(self) -> list[Measurement]:
        """Latencies that this batch has added."""
        return [m for k, m in self.results().items() if k not in self.before]

    @staticmethod
    def _moved(fresh: Sequence[Measurement]) -> tuple[int, int]:
        """Count the groups in which the host was far from its calibrated speed, and all groups."""
        groups: dict[str, bool] = {}
        for m in fresh:
            groups[m.started_at] = groups.get(m.started_at, False) or bool(m.details.get("moved"))
        return sum(groups.values()), len(groups)

    def _tell_moved(self) -> None:
        """Say the first time what it means that the host was far from its calibrated speed; later the note counts it."""
        moved, groups = self._moved(self._fresh())
        if moved and not any(m.details.get("moved") for m in self.before.values()):
            self.campaign.progress.warn(
                f"{self.target.name}: in {moved} of {groups} groups the host was never within "
                f"{100 * self.protocol.max_drift:g} % of its calibrated speed. Ratios and the order of subnets are safe; "
                "the level is corrected, and less sure."
            )

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
            The largest drift that was corrected, or how many were measured.
        """
        fresh = self._fresh()
        drifts = [float(m.details["drift_pct"]) for m in fresh if "drift_pct" in m.details]
        if drifts:
            moved, groups = self._moved(fresh)
            far = f" · host far off in {moved} of {groups} groups" if moved else ""
            return f"drift {max(drifts, key=abs):+.1f} % corrected{far}"
        return "already known" if self.archs and not self.todo else f"{len(fresh)} measured"


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
