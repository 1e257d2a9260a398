"""Share work that any process of a campaign can do: each job is done by one of them, and all wait for its result."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence

from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.jobs.lease import lease_heartbeat
from hwsearch.campaigns.jobs.turn import SHORT_S
from hwsearch.store import Measurement, NewJob, Queue, worker_name

#: seconds between two looks at the jobs of other processes
WAIT_S = 0.2
#: processes that may be lost at one job before it is given up
ATTEMPTS = 3
#: seconds that one such job may take; it is not enforced, since this process does it itself
DEADLINE_S = 86_400.0


def shared_job(campaign: Campaign, key: str, subject: str) -> NewJob:
    """Describe work that needs the campaign's network and data, and no device.

    Parameters
    ----------
    campaign : Campaign
        Whose network.
    key : str
        Names the work by its content.
    subject : str
        What its result depends on besides the network, such as the data.

    Returns
    -------
    NewJob
        To be given to `share_jobs`.
    """
    return NewJob(key, f"network:{campaign.loaded.digest}", subject, {}, DEADLINE_S, ATTEMPTS)


def share_jobs(
    campaign: Campaign,
    jobs: Sequence[NewJob],
    do: Callable[[str], Iterable[Measurement]],
    update: Callable[[int], None] = lambda done: None,
) -> None:
    """Have jobs done, by this process or by others with the same campaign; return when none is open any more.

    A job that another process does is waited for. It is done here when that process dies, or is not heard of for the time of
    its lease (``[fleet] lease_s``).

    Parameters
    ----------
    campaign : Campaign
        Whose queue.
    jobs : sequence of NewJob
        Of `shared_job`.
    do : callable
        Does the job of a key. What it returns is stored together with the end of the job. It is called for a job that has
        ended elsewhere a moment ago as well, and must look for its result.
    update : callable, optional
        Told how many jobs have ended.
    """
    queue, name, lease_s = Queue(campaign.store), worker_name(), campaign.config.fleet.lease_s
    keys = {j.key for j in jobs}
    queue.submit(jobs)
    places = sorted({j.device for j in jobs})
    kinds = sorted({j.kind for j in jobs})
    ended, idle_s = 0, 0.0
    while keys:
        job = queue.claim(name, places, lease_s=lease_s, kinds=kinds, keys=keys)
        if job is not None:
            try:
                with lease_heartbeat(queue, job, lease_s):
                    rows = list(do(job.key))
                queue.complete(job, rows)
            except BaseException:
                queue.release(job)
                raise
            ended += 1
            update(ended)
            continue
        open_ = sum(j.status in ("queued", "leased") for j in queue.find(keys))
        if len(keys) - open_ > ended:  # others have ended some
            ended = len(keys) - open_
            update(ended)
        if not open_:
            break
        idle_s += WAIT_S
        if idle_s >= SHORT_S:
            campaign.progress.wait(f"{open_} jobs that other processes of this campaign do")
        time.sleep(WAIT_S)
    if idle_s >= SHORT_S:
        campaign.progress.wait("")
    for job in queue.find(keys):
        if job.status == "failed":
            campaign.progress.warn(f"a job of this campaign is given up: {job.failure}.")
