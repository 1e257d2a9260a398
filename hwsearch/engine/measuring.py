"""Measuring subnets: what the store has is taken from it, what it lacks is measured and kept at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import asdict, replace
from functools import partial
from typing import Any

import numpy as np
import onnx
import psutil
from safetensors.torch import save as safetensors_bytes
from torch import nn

from hwsearch.accuracy import Z90, Score, assess, calibrated_subnet, unpack
from hwsearch.devices import Calibration, Model, Sample, Timing, Workload, calibrate, combine
from hwsearch.devices.protocol import Protocol, unsettled
from hwsearch.devices.worker import WorkerError, pack, protocol_of
from hwsearch.engine.campaign import Campaign, Target
from hwsearch.engine.fleet import kept, quiet_host
from hwsearch.engine.pooling import FINAL, is_final, pool
from hwsearch.errors import DeviceError, HwsearchError, MeasurementError
from hwsearch.export import lower, serialise
from hwsearch.objective import DEVICE_METRICS
from hwsearch.spaces import Architecture
from hwsearch.store import Job, Measurement, NewJob, Queue, utc_now, worker_name
from hwsearch.store.queue import job_key
from hwsearch.supernets.base import Part
from hwsearch.supernets.checkpoint import cut

#: a subnet whose measurement failed this often is left alone
MAX_FAILURES = 2
#: how the failure of a job begins that is done again for the host's sake
_MOVED = "the reference moved"


def accuracy_protocol(campaign: Campaign) -> str:
    """How a subnet is made ready before it is judged."""
    batch = campaign.config.data.batch
    return f"bn-recalibration batch {batch}" if "calibration" in campaign.data else f"inherited weights batch {batch}"


def find_accuracy(campaign: Campaign, split: str, purpose: str) -> dict[str, Measurement]:
    """Accuracy measurements by architecture id; failed ones are left out."""
    rows = campaign.store.find(
        metric="accuracy",
        subject=campaign.example_subject(split),
        protocol=accuracy_protocol(campaign),
        purpose=purpose,
        supernet=campaign.loaded.digest,
    )
    return {m.arch_id: m for m in rows if m.value is not None}


def find_latency(campaign: Campaign, target: Target, purpose: str) -> dict[str, Measurement]:
    """Latency measurements by architecture id; failed ones are left out."""
    return find_metric(campaign, target, "latency_ms", purpose)


def find_metric(campaign: Campaign, target: Target, metric: str, purpose: str) -> dict[str, Measurement]:
    """Measurements of one metric on one device by architecture id; failed ones are left out.

    purpose : ``search``; ``validate``: all final measurements, pooled; ``validate:2``, …: of that further round alone
    """
    protocol = campaign.final_protocol if is_final(purpose) else campaign.protocol
    rows = campaign.store.find(
        metric=metric,
        subject=target.fingerprint,
        protocol=protocol.key,
        purpose=None if purpose == FINAL else purpose,
        supernet=campaign.loaded.digest,
    )
    if purpose != FINAL:
        return {m.arch_id: m for m in rows if m.value is not None}
    same: dict[str, list[Measurement]] = {}
    for m in rows:
        if is_final(m.purpose) and m.value is not None:
            same.setdefault(m.arch_id, []).append(m)
    return {k: pool(found, protocol.confidence) for k, found in same.items()}


def failed_too_often(campaign: Campaign, metric: str, subject: str) -> set[str]:
    """Ids of the subnets that are left alone."""
    counts: dict[str, int] = {}
    for m in campaign.store.failures(metric=metric, subject=subject, supernet=campaign.loaded.digest):
        counts[m.arch_id] = counts.get(m.arch_id, 0) + 1
    return {k for k, n in counts.items() if n >= MAX_FAILURES}


def measure_accuracy(
    campaign: Campaign,
    archs: Sequence[Architecture],
    *,
    split: str = "validation",
    purpose: str = "search",
    stage: str = "evaluate",
) -> dict[str, Measurement]:
    """The score of every architecture on the data of `split`; each is stored as soon as it is known.

    What a subnet has answered of the validation examples in a screening is not asked again.
    """
    known = find_accuracy(campaign, split, purpose)
    begun = find_accuracy(campaign, "screen", purpose) if split == "validation" and "screen" in campaign.data else {}
    subject = campaign.example_subject(split)
    given_up = failed_too_often(campaign, "accuracy", subject)
    todo = [a for a in dict.fromkeys(archs) if a.id not in known and a.id not in given_up]
    data = campaign.data[split]
    campaign.store.add_architectures(archs)
    with campaign.progress.task(stage, len(archs), "subnets") as task:
        task.update(len(archs) - len(todo))
        for i, arch in enumerate(todo):
            started = utc_now()
            value: Score | None = None
            failure = None
            try:
                size, batch = campaign.loaded.net.input_size(arch), campaign.config.data.batch
                left = campaign.unscreened if arch.id in begun else data
                value = assess(ready_subnet(campaign, arch), left, size, batch=batch)
                if arch.id in begun:
                    value = recorded(campaign, begun[arch.id]).joined(value)
            except MeasurementError as error:
                failure = str(error)
                campaign.progress.warn(f"subnet {arch.id}: {failure}")
            row = accuracy_row(campaign, arch, value, split, purpose, started, failure=failure)
            campaign.store.add([row])
            if value:
                known[arch.id] = row
            task.update(len(archs) - len(todo) + i + 1)
        task.note(
            f"{len(data):,} examples each"
            + (f" · {len(archs) - len(todo)} already known" if len(todo) < len(archs) else "")
        )
    return {a.id: known[a.id] for a in archs if a.id in known}


def recorded(campaign: Campaign, m: Measurement) -> Score:
    """A measured score with what each example contributed."""
    return unpack(campaign.loaded.entry.score[0], m.record or b"", int(m.details["images"]))


def accuracy_row(
    campaign: Campaign,
    arch: Architecture,
    score: Score | None,
    split: str,
    purpose: str,
    started: str,
    *,
    failure: str | None = None,
    weights: str | None = None,
) -> Measurement:
    """A score, or the failure to get one, as the store keeps it; weights: their digest, where not the supernet's."""
    kind, unit = campaign.loaded.entry.score
    value, error = (score.value, score.standard_error) if score else (None, None)
    half = Z90 * error if error is not None else None
    return Measurement(
        arch_id=arch.id,
        metric="accuracy",
        subject=campaign.example_subject(split),
        protocol=accuracy_protocol(campaign),
        purpose=purpose,
        value=value,
        unit=unit,
        spread=half,
        low=value - half if value is not None and half is not None else None,
        high=value + half if value is not None and half is not None else None,
        repeats=1,
        failure=failure,
        details={"images": len(campaign.data[split]), "score": kind, "split": split, "standard_error": error},
        record=score.pack() if score else None,
        started_at=started,
        ended_at=utc_now(),
        supernet=weights or campaign.loaded.digest,
    )


