"""A worker that claims latency jobs from the queue, measures, and stores."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.jobs.group import time_group
from hwsearch.campaigns.jobs.job import halves, job_kind, payload_of
from hwsearch.campaigns.jobs.lease import lease_heartbeat
from hwsearch.campaigns.jobs.rows import RowMaker
from hwsearch.campaigns.lookup import find_settled
from hwsearch.campaigns.purpose import Purpose
from hwsearch.campaigns.target import Target
from hwsearch.devices.fleet.responses import WorkerError
from hwsearch.errors import DeviceError, HwsearchError, MeasurementError
from hwsearch.store import Job, Queue, worker_name


class LatencyWorker:
    """Claims latency jobs for the given devices from the queue and runs them until none is left.

    Parameters
    ----------
    campaign : Campaign
        Whose jobs.
    targets : sequence of Target
        The devices.

    Attributes
    ----------
    failed : dict of str to int
        Attempts that failed in a row, by fingerprint of the device.
    """

    #: attempts that fail in a row before a device counts as lost
    PATIENCE = 6

    def __init__(self, campaign: Campaign, targets: Sequence[Target]) -> None:
        self.campaign = campaign
        self.queue = Queue(campaign.store)
        self.name = worker_name()
        self.targets = {t.fingerprint: t for t in targets}
        self.lease_s = campaign.config.fleet.lease_s
        self.failed: dict[str, int] = dict.fromkeys(self.targets, 0)

    def claim(self, keys: set[str] | None = None) -> Job | None:
        """Claim a job of the campaign's supernet.

        Parameters
        ----------
        keys : set of str, optional
            Of these jobs only.

        Returns
        -------
        Job or None
            None when none is queued.
        """
        return self.queue.claim(
            self.name, list(self.targets), lease_s=self.lease_s, kinds=[job_kind(self.campaign)], keys=keys
        )

    def run(self, job: Job, tick: Callable[[float], None] | None = None) -> None:
        """Measure what a job asks for and store it; a failure is recorded with the job.

        Parameters
        ----------
        job : Job
            A claimed job.
        tick : callable, optional
            Takes the share that is done.

        Raises
        ------
        DeviceError
            When the device seems lost.
        """
        target = self.targets[job.device]
        try:
            with lease_heartbeat(self.queue, job, self.lease_s):
                self._attempt(target, job, tick)
        except WorkerError as error:
            self._note(target, job, error, self._crashed(job, str(error)))
        except (DeviceError, MeasurementError) as error:
            self._note(target, job, error, self.queue.fail(job, str(error)))
        except BaseException:
            self.queue.release(job)
            raise

    def _attempt(self, target: Target, job: Job, tick: Callable[[float], None] | None) -> None:
        p = payload_of(job)
        metrics = ["latency_ms", *p["metrics"]]
        settled = find_settled(self.campaign, target, p["protocol_key"], Purpose.parse(p["purpose"]), metrics, p["ids"])
        todo = [(i, g) for i, g in zip(p["ids"], p["archs"], strict=True) if i not in settled]
        if not todo:
            self.queue.complete(job)
            return
        found = time_group(self.campaign, target, job, [i for i, _ in todo], [g for _, g in todo], tick)
        self.failed[job.device] = 0
        rows = RowMaker(job, self.campaign.loaded.digest).measured(found, found.timings)
        for m in rows:
            if m.failure is not None:
                self.campaign.progress.warn(f"subnet {m.arch_id} on {target.name}: {m.failure}")
        self.queue.complete(job, rows)

    def _crashed(self, job: Job, text: str) -> str | None:
        """Try a job again whose measuring process failed, or look for the model it fails by; return what became of it."""
        ids = payload_of(job)["ids"]
        many = len(ids) > 1
        if many and (payload_of(job)["part"] or job.attempts >= 2):
            return "split" if self.queue.split(job, halves(job), text) else None
        rows = [] if many else [RowMaker(job, self.campaign.loaded.digest).failed(ids[0], text)]
        return self.queue.fail(job, text, rows)

    def _note(self, target: Target, job: Job, error: HwsearchError, became: str | None) -> None:
        self.failed[job.device] += 1
        what = {"queued": "tried again", "split": "measured in two halves", "failed": "given up"}.get(became or "", "")
        self.campaign.progress.warn(f"{target.name}: {error} These {len(payload_of(job)['ids'])} subnets are {what}.")
        gone = became == "failed" and not isinstance(error, WorkerError)
        if gone or self.failed[job.device] >= self.PATIENCE:
            raise DeviceError(
                f"device {target.name!r} is lost: {self.failed[job.device]} attempts in a row failed, the last with: {error}",
                hint="Everything measured is kept: put the device right, and give the same command again.",
            ) from error
