"""Measure latencies. Results already in the store are reused; each new one is committed as soon as it exists."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial

from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.jobs.batch import LatencyBatch
from hwsearch.campaigns.purpose import SEARCH, Purpose
from hwsearch.campaigns.target import Target
from hwsearch.errors import DeviceError
from hwsearch.spaces import Architecture
from hwsearch.store import Measurement


def measure_latency(
    campaign: Campaign,
    target: Target,
    archs: Sequence[Architecture],
    *,
    purpose: Purpose = SEARCH,
    stage: str = "profile",
) -> dict[str, Measurement]:
    """Measure the latency of every architecture on one device; see `measure_latencies`.

    Parameters
    ----------
    campaign : Campaign
        Whose supernet and store.
    target : Target
        The device.
    archs : sequence of Architecture
        What is measured.
    purpose : Purpose
        What it is measured for.
    stage : str
        Name of the step, for progress.

    Returns
    -------
    dict of str to Measurement
        In ms, by architecture id; what cannot be measured is missing.

    Raises
    ------
    DeviceError
        If the device is lost.
    """
    return measure_latencies(campaign, [target], archs, purpose=purpose, stage=stage)[target.name]


def measure_latencies(
    campaign: Campaign,
    targets: Iterable[Target],
    archs: Sequence[Architecture],
    *,
    purpose: Purpose = SEARCH,
    stage: str = "profile",
) -> dict[str, dict[str, Measurement]]:
    """Measure the latency of every architecture on every device.

    What is missing goes into the store's queue, in groups that are measured together, and each group is stored at once.
    Devices of this host take turns, those of other hosts work at the same time; other processes may help.

    Parameters
    ----------
    campaign : Campaign
        Whose supernet and store.
    targets : iterable of Target
        The devices.
    archs : sequence of Architecture
        What is measured.
    purpose : Purpose
        `SEARCH` (the usual protocol) or a final one (the final protocol, on the very model that is handed over).
    stage : str
        Name of the step, for progress.

    Returns
    -------
    dict of str to dict
        In ms, by name of the device and architecture id; what cannot be measured is missing.

    Raises
    ------
    DeviceError
        When a device is lost, after all others are done.
    """
    chosen = list(targets)
    campaign.enter(archs)
    batches = [LatencyBatch(campaign, t, archs, purpose) for t in chosen]
    here = [b for b in batches if not b.target.remote]
    elsewhere = [b for b in batches if b.target.remote]
    lost: list[DeviceError] = []
    for batch in here:
        with campaign.progress.task(f"{stage} {batch.target.name}", len(archs), "subnets") as task:
            try:
                with batch.paced():
                    batch.fill(task.update)
            except DeviceError as error:
                lost.append(error)
            task.note(batch.note())
    if elsewhere:
        lost += _fill_together(campaign, elsewhere, len(archs), stage)
    if lost:
        for further in lost[1:]:
            campaign.progress.warn(str(further))
        raise lost[0]
    return {b.target.name: b.results() for b in batches}


def _fill_together(campaign: Campaign, batches: Sequence[LatencyBatch], each: int, stage: str) -> list[DeviceError]:
    """Fill batches of devices of other hosts at the same time; return the errors of devices that were lost."""
    lost: list[DeviceError] = []
    done = [0.0] * len(batches)
    names = ", ".join(b.target.name for b in batches)
    with campaign.progress.task(f"{stage} {names}", each * len(batches), "subnets") as task:
        with ThreadPoolExecutor(len(batches)) as pool:
            futures = [pool.submit(b.fill, partial(done.__setitem__, i)) for i, b in enumerate(batches)]
            try:
                while wait(futures, timeout=0.3).not_done:
                    task.update(sum(done))
            except BaseException:
                for batch in batches:
                    batch.stop.set()
                campaign.cluster.stop()
                raise
        for future in futures:
            try:
                future.result()
            except DeviceError as error:
                lost.append(error)
        task.note(" · ".join(f"{b.target.name}: {b.note()}" for b in batches))
    return lost