def doubts(campaign: Campaign, scores: Iterable[Measurement]) -> list[str]:
    """What makes these scores of subnets look as if weights and data did not belong together."""
    found = [m for m in scores if m.value is not None]
    if not found:
        return []
    (kind, unit), classes = campaign.loaded.entry.score, campaign.data["test"].classes
    best = max(found, key=lambda m: m.value or 0.0)
    value, error = float(best.value or 0.0), float(best.details["standard_error"])
    words = f"{kind} {value:.1f}{f' {unit}' if unit else ''}"
    if len(found) > 1 and len({m.value for m in found}) == 1:
        return [f"all {len(found)} evaluated subnets have the same {words}: there is nothing to choose by."]
    if classes and value - Z90 * error <= 100 / len(classes):
        least = f"guessing among {len(classes)} classes: the order of the classes may differ, or"
    elif not classes and value < 1:
        least = "nothing:"
    else:
        return []
    return [
        f"the best of {len(found)} evaluated subnets has {words}, which is not clearly better than {least} "
        "weights and data may not belong together."
    ]


def ready_subnet(campaign: Campaign, arch: Architecture) -> nn.Module:
    """The static subnet as it is judged and handed over: batch norms recalibrated, where it has some."""
    return calibrated_subnet(
        campaign.loaded.net, arch, campaign.data.get("calibration"), batch=campaign.config.data.batch
    )


