"""Measuring subnets: what the store has is taken from it, what it lacks is measured and kept at once."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import onnx
from safetensors.torch import save as safetensors_bytes
from torch import nn

from hwsearch.accuracy import calibrated_subnet
from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.intervals import is_final
from hwsearch.campaigns.target import Target
from hwsearch.devices import Model, Workload
from hwsearch.devices.fleet.worker import pack
from hwsearch.exporters import lower, serialise
from hwsearch.spaces import Architecture
from hwsearch.store import Job
from hwsearch.supernets.base import Part
from hwsearch.supernets.checkpoint import extract_subnet


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
    subnet = ready_subnet(campaign, arch) if calibrated else extract_subnet(campaign.loaded.net, arch)
    if form == "torch":
        parts = [Model(tuple(p.inputs), module=p.net, runs=p.runs) for p in campaign.loaded.net.parts(arch, subnet)]
    else:
        parts = [Model(tuple(p.inputs), serialise(model), runs=p.runs) for p, model in models(campaign, arch, subnet)]
    return Workload(tuple(parts), arch.id, arch.to_dict())


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
