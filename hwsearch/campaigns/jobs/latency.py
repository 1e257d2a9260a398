"""Measuring subnets: what the store has is taken from it, what it lacks is measured and kept at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial

import psutil

from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.intervals import is_final
from hwsearch.campaigns.jobs.calibration import calibration
from hwsearch.campaigns.jobs.job import _advance, halves, latency_job
from hwsearch.campaigns.jobs.worker import Hands
from hwsearch.campaigns.known import _settled, failed_too_often, find_latency
from hwsearch.campaigns.target import Target
from hwsearch.devices.fleet.host_lock import host_lock
from hwsearch.devices.timing.protocol import TimingProtocol
from hwsearch.errors import DeviceError
from hwsearch.spaces import Architecture
from hwsearch.store import Job, Measurement, NewJob, Queue


def measure_latency(
    campaign: Campaign,
    target: Target,
    archs: Sequence[Architecture],
    *,
    purpose: str = "search",
    stage: str = "profile",
) -> dict[str, Measurement]:
    """Latency of every architecture on one device; see `measure_latencies`."""
    return measure_latencies(campaign, [target], archs, purpose=purpose, stage=stage)[target.name]


def measure_latencies(
    campaign: Campaign,
    targets: Iterable[Target],
    archs: Sequence[Architecture],
    *,
    purpose: str = "search",
    stage: str = "profile",
) -> dict[str, dict[str, Measurement]]:
    """Latency of every architecture on every device, by device and architecture id.

    What is missing goes into the store's queue, in groups that are measured together, and each group is stored at once.
    Devices of this host take turns, those of other hosts work at the same time; other processes may help.
    purpose : ``search`` (the usual protocol) or ``validate`` (the final one, on the very model that is handed over), with
        ``:2`` and so on for each further time

    Raises `DeviceError` when a device is lost, after all others are done.
    """
    chosen = list(targets)
    campaign.store.add_architectures(archs)
    orders = [_Order(campaign, t, archs, purpose) for t in chosen]
    here = [o for o in orders if not o.target.remote]
    elsewhere = [o for o in orders if o.target.remote]
    lost: list[DeviceError] = []
    for order in here:
        with campaign.progress.task(f"{stage} {order.target.name}", len(archs), "subnets") as task:
            try:
                order.fill(task.update)
            except DeviceError as error:
                lost.append(error)
            task.note(order.note())
    if elsewhere:
        lost += _fill_together(campaign, elsewhere, len(archs), stage)
    if lost:
        for further in lost[1:]:
            campaign.progress.warn(str(further))
        raise lost[0]
    return {o.target.name: o.found() for o in orders}


def _fill_together(campaign: Campaign, orders: Sequence[_Order], each: int, stage: str) -> list[DeviceError]:
    """Fill orders for devices of other hosts at the same time; the errors of devices that were lost."""
    lost: list[DeviceError] = []
    shares = [0.0] * len(orders)
    names = ", ".join(o.target.name for o in orders)
    with campaign.progress.task(f"{stage} {names}", each * len(orders), "subnets") as task:
        with ThreadPoolExecutor(len(orders)) as pool:
            futures = [pool.submit(o.fill, partial(shares.__setitem__, i)) for i, o in enumerate(orders)]
            try:
                while wait(futures, timeout=0.3).not_done:
                    task.update(sum(shares))
            except BaseException:
                for order in orders:
                    order.stop.set()
                campaign.cluster.stop()
                raise
        for future in futures:
            try:
                future.result()
            except DeviceError as error:
                lost.append(error)
        task.note(" · ".join(f"{o.target.name}: {o.note()}" for o in orders))
    return lost


class _Order:
    """What one device is asked to measure, and how far that is."""

    def __init__(self, campaign: Campaign, target: Target, archs: Sequence[Architecture], purpose: str) -> None:
        self.campaign, self.target, self.purpose = campaign, target, purpose
        self.protocol = campaign.final_protocol if is_final(purpose) else campaign.protocol
        self.queue = Queue(campaign.store)
        self.stop = threading.Event()
        self.archs = list(archs)
        self.before = self._known()
        given_up = failed_too_often(campaign, "latency_ms", target.fingerprint)
        settled = _settled(campaign, target, self.protocol.key, purpose, campaign.device_metrics(target.name))
        self.todo = [a for a in dict.fromkeys(archs) if a.id not in settled and a.id not in given_up]
        campaign.store.add_device(target.fingerprint, target.name, target.facts)

    def _known(self) -> dict[str, Measurement]:
        return find_latency(self.campaign, self.target, self.purpose)

    def found(self) -> dict[str, Measurement]:
        known = self._known()
        return {a.id: known[a.id] for a in self.archs if a.id in known}

    def _jobs(self) -> list[NewJob]:
        size = group_size(self.campaign, self.protocol)
        groups = [self.todo[i : i + size] for i in range(0, len(self.todo), size)]
        return [latency_job(self.campaign, self.target, g, self.protocol, self.purpose) for g in groups]

    def fill(self, update: Callable[[float], None]) -> None:
        """Have everything measured, by this process or by others, and return when nothing is open any more."""
        wanted = {a.id for a in self.archs}
        update(len(self.archs) - len(self.todo))
        if self.todo:
            with host_lock(self.target.exclusive):
                calibration(self.campaign, self.target, self.purpose)
        jobs = self._jobs()
        self.queue.submit(jobs)
        keys = {j.key for j in jobs}
        hands = Hands(self.campaign, [self.target])
        while keys and not self.stop.is_set():
            with host_lock(self.target.exclusive):
                job = hands.take(keys)
                if job is not None:
                    base = len(wanted & self._known().keys())
                    hands.do(job, partial(_advance, update, base, len(job.payload["ids"])))
            rows = self._with_parts(keys)
            if job is None:
                if not any(j.status in ("queued", "leased") for j in rows):
                    break
                self.stop.wait(0.2)
            update(len(wanted & self._known().keys()))
        for job in self.queue.find(keys):
            if job.status == "failed":
                self.campaign.progress.warn(
                    f"{self.target.name}: {len(job.payload['archs'])} subnets are not measured: {job.failure}"
                )

    def _with_parts(self, keys: set[str]) -> list[Job]:
        """The jobs of these keys and, however often they were split, their parts, whose keys are added."""
        while True:
            rows = self.queue.find(keys)
            parts = {part.key for j in rows if j.status == "split" for part in halves(j)}
            if parts <= keys:
                return rows
            keys |= parts

    def note(self) -> str:
        """A remark for the finished step."""
        fresh = [m for k, m in self.found().items() if k not in self.before]
        drifts = [float(m.details["drift_pct"]) for m in fresh if "drift_pct" in m.details]
        if drifts:
            return f"drift {max(drifts, key=abs):+.1f} % corrected"
        return "already known" if self.archs and not self.todo else f"{len(fresh)} measured"


def group_size(campaign: Campaign, protocol: TimingProtocol) -> int:
    """How many subnets are timed together: the protocol's number, or fewer where their sessions would fill the memory.

    A session holds a model's weights about twice; all of a group get a third of what is free.
    """
    weights = 8 * campaign.loaded.net.params(campaign.space.largest())
    return max(1, min(protocol.group, int(psutil.virtual_memory().available / 3 / weights)))
