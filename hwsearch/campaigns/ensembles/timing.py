"""Measure models that are no subnets, such as an ensemble, on a device of a campaign."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.jobs.registration import enter_device
from hwsearch.campaigns.jobs.turn import turn
from hwsearch.campaigns.jobs.workloads import pack_workload, spec_head
from hwsearch.campaigns.target import Target
from hwsearch.devices import Sample, Timing, Workload, combine
from hwsearch.devices.fleet.jobs import PackedWorkload, WorkerJob
from hwsearch.devices.fleet.jobs import pack_workload as pack_models
from hwsearch.devices.timing.estimate import not_converged
from hwsearch.errors import DeviceError, MeasurementError

#: seconds that a measuring process has beside the protocol's time
START_S = 120.0


def check_measurable(target: Target) -> None:
    """Refuse a device that runs no model files.

    Parameters
    ----------
    target : Target
        The device.

    Raises
    ------
    DeviceError
        If its runtime takes something else than ONNX.
    """
    if target.form != "onnx":
        raise DeviceError(
            f"device {target.name!r} runs {target.form}, and an ensemble is an ONNX file: it cannot be measured there.",
            hint="Leave measure out.",
        )


def time_models(campaign: Campaign, target: Target, workloads: Mapping[str, Workload]) -> dict[str, Timing]:
    """Time models together by the campaign's final protocol, beside its reference subnet.

    Parameters
    ----------
    campaign : Campaign
        Whose protocol and reference.
    target : Target
        The device.
    workloads : mapping of str to Workload
        Models by a name of theirs.

    Returns
    -------
    dict of str to Timing
        By name.

    Raises
    ------
    DeviceError
        If the device is lost, or runs no model files.
    MeasurementError
        If a model cannot be run.
    """
    check_measurable(target)
    protocol, files = campaign.final_protocol, dict[str, bytes]()
    enter_device(campaign, target)
    packed: list[PackedWorkload] = []
    for number, (name, workload) in enumerate(workloads.items()):
        packed.append(pack_models(replace(workload, arch_id=name), number, files))
    reference = pack_workload(campaign, target, campaign.reference, len(packed), False, files)
    fewest, most = campaign.config.validate_.processes
    found: list[list[Sample]] = []
    at: list[float] = []
    timings: list[Timing] = []
    for k in range(most):
        job: WorkerJob = {
            **spec_head(campaign, target, "measure"),
            "protocol": protocol.model_dump(),
            "seed": [campaign.config.search.seed, *b"ensemble", k],
            "metrics": [],
            "workloads": packed,
            "reference": reference,
        }
        with turn(campaign, target):
            answer = target.executor.run(job, files, START_S + 3 * protocol.budget_s)
        samples = {r["arch_id"]: Sample.from_dict(r["sample"]) for r in answer["rows"]}
        found.append([samples[name] for name in workloads])
        ends = (datetime.fromisoformat(answer[end]).timestamp() for end in ("started_at", "ended_at"))
        at.append(sum(ends) / 2)
        timings = combine(found, protocol, at=at)
        if k + 1 >= fewest and not not_converged(timings, protocol):
            break
    for name, timing in zip(workloads, timings, strict=True):
        if timing.failure is not None:
            raise MeasurementError(f"{name!r} cannot be measured on {target.name!r}: {timing.failure}")
    return dict(zip(workloads, timings, strict=True))