def models(
    campaign: Campaign, arch: Architecture, subnet: nn.Module, *, batch: int | None = None
) -> list[tuple[Part, onnx.ModelProto]]:
    """The ONNX models that deploy a subnet, with dynamic batch unless one is given."""
    return [
        (p, lower(p.net, p.inputs, outputs=p.outputs, output_axes=p.output_axes, batch=batch))
        for p in campaign.loaded.net.parts(arch, subnet)
    ]


def workload(campaign: Campaign, target: Target, arch: Architecture, *, calibrated: bool = False) -> Workload:
    """A subnet in the form its device's runtime asks for; with recalibrated batch norms when `calibrated`."""
    form = target.form
    if form == "genes":
        return Workload((), arch.id, arch.to_dict())
    subnet = ready_subnet(campaign, arch) if calibrated else cut(campaign.loaded.net, arch)
    if form == "torch":
        parts = [Model(tuple(p.inputs), module=p.net, runs=p.runs) for p in campaign.loaded.net.parts(arch, subnet)]
    else:
        parts = [Model(tuple(p.inputs), serialise(model), runs=p.runs) for p, model in models(campaign, arch, subnet)]
    return Workload(tuple(parts), arch.id, arch.to_dict())


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


def _settled(campaign: Campaign, target: Target, protocol: str, purpose: str, metrics: Sequence[str]) -> set[str]:
    """Ids of what needs no measuring: it has a latency, and a value or a failure of each further metric."""
    settled: set[str] | None = None
    for metric in metrics:
        frame = campaign.store.frame(
            failed=metric != "latency_ms",
            metric=metric,
            subject=target.fingerprint,
            protocol=protocol,
            purpose=purpose,
            supernet=campaign.loaded.digest,
        )
        ids = set(frame["arch_id"])
        settled = ids if settled is None else settled & ids
    return settled or set()


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
            with quiet_host(self.target.exclusive):
                calibration(self.campaign, self.target, self.purpose)
        jobs = self._jobs()
        self.queue.submit(jobs)
        keys = {j.key for j in jobs}
        hands = Hands(self.campaign, [self.target])
        while keys and not self.stop.is_set():
            with quiet_host(self.target.exclusive):
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


def _advance(update: Callable[[float], None], before: float, n: int, share: float) -> None:
    update(before + share * n)


def latency_job(
    campaign: Campaign, target: Target, group: Sequence[Architecture], protocol: Protocol, purpose: str
) -> NewJob:
    """A group of architectures to be measured together on one device; named by all that its result depends on."""
    metrics = [m for m in campaign.device_metrics(target.name) if m != "latency_ms"]
    payload = {
        "archs": [a.to_dict() for a in group],
        "ids": [a.id for a in group],
        "reference": campaign.reference.to_dict(),
        "purpose": purpose,
        "protocol": asdict(protocol),
        "protocol_key": protocol.key,
        "metrics": metrics,
        "deadline_s": campaign.config.fleet.deadline_s,
        "part": False,
    }
    ids = sorted(a.id for a in group)
    key = job_key(target.fingerprint, protocol.key, purpose, campaign.loaded.digest, metrics, ids)
    return NewJob(key, job_kind(campaign), target.fingerprint, payload, _deadline(payload), max_attempts=3)


def job_kind(campaign: Campaign) -> str:
    """What a worker must have to do a campaign's latency jobs: its supernet."""
    return f"latency:{campaign.loaded.digest}"


def _process_s(protocol: Protocol, models: int) -> float:
    """How long one measuring process may take: twice the protocol's budget, and time to start, load and warm up."""
    return 60 + 2 * protocol.budget_s + 2 * models


def _deadline(payload: Mapping[str, Any]) -> float:
    """What is configured for a whole job, or what its processes may take."""
    if payload["deadline_s"] is not None:
        return float(payload["deadline_s"])
    protocol = protocol_of(payload["protocol"])
    return protocol.processes[1] * _process_s(protocol, len(payload["ids"]))


