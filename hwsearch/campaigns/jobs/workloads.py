"""Build what a device runs: subnets as models or weights, and the specification of a measuring process."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Literal

import onnx
from safetensors.torch import save as safetensors_bytes
from torch import nn

from hwsearch.accuracy import calibrated_subnet
from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.jobs.job import Genes, payload_of
from hwsearch.campaigns.purpose import Purpose
from hwsearch.campaigns.target import Target
from hwsearch.devices import Model, Workload
from hwsearch.devices.fleet.jobs import PackedWorkload, SupernetSpec, WorkerJob, device_job
from hwsearch.devices.fleet.jobs import pack_workload as pack_models
from hwsearch.exporters import lower, serialise
from hwsearch.spaces import Architecture
from hwsearch.store import Job
from hwsearch.supernets.base import Part
from hwsearch.supernets.checkpoint import extract_subnet

#: building subnets changes the supernet, so one thread at a time does
BUILDING = threading.Lock()


def ready_subnet(campaign: Campaign, arch: Architecture) -> nn.Module:
    """Build the static subnet as it is evaluated and exported.

    Parameters
    ----------
    campaign : Campaign
        Whose supernet and calibration data.
    arch : Architecture
        The subnet.

    Returns
    -------
    torch.nn.Module
        With recalibrated batch norms, where it has some.
    """
    key = (campaign.loaded.digest, arch.id)
    buffers = campaign.subnets.recalibrated(key)
    if buffers is None:
        calibration = campaign.data.get("calibration")
        net = calibrated_subnet(campaign.loaded.net, arch, calibration, batch=campaign.config.data.batch)
        campaign.subnets.keep_recalibrated(key, net)
        return net
    net = calibrated_subnet(campaign.loaded.net, arch, None)
    net.load_state_dict(buffers, strict=False)
    return net


def is_recalibrated(campaign: Campaign, arch: Architecture) -> bool:
    """Tell whether this process still has the batch-norm statistics of a subnet, so that they need not be recalibrated.

    Parameters
    ----------
    campaign : Campaign
        Whose supernet.
    arch : Architecture
        The subnet.

    Returns
    -------
    bool
    """
    return campaign.subnets.recalibrated((campaign.loaded.digest, arch.id)) is not None


def onnx_models(
    campaign: Campaign, arch: Architecture, subnet: nn.Module, *, batch: int | None = None
) -> list[tuple[Part, onnx.ModelProto]]:
    """Lower a subnet to the ONNX models that deploy it.

    Parameters
    ----------
    campaign : Campaign
        Whose supernet.
    arch : Architecture
        The subnet.
    subnet : torch.nn.Module
        The subnet with its weights.
    batch : int, optional
        A fixed batch size; dynamic by default.

    Returns
    -------
    list of tuple of Part and onnx.ModelProto
        One a part of the network; most have one.
    """
    return [
        (p, lower(p.net, p.inputs, outputs=p.outputs, output_axes=p.output_axes, batch=batch))
        for p in campaign.loaded.net.parts(arch, subnet)
    ]


def workload(campaign: Campaign, target: Target, arch: Architecture, *, calibrated: bool = False) -> Workload:
    """Build a subnet in the form that a device's runtime asks for.

    Parameters
    ----------
    campaign : Campaign
        Whose supernet.
    target : Target
        The device.
    arch : Architecture
        The subnet.
    calibrated : bool
        Whether to recalibrate batch norms, as for a model that is handed over.

    Returns
    -------
    Workload
        Genes, torch modules or ONNX files.
    """
    form = target.form
    if form == "genes":
        return Workload((), arch.id, arch.to_dict())

    def subnet() -> nn.Module:
        return ready_subnet(campaign, arch) if calibrated else extract_subnet(campaign.loaded.net, arch)

    if form == "torch":
        built = campaign.loaded.net.parts(arch, subnet())
        parts = tuple(Model(tuple(p.inputs), module=p.net, runs=p.runs) for p in built)
        return Workload(parts, arch.id, arch.to_dict())

    def serialised() -> Workload:
        lowered = onnx_models(campaign, arch, subnet())
        parts = tuple(Model(tuple(p.inputs), serialise(model), runs=p.runs) for p, model in lowered)
        return Workload(parts, arch.id, arch.to_dict())

    return campaign.subnets.workload((campaign.loaded.digest, arch.id), calibrated, serialised)


def pack_workload(
    campaign: Campaign, target: Target, arch: Architecture, number: int, calibrated: bool, files: dict[str, bytes]
) -> PackedWorkload:
    """Describe a subnet for a measuring process.

    Parameters
    ----------
    campaign : Campaign
        Whose supernet.
    target : Target
        The device.
    arch : Architecture
        The subnet.
    number : int
        Tells its files from those of others.
    calibrated : bool
        Whether to recalibrate batch norms.
    files : dict of str to bytes
        What the process reads; the subnet's files are added.

    Returns
    -------
    dict
        JSON of the workload.
    """
    if target.form != "torch":
        return pack_models(workload(campaign, target, arch, calibrated=calibrated), number, files)
    entry: PackedWorkload = {"arch_id": arch.id, "genes": arch.to_dict(), "parts": []}
    if calibrated:
        entry["weights"] = f"{number}.safetensors"
        state = ready_subnet(campaign, arch).state_dict()
        files[entry["weights"]] = safetensors_bytes({k: v.detach().clone().contiguous() for k, v in state.items()})
    return entry


def needed_files(spec: WorkerJob, files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Select the files that a measuring process's workloads need.

    Parameters
    ----------
    spec : mapping
        With ``workloads`` and ``reference``.
    files : mapping of str to bytes
        Those of a whole job.

    Returns
    -------
    dict of str to bytes
        The needed ones.
    """
    wanted = set()
    for entry in (*spec["workloads"], spec["reference"]):
        wanted |= {p["file"] for p in entry["parts"]} | ({entry["weights"]} if entry.get("weights") else set())
    return {k: v for k, v in files.items() if k in wanted}


