"""Measuring subnets: what the store has is taken from it, what it lacks is measured and kept at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import onnx
import psutil
from torch import nn

from hwsearch.accuracy import Z90, Score, assess, calibrated_subnet
from hwsearch.devices import Model, Workload, load_average, measure_group
from hwsearch.devices.protocol import Protocol, Timing
from hwsearch.engine.campaign import Campaign, Target
from hwsearch.errors import DeviceError, MeasurementError
from hwsearch.export import lower
from hwsearch.spaces import Architecture
from hwsearch.store import Measurement, utc_now
from hwsearch.supernets.base import Part

#: a subnet whose measurement failed this often is left alone
MAX_FAILURES = 2


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
    """Measurements of one metric on one device by architecture id; failed ones are left out."""
    protocol = campaign.final_protocol if purpose == "validate" else campaign.protocol
    rows = campaign.store.find(
        metric=metric,
        subject=target.fingerprint,
        protocol=protocol.key,
        purpose=purpose,
        supernet=campaign.loaded.digest,
    )
    return {m.arch_id: m for m in rows if m.value is not None}


def _failed_too_often(campaign: Campaign, metric: str, subject: str) -> set[str]:
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
    """The score of every architecture on the data of `split`; each is stored as soon as it is known."""
    known = find_accuracy(campaign, split, purpose)
    subject = campaign.example_subject(split)
    given_up = _failed_too_often(campaign, "accuracy", subject)
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
                size = campaign.loaded.net.input_size(arch)
                value = assess(ready_subnet(campaign, arch), data, size, batch=campaign.config.data.batch)
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
    form = target.runtime.form
    if form == "genes":
        return Workload((), arch.id, arch.to_dict())
    subnet = ready_subnet(campaign, arch) if calibrated else campaign.loaded.net.subnet(arch).eval()
    if form == "torch":
        parts = [Model(tuple(p.inputs), module=p.net, runs=p.runs) for p in campaign.loaded.net.parts(arch, subnet)]
    else:
        parts = [
            Model(tuple(p.inputs), bytes(model.SerializeToString()), runs=p.runs)
            for p, model in models(campaign, arch, subnet)
        ]
    return Workload(tuple(parts), arch.id, arch.to_dict())


def measure_latency(
    campaign: Campaign,
    target: Target,
    archs: Sequence[Architecture],
    *,
    purpose: str = "search",
    stage: str = "profile",
) -> dict[str, Measurement]:
    """Latency of every architecture on one device, in groups measured together; each group is stored at once.

    purpose : ``search`` (the usual protocol) or ``validate`` (the final one, on the very model that is handed over)
    """
    final = purpose == "validate"
    protocol = campaign.final_protocol if final else campaign.protocol
    known = find_latency(campaign, target, purpose)
    given_up = _failed_too_often(campaign, "latency_ms", target.fingerprint)
    todo = [a for a in dict.fromkeys(archs) if a.id not in known and a.id not in given_up]
    campaign.store.add_architectures(archs)
    campaign.store.add_device(target.fingerprint, target.name, target.facts)
    drifts: list[float] = []
    with campaign.progress.task(f"{stage} {target.name}", len(archs), "subnets") as task:
        done = len(archs) - len(todo)
        task.update(done)
        rng = np.random.default_rng([campaign.config.search.seed, len(known), len(todo)])
        size = group_size(campaign, protocol)
        for start in range(0, len(todo), size):
            group = todo[start : start + size]
            rows = _measure_group(
                campaign,
                target,
                group,
                protocol,
                purpose,
                rng,
                lambda share, n=len(group), d=done: task.update(d + share * n),
            )
            campaign.store.add(rows)
            for row in rows:
                if row.value is None:
                    campaign.progress.warn(f"subnet {row.arch_id} on {target.name}: {row.failure}")
                else:
                    known[row.arch_id] = row
                    drifts.append(float(row.details["drift_pct"]))
            done += len(group)
            task.update(done)
        if drifts:
            worst = max(drifts, key=abs)
            task.note(f"drift {worst:+.1f} % corrected")
        elif archs:
            task.note("already known")
    return {a.id: known[a.id] for a in archs if a.id in known}


def group_size(campaign: Campaign, protocol: Protocol) -> int:
    """How many subnets are timed together: the protocol's number, or fewer where their sessions would fill the memory.

    A session holds a model's weights about twice; all of a group get a third of what is free.
    """
    weights = 8 * campaign.loaded.net.params(campaign.space.largest())
    return max(1, min(protocol.group, int(psutil.virtual_memory().available / 3 / weights)))


def _measure_group(
    campaign: Campaign,
    target: Target,
    group: Sequence[Architecture],
    protocol: Protocol,
    purpose: str,
    rng: np.random.Generator,
    tick: object,
) -> list[Measurement]:
    started = utc_now()
    load_before = load_average()
    sessions, alive, failures = [], [], {}
    for arch in group:
        try:
            sessions.append(target.runtime.load(workload(campaign, target, arch, calibrated=purpose == "validate")))
            alive.append(arch)
        except (DeviceError, MeasurementError) as error:
            failures[arch.id] = str(error)
    timings: list[Timing] = []
    state = f"baseline:{target.fingerprint}:{campaign.loaded.digest}"
    if sessions:
        reference = target.runtime.load(workload(campaign, target, campaign.reference))
        baseline = campaign.store.get_state(state)
        timings = measure_group(
            sessions,
            reference,
            protocol,
            rng,
            baseline=baseline["ms"] if baseline else None,
            tick=tick,  # type: ignore[arg-type]
        )
        if baseline is None:
            campaign.store.put_state(state, {"ms": timings[0].baseline, "reference": campaign.reference.id})
    common: dict[str, Any] = {
        "metric": "latency_ms",
        "subject": target.fingerprint,
        "protocol": protocol.key,
        "purpose": purpose,
        "unit": "ms",
        "started_at": started,
        "ended_at": utc_now(),
        "supernet": campaign.loaded.digest,
    }
    rows = []
    for arch, timing in zip(alive, timings, strict=True):
        low, high = timing.interval
        details = timing.summary(protocol.half_width)
        details |= {
            "load_before": load_before,
            "load_after": load_average(),
            "group": len(group),
            "device": target.name,
        }
        details["block_ms"] = [round(float(v), 5) for v in timing.raw]
        rows.append(
            Measurement(
                arch_id=arch.id,
                value=timing.value,
                spread=(high - low) / 2,
                low=low,
                high=high,
                repeats=len(timing.runs),
                details=details,
                **common,
            )
        )
    rows += [Measurement(arch_id=i, value=None, failure=text, **common) for i, text in failures.items()]
    return rows


def check_devices(campaign: Campaign) -> list[str]:
    """Run one model on every device and see that the provider asked for runs all of it; returns remarks."""
    remarks = []
    with campaign.progress.task("check", len(campaign.targets), "devices") as task:
        for i, target in enumerate(campaign.targets.values()):
            counts = target.runtime.verify(workload(campaign, target, campaign.reference))
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
    "measure_latency",
    "models",
    "ready_subnet",
    "workload",
]
