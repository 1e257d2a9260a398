"""Measuring subnets: what the store has is taken from it, what it lacks is measured and kept at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.jobs.calibration import calibration
from hwsearch.campaigns.jobs.job import _advance, _process_s, halves, job_kind
from hwsearch.campaigns.jobs.lease import kept
from hwsearch.campaigns.jobs.workloads import _files_of, packed
from hwsearch.campaigns.known import _settled
from hwsearch.campaigns.target import Target
from hwsearch.devices import Sample, Timing, combine
from hwsearch.devices.fleet.host_lock import host_lock
from hwsearch.devices.fleet.jobs import MeasuredRow, WorkerJob, WorkerResponse
from hwsearch.devices.fleet.responses import WorkerError
from hwsearch.devices.timing.estimate import not_converged
from hwsearch.devices.timing.protocol import TimingProtocol
from hwsearch.errors import DeviceError, HwsearchError, MeasurementError
from hwsearch.objectives.names import DEVICE_METRICS
from hwsearch.store import Job, Measurement, Queue, worker_name

#: how the failure of a job begins that is done again for the host's sake
_MOVED = "the reference moved"


class Hands:
    """One worker: takes jobs of some devices and does them."""

    #: attempts that fail in a row before a device counts as lost
    PATIENCE = 6

    def __init__(self, campaign: Campaign, targets: Sequence[Target]) -> None:
        self.campaign = campaign
        self.queue = Queue(campaign.store)
        self.name = worker_name()
        self.targets = {t.fingerprint: t for t in targets}
        self.lease_s = campaign.config.fleet.lease_s
        self.failed: dict[str, int] = dict.fromkeys(self.targets, 0)

    def take(self, keys: set[str] | None = None) -> Job | None:
        """Claim a job; of these keys, or any of this supernet."""
        return self.queue.claim(
            self.name, list(self.targets), lease_s=self.lease_s, kinds=[job_kind(self.campaign)], keys=keys
        )

    def do(self, job: Job, tick: Callable[[float], None] | None = None) -> None:
        """Measure and store; a failure is recorded with the job. Raises `DeviceError` when the device seems lost."""
        target = self.targets[job.device]
        try:
            with kept(self.queue, job, self.lease_s):
                self._attempt(target, job, tick)
        except WorkerError as error:
            self._note(target, job, error, self._crashed(job, str(error)))
        except (DeviceError, MeasurementError) as error:
            self._note(target, job, error, self.queue.fail(job, str(error)))
        except BaseException:
            self.queue.release(job)
            raise

    def _attempt(self, target: Target, job: Job, tick: Callable[[float], None] | None) -> None:
        p = job.payload
        metrics = ["latency_ms", *p["metrics"]]
        settled = _settled(self.campaign, target, p["protocol_key"], p["purpose"], metrics)
        todo = [(i, g) for i, g in zip(p["ids"], p["archs"], strict=True) if i not in settled]
        if not todo:
            self.queue.complete(job)
            return
        timings, further, told = self._measured(target, job, [i for i, _ in todo], [g for _, g in todo], tick)
        self.failed[job.device] = 0
        moved = {i for i, t in timings.items() if t.failure is None and t.moved}
        once_more = job.attempts < job.max_attempts and not (job.failure or "").startswith(_MOVED)
        again = moved if once_more else set()
        rows = self._rows(job, {i: t for i, t in timings.items() if i not in again}, further, told)
        for m in rows:
            if m.failure is not None:
                self.campaign.progress.warn(f"subnet {m.arch_id} on {target.name}: {m.failure}")
        if again:
            text = f"{_MOVED} while {len(again)} subnets were measured; they are measured again"
            self.campaign.progress.warn(f"{target.name}: {text}.")
            self.queue.fail(job, text, rows)
        else:
            self.queue.complete(job, rows)
            if moved:
                self.campaign.progress.warn(
                    f"{target.name}: the reference moved again while {len(moved)} subnets were measured; "
                    "their latencies are kept and say so."
                )

    def _measured(
        self,
        target: Target,
        job: Job,
        ids: Sequence[str],
        genes: Sequence[Mapping[str, Any]],
        tick: Callable[[float], None] | None,
    ) -> tuple[dict[str, Timing], dict[str, MeasuredRow], dict[str, Any]]:
        """By id: timings from as many processes as it takes; answers on further metrics; and what goes with all rows."""
        protocol = TimingProtocol(**job.payload["protocol"])
        scale = calibration(self.campaign, target, job.payload["purpose"])
        spec, files = packed(self.campaign, target, job, genes)
        fewest, most = protocol.processes
        found: list[list[Sample | None]] = []
        answers: list[WorkerResponse] = []
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
            limit = left_s if job.payload["deadline_s"] is not None else min(left_s, _process_s(protocol, len(ids)))
            entries = [e for e in spec["workloads"] if e["arch_id"] in open_]
            changes = {"workloads": entries, "seed": [*spec["seed"], k], "metrics": [] if k else spec["metrics"]}
            part: WorkerJob = {**spec, **changes}  # type: ignore[typeddict-item]
            share = (lambda x, k=k: tick(min(1.0, (k + x) / fewest))) if tick is not None else None
            answer = target.executor.run(part, _files_of(part, files), limit, share)
            longest = max(longest, time.monotonic() - began)
            answers.append(answer)
            samples = {r["arch_id"]: Sample.from_dict(r["sample"]) for r in answer["rows"]}
            found.append([samples.get(i) for i in ids])
            timings = combine(found, protocol, scale)
            left = not_converged(timings, protocol) if k + 1 >= fewest else range(len(ids))
            open_ = {ids[i] for i in left if timings[i].failure is None}
            if not open_:
                break
        further = {r["arch_id"]: r for r in answers[0]["rows"]}
        told: dict[str, Any] = {
            "started_at": answers[0]["started_at"],
            "ended_at": answers[-1]["ended_at"],
            "details": {
                "load_before": answers[0]["load"][0],
                "load_after": answers[-1]["load"][1],
                "group": len(ids),
                "device": target.name,
            },
        }
        return dict(zip(ids, timings, strict=True)), further, told

    def _common(self, job: Job) -> dict[str, Any]:
        return {
            "subject": job.device,
            "protocol": job.payload["protocol_key"],
            "purpose": job.payload["purpose"],
            "supernet": self.campaign.loaded.digest,
        }

    def _rows(
        self,
        job: Job,
        timings: Mapping[str, Timing],
        further: Mapping[str, MeasuredRow],
        told: Mapping[str, Any],
    ) -> list[Measurement]:
        common = self._common(job) | {"started_at": told["started_at"], "ended_at": told["ended_at"]}
        half_width = float(job.payload["protocol"]["half_width"])
        found = []
        for arch_id, t in timings.items():
            latency = common | {"arch_id": arch_id, "metric": "latency_ms", "unit": "ms"}
            if t.failure is not None:
                found.append(Measurement(value=None, failure=t.failure, **latency))
                continue
            details = {
                **t.summary(half_width),
                **told["details"],
                "load_ms": [round(float(v), 6) for v in t.loads],
                "block_ms": [round(float(v), 5) for v in t.raw],
            }
            found.append(
                Measurement(
                    value=t.value,
                    spread=(t.high - t.low) / 2,
                    low=t.low,
                    high=t.high,
                    repeats=len(t.runs),
                    details=details,
                    **latency,
                )
            )
            answer = further[arch_id]
            for name in job.payload["metrics"]:
                value = (answer.get("metrics") or {}).get(name)
                failure = answer.get("metrics_failure") or f"this device does not measure {name}"
                metric = latency | {"metric": name, "unit": DEVICE_METRICS[name], "details": told["details"]}
                found.append(Measurement(value=value, failure=None if value is not None else failure, **metric))
        return found

    def _crashed(self, job: Job, text: str) -> str | None:
        """A measuring process failed: try again, then look for the model it fails by; what became of the job."""
        many = len(job.payload["ids"]) > 1
        if many and (job.payload["part"] or job.attempts >= 2):
            return "split" if self.queue.split(job, halves(job), text) else None
        rows = []
        if not many:
            common = self._common(job) | {"arch_id": job.payload["ids"][0], "metric": "latency_ms", "unit": "ms"}
            rows = [Measurement(value=None, failure=text, **common)]
        return self.queue.fail(job, text, rows)

    def _note(self, target: Target, job: Job, error: HwsearchError, became: str | None) -> None:
        self.failed[job.device] += 1
        what = {"queued": "tried again", "split": "measured in two halves", "failed": "given up"}.get(became or "", "")
        self.campaign.progress.warn(f"{target.name}: {error} These {len(job.payload['ids'])} subnets are {what}.")
        gone = became == "failed" and not isinstance(error, WorkerError)
        if gone or self.failed[job.device] >= self.PATIENCE:
            raise DeviceError(
                f"device {target.name!r} is lost: {self.failed[job.device]} attempts in a row failed, the last with: {error}",
                hint="Everything measured is kept: put the device right, and give the same command again.",
            ) from error


def work(campaign: Campaign, devices: Sequence[str] = (), *, wait: bool = False) -> dict[str, int]:
    """Be a further worker: do queued latency jobs of these devices (all of the campaign on this host, if none is named).

    Ends when none is queued, or with `wait` never. Returns the number of jobs done by device.
    """
    targets = [campaign.target(n) for n in devices] or [t for t in campaign.targets.values() if not t.remote]
    done = {t.name: 0 for t in targets}
    hands = {t.name: Hands(campaign, [t]) for t in targets}
    while True:
        idle = True
        for target in targets:
            with host_lock(target.exclusive):
                job = hands[target.name].take()
                if job is not None:
                    idle, n = False, len(job.payload["ids"])
                    with campaign.progress.task(f"work {target.name}", n, "subnets") as task:
                        hands[target.name].do(job, partial(_advance, task.update, 0, n))
                    done[target.name] += 1
        if idle:
            if not wait:
                return done
            time.sleep(1.0)
