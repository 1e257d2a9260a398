"""Jobs of a measuring process: their form as JSON, and their model files.

A job is a line of JSON and some files. The typed dictionaries here say what stands in it; `hwsearch.devices.fleet.worker`
does it, `hwsearch.devices.fleet.isolation` starts the process, `hwsearch.devices.fleet.responses` checks the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, Literal, NotRequired, TypedDict

from hwsearch._json import JsonObject
from hwsearch.devices.device import Device
from hwsearch.devices.runtimes.base import Form, Model, Workload
from hwsearch.tasks.inputs import Input

#: contents of a job's files by name
Files = Mapping[str, bytes]
#: told the share of the work that is done, 0 to 1
Tick = Callable[[float], None]
#: an architecture as JSON: values by gene
Genes = Mapping[str, int | float | str]


class SupernetSpec(TypedDict):
    """Which supernet the architectures of a job are of; torch subnets are built from it.

    Attributes
    ----------
    name : str
        Name in the catalogue, or ``FILE.py:OBJECT``.
    checkpoint : str or None
        The user's weight file.
    sort : bool
        Whether channels are sorted by importance after loading.
    digest : str
        Digest of the weights; a host with other weights refuses the job.
    """

    name: str
    checkpoint: str | None
    sort: bool
    digest: str


class PackedPart(TypedDict):
    """One ONNX model of a packed workload.

    Attributes
    ----------
    file : str
        Name of its file among the job's files.
    runs : int
        How often it runs for one inference.
    inputs : list of dict
        Fields of each `hwsearch.tasks.inputs.Input`.
    """

    file: str
    runs: int
    inputs: list[JsonObject]


class PackedWorkload(TypedDict):
    """A workload as JSON.

    Attributes
    ----------
    arch_id : str
        `Architecture.id`.
    genes : mapping of str to value
        The architecture.
    parts : list of PackedPart
        Its models; empty where the process builds the subnet itself.
    weights : str
        Name of the safetensors file with the subnet's own weights, where they differ from the supernet's.
    """

    arch_id: str
    genes: Genes
    parts: list[PackedPart]
    weights: NotRequired[str]


class WorkerJob(TypedDict):
    """Job that a measuring process is asked to do.

    Attributes
    ----------
    do : {"facts", "verify", "measure"}
        The action. ``verify`` needs `reference`, ``measure`` everything below.
    form : {"onnx", "torch", "genes"}
        What the device's runtime takes.
    device : dict
        Fields of the `Device`.
    supernet : SupernetSpec
        Needed for form ``torch``.
    protocol : dict
        Fields of the `TimingProtocol`.
    seed : list of int
        Seed of the order of visits.
    metrics : list of str
        Further metrics to take of each workload.
    workloads : list of PackedWorkload
        What is timed.
    reference : PackedWorkload
        What is timed along with all groups.
    """

    do: Literal["facts", "verify", "measure"]
    form: Form
    device: JsonObject
    supernet: NotRequired[SupernetSpec]
    protocol: NotRequired[JsonObject]
    seed: NotRequired[list[int]]
    metrics: NotRequired[list[str]]
    workloads: NotRequired[list[PackedWorkload]]
    reference: NotRequired[PackedWorkload]


class MeasuredRow(TypedDict):
    """Result of one workload in a measuring process.

    Attributes
    ----------
    arch_id : str
        As in the job.
    sample : dict
        `Sample.to_dict`.
    metrics : dict of str to float
        Further metrics, those that the device measures.
    metrics_failure : str
        Why further metrics could not be taken.
    """

    arch_id: str
    sample: JsonObject
    metrics: NotRequired[dict[str, float]]
    metrics_failure: NotRequired[str]


class WorkerResponse(TypedDict, total=False):
    """Answer of a measuring process.

    Attributes
    ----------
    facts : dict
        Of the device, to ``facts``.
    counts : dict of str to int
        Executed nodes by where they ran, to ``verify``.
    run_ms : float
        The first run of a loaded session, to ``verify``.
    rows : list of MeasuredRow
        One a workload and in its order, to ``measure``.
    load : list
        The host's load average before and after.
    started_at, ended_at : str
        UTC times, ISO 8601.
    cpu : str
        The host's processor, to ``measure``.
    cores : int
        Its cores that the process may use, to ``measure``.
    """

    facts: JsonObject
    counts: dict[str, int]
    run_ms: float
    rows: list[MeasuredRow]
    load: list[float | None]
    started_at: str
    ended_at: str
    cpu: str
    cores: int


def device_job(do: Literal["facts", "verify", "measure"], form: Form, device: Device) -> WorkerJob:
    """Begin a job with what every job says.

    Parameters
    ----------
    do : {"facts", "verify", "measure"}
        The action.
    form : {"onnx", "torch", "genes"}
        What the device's runtime takes.
    device : Device
        Where it is to be done.

    Returns
    -------
    WorkerJob
        Complete for ``facts``; other actions add their workloads.
    """
    return {"do": do, "form": form, "device": asdict(device)}


def pack_workload(workload: Workload, number: int, files: dict[str, bytes]) -> PackedWorkload:
    """Take a workload of ONNX models apart into JSON and files.

    Parameters
    ----------
    workload : Workload
        What is to be measured.
    number : int
        Its place in the job; begins the names of its files.
    files : dict of str to bytes
        The models are added here, by file name.

    Returns
    -------
    PackedWorkload
        The JSON, from which `unpack_workload` makes an equal workload.
    """
    parts: list[PackedPart] = []
    for i, part in enumerate(workload.parts):
        name = f"{number}-{i}.onnx"
        files[name] = part.onnx
        parts.append({"file": name, "runs": part.runs, "inputs": [asdict(x) for x in part.inputs]})
    return {"arch_id": workload.arch_id, "genes": dict(workload.genes), "parts": parts}


def unpack_workload(packed: PackedWorkload, files: Files) -> Workload:
    """Put together again what `pack_workload` took apart.

    Parameters
    ----------
    packed : PackedWorkload
        The JSON.
    files : mapping of str to bytes
        The job's files.

    Returns
    -------
    Workload
        Equal to the one that was packed.
    """
    parts = [
        Model(tuple(_input(x) for x in p["inputs"]), files[p["file"]], runs=int(p["runs"])) for p in packed["parts"]
    ]
    return Workload(tuple(parts), packed["arch_id"], packed["genes"])


def _input(fields: Mapping[str, Any]) -> Input:
    return Input(**{**fields, "shape": tuple(fields["shape"]), "axes": tuple(fields["axes"])})
