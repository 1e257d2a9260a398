"""Help to measure a campaign: a further worker for its queued latency jobs."""

from __future__ import annotations

import time
from collections.abc import Sequence

from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.jobs.job import payload_of, share_of
from hwsearch.campaigns.jobs.turn import turn
from hwsearch.campaigns.jobs.worker import LatencyWorker


def work(campaign: Campaign, devices: Sequence[str] = (), *, wait: bool = False) -> dict[str, int]:
    """Be a further worker: do queued latency jobs of some devices.

    Parameters
    ----------
    campaign : Campaign
        Whose jobs.
    devices : sequence of str
        Names; by default all of the campaign on this host.
    wait : bool
        Whether to wait for further jobs forever; by default it ends when none is queued.

    Returns
    -------
    dict of str to int
        Number of jobs done by device.

    Raises
    ------
    DeviceError
        If there is no such device, or one is lost.
    """
    targets = [campaign.target(n) for n in devices] or [t for t in campaign.targets.values() if not t.remote]
    done = {t.name: 0 for t in targets}
    workers = {t.name: LatencyWorker(campaign, [t]) for t in targets}
    while True:
        idle = True
        for target in targets:
            with turn(campaign, target):
                job = workers[target.name].claim()
                if job is not None:
                    idle, n = False, len(payload_of(job)["ids"])
                    with campaign.progress.task(f"work {target.name}", n, "subnets") as task:
                        workers[target.name].run(job, share_of(task.update, 0, n))
                    done[target.name] += 1
        if idle:
            if not wait:
                return done
            time.sleep(1.0)