def halves(job: Job) -> list[NewJob]:
    """Two jobs in the place of one, to find the model that it fails by."""
    ids, archs = job.payload["ids"], job.payload["archs"]
    middle = len(ids) // 2
    found = []
    for half in (slice(None, middle), slice(middle, None)):
        payload = {**job.payload, "ids": ids[half], "archs": archs[half], "part": True}
        attempts = MAX_FAILURES if len(payload["ids"]) == 1 else job.max_attempts
        key = job_key(job.key, payload["ids"])
        found.append(NewJob(key, job.kind, job.device, payload, _deadline(payload), attempts))
    return found


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
    ) -> tuple[dict[str, Timing], dict[str, Mapping[str, Any]], dict[str, Any]]:
        """By id: timings from as many processes as it takes; answers on further metrics; and what goes with all rows."""
        protocol = protocol_of(job.payload["protocol"])
        scale = calibration(self.campaign, target, job.payload["purpose"])
        spec, files = packed(self.campaign, target, job, genes)
        fewest, most = protocol.processes
        found: list[list[Sample | None]] = []
        answers: list[dict[str, Any]] = []
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
            part = spec | {"workloads": entries, "seed": [*spec["seed"], k], "metrics": [] if k else spec["metrics"]}
            share = (lambda x, k=k: tick(min(1.0, (k + x) / fewest))) if tick is not None else None
            answer = target.executor.run(part, _files_of(part, files), limit, share)
            longest = max(longest, time.monotonic() - began)
            answers.append(answer)
            samples = {r["arch_id"]: Sample.from_dict(r["sample"]) for r in answer["rows"]}
            found.append([samples.get(i) for i in ids])
            timings = combine(found, protocol, scale)
            left = unsettled(timings, protocol) if k + 1 >= fewest else range(len(ids))
            open_ = {ids[i] for i in left if timings[i].failure is None}
            if not open_:
                break
        further = {r["arch_id"]: r for r in answers[0]["rows"]}
        told = {
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
        further: Mapping[str, Mapping[str, Any]],
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


def calibration(campaign: Campaign, target: Target, purpose: str) -> Calibration:
    """What latencies on a device are brought to, measured when first needed: several processes time the same few models.

    For ``validate`` it is made anew: from as many processes again and from every group timed before, which makes it
    better known; all final latencies share it.
    """
    purpose = FINAL if is_final(purpose) else purpose
    place = f"calibration:{target.fingerprint}:{campaign.loaded.digest}:{purpose}"
    found = campaign.store.get_state(place, 1)
    if found is None:
        made = _calibrate(campaign, target, purpose)
        if purpose == FINAL:
            rows = find_latency(campaign, target, "search").values()
            made = made.extended(sorted({float(m.details["quiet_ms"]) for m in rows if "quiet_ms" in m.details}))
        campaign.store.put_state(place, made.to_dict())
        found = campaign.store.get_state(place, 1)  # another worker may have been faster
        assert found is not None
    return Calibration.from_dict(found)


def _calibrate(campaign: Campaign, target: Target, purpose: str) -> Calibration:
    protocol = campaign.protocol
    short = replace(protocol, visits=4)
    probes = campaign.space.sample_balanced(4, np.random.default_rng(0), campaign.loaded.balanced_cost)
    files: dict[str, bytes] = {}
    with _BUILDING:
        entries = [_packed(campaign, target, a, i, False, files) for i, a in enumerate(probes)]
        reference = _packed(campaign, target, campaign.reference, len(probes), False, files)
    spec = job_head(campaign, target, "measure") | {
        "protocol": asdict(short),
        "metrics": [],
        "workloads": entries,
        "reference": reference,
    }
    found: list[list[Sample]] = []
    failure, tried = "nothing was timed.", 0
    deadline_s = campaign.config.fleet.deadline_s or _process_s(protocol, len(probes))
    wanted = -(-protocol.calibrate // 2)  # all that is measured later rests on it, so not on a few of many
    with campaign.progress.task(f"calibrate {target.name}", protocol.calibrate, "processes") as task:
        for k in range(protocol.calibrate):
            if k - len(found) > protocol.calibrate - wanted or (not found and k == 3):
                break
            tried = k + 1
            seed = [campaign.config.search.seed, k, *purpose.encode()]
            try:
                answer = target.executor.run(spec | {"seed": seed}, files, deadline_s)
            except (DeviceError, MeasurementError) as error:
                failure = str(error)
                continue
            samples = [Sample.from_dict(r["sample"]) for r in answer["rows"]]
            failed = [s.failure for s in samples if s.failure is not None]
            if failed:
                failure = failed[0]
            else:
                found.append(samples)
            task.update(k + 1)
        if len(found) < wanted:
            raise DeviceError(
                f"device {target.name!r} cannot be calibrated; {len(found)} of {tried} processes could: {failure}",
                hint="Put the device right, and give the same command again.",
            )
        made = calibrate(found)
        task.note(f"reference {made.baseline_ms:.4g} ms ±{100 * 2 * made.baseline_sd:.1f} %")
    return made


#: building subnets changes the supernet, so one thread at a time does
_BUILDING = threading.Lock()


def _files_of(spec: Mapping[str, Any], files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The files that a job's workloads need."""
    wanted = set()
    for entry in (*spec["workloads"], spec["reference"]):
        wanted |= {p["file"] for p in entry["parts"]} | ({entry["weights"]} if entry.get("weights") else set())
    return {k: v for k, v in files.items() if k in wanted}


def packed(
    campaign: Campaign, target: Target, job: Job, genes: Sequence[Mapping[str, Any]]
) -> tuple[dict[str, Any], dict[str, bytes]]:
    """A job as its measuring process gets it: (JSON, files)."""
    files: dict[str, bytes] = {}
    calibrated = is_final(job.payload["purpose"])
    space = campaign.space
    with _BUILDING:
        entries = [_packed(campaign, target, space.architecture(g), i, calibrated, files) for i, g in enumerate(genes)]
        reference = _packed(campaign, target, space.architecture(job.payload["reference"]), len(genes), False, files)
    spec = job_head(campaign, target, "measure") | {
        "protocol": job.payload["protocol"],
        "seed": [campaign.config.search.seed, job.id, job.attempts],
        "metrics": job.payload["metrics"],
        "workloads": entries,
        "reference": reference,
    }
    return spec, files


def job_head(campaign: Campaign, target: Target, do: str) -> dict[str, Any]:
    """What every job tells: what to do, on which device, and of which supernet."""
    s = campaign.config.supernet
    supernet = {"name": s.name, "checkpoint": s.checkpoint, "sort": s.sort, "digest": campaign.loaded.digest}
    return {"do": do, "form": target.form, "device": asdict(target.device), "supernet": supernet}


def _packed(
    campaign: Campaign, target: Target, arch: Architecture, number: int, calibrated: bool, files: dict[str, bytes]
) -> dict[str, Any]:
    if target.form != "torch":
        return pack(workload(campaign, target, arch, calibrated=calibrated), number, files)
    entry: dict[str, Any] = {"arch_id": arch.id, "genes": arch.to_dict(), "parts": []}
    if calibrated:
        entry["weights"] = f"{number}.safetensors"
        state = ready_subnet(campaign, arch).state_dict()
        files[entry["weights"]] = safetensors_bytes({k: v.detach().clone().contiguous() for k, v in state.items()})
    return entry


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
            with quiet_host(target.exclusive):
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


def group_size(campaign: Campaign, protocol: Protocol) -> int:
    """How many subnets are timed together: the protocol's number, or fewer where their sessions would fill the memory.

    A session holds a model's weights about twice; all of a group get a third of what is free.
    """
    weights = 8 * campaign.loaded.net.params(campaign.space.largest())
    return max(1, min(protocol.group, int(psutil.virtual_memory().available / 3 / weights)))


def _check(campaign: Campaign, target: Target) -> dict[str, int]:
    if not target.remote:
        return target.runtime.verify(workload(campaign, target, campaign.reference))
    files: dict[str, bytes] = {}
    reference = _packed(campaign, target, campaign.reference, 0, False, files)
    spec = job_head(campaign, target, "verify") | {"reference": reference}
    return dict(target.executor.run(spec, files, 120.0)["counts"])


def check_devices(campaign: Campaign) -> list[str]:
    """Run one model on every device and see that the provider asked for runs all of it; returns remarks."""
    remarks = []
    with campaign.progress.task("check", len(campaign.targets), "devices") as task:
        for i, target in enumerate(campaign.targets.values()):
            counts = _check(campaign, target)
            remarks.append(f"{target.name}: {sum(counts.values())} nodes on {', '.join(counts)}")
            task.update(i + 1)
        task.note(" · ".join(remarks))
    return remarks


__all__ = [
    "check_devices",
    "doubts",
    "find_accuracy",
    "find_latency",
    "find_metric",
    "measure_accuracy",
    "measure_latencies",
    "measure_latency",
    "models",
    "ready_subnet",
    "work",
    "workload",
]