def job_spec(
    campaign: Campaign, target: Target, job: Job, genes: Sequence[Genes]
) -> tuple[WorkerJob, dict[str, bytes]]:
    """Describe a latency job for its measuring processes.

    Parameters
    ----------
    campaign : Campaign
        Whose supernet.
    target : Target
        The device.
    job : Job
        The job.
    genes : sequence of dict
        Of the architectures that still have to be measured.

    Returns
    -------
    tuple of dict and dict
        JSON of the task, and the files it reads.
    """
    files: dict[str, bytes] = {}
    payload = payload_of(job)
    calibrated = Purpose.parse(payload["purpose"]).is_final
    archs = [campaign.space.architecture(g) for g in genes]
    reference_arch = campaign.space.architecture(payload["reference"])
    with BUILDING:
        entries = [pack_workload(campaign, target, a, i, calibrated, files) for i, a in enumerate(archs)]
        reference = pack_workload(campaign, target, reference_arch, len(archs), False, files)
    spec: WorkerJob = {
        **spec_head(campaign, target, "measure"),
        "protocol": payload["protocol"],
        "seed": [campaign.config.search.seed, job.id, job.attempts],
        "metrics": payload["metrics"],
        "workloads": entries,
        "reference": reference,
    }
    return spec, files


def spec_head(campaign: Campaign, target: Target, do: Literal["facts", "verify", "measure"]) -> WorkerJob:
    """Return what every task of a measuring process tells.

    Parameters
    ----------
    campaign : Campaign
        Whose supernet.
    target : Target
        The device.
    do : str
        ``measure`` or ``verify``.

    Returns
    -------
    dict
        What to do, on which device, and of which supernet.
    """
    s = campaign.config.supernet
    supernet: SupernetSpec = {
        "name": s.name,
        "checkpoint": s.checkpoint,
        "sort": s.sort,
        "digest": campaign.loaded.digest,
    }
    return {**device_job(do, target.form, target.device), "supernet": supernet}
