"""Operator profiles: one row an executed kernel, keyed by a signature that other networks may share; those of ONNX Runtime."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort

from hwsearch.devices import torch_profiler
from hwsearch.devices.operators import ExecutedKernel, Profile, Signature
from hwsearch.devices.runtimes.base import Model, Workload
from hwsearch.devices.runtimes.cuda import CudaRuntime
from hwsearch.devices.runtimes.onnx_session import OnnxSession
from hwsearch.devices.runtimes.onnxruntime import OnnxRuntime
from hwsearch.devices.runtimes.torch_cpu import TorchCpuRuntime
from hwsearch.errors import MeasurementError

Event = Mapping[str, Any]
#: runtimes whose kernels can be told apart
Profiled = OnnxRuntime | TorchCpuRuntime | CudaRuntime


@dataclass(frozen=True)
class Node:
    """A node of an optimised graph.

    Attributes
    ----------
    op : str
        With its domain where that is not ONNX's own.
    attributes : mapping
        JSON-able.
    """

    op: str
    attributes: Mapping[str, Any]


def optimised_nodes(path: Path) -> dict[str, Node]:
    """Read the nodes of an optimised model.

    Parameters
    ----------
    path : Path
        The ONNX file that ONNX Runtime wrote.

    Returns
    -------
    dict of str to Node
        By name.

    Raises
    ------
    MeasurementError
        Where a name does not tell one node.
    """
    graph = onnx.load(str(path), load_external_data=False).graph
    names = Counter(n.name for n in graph.node)
    unclear = sorted(n for n, times in names.items() if times > 1 or not n)
    if unclear:
        raise MeasurementError(
            f"{names[unclear[0]]} nodes of the optimised model are named {unclear[0]!r}, so a profile cannot tell them.",
            hint="Give every node of the model a name of its own.",
        )
    return {
        n.name: Node(
            f"{n.domain}.{n.op_type}" if n.domain not in ("", "ai.onnx") else n.op_type,
            {a.name: _plain(onnx.helper.get_attribute_value(a)) for a in n.attribute},
        )
        for n in graph.node
    }


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, (int, float, str)):
        return value
    if isinstance(value, onnx.TensorProto):
        return hashlib.sha256(value.SerializeToString()).hexdigest()[:12]
    return [_plain(v) for v in value]


def _runs(events: Sequence[Event]) -> Iterator[tuple[list[Event], float]]:
    """Collect (node events in order, microsecond at which the last one is over) of each run."""
    found: list[Event] = []
    for event in events:
        name = event.get("name", "")
        if event.get("cat") == "Node" and name.endswith("_kernel_time") and event.get("args", {}).get("provider"):
            found.append(event)
        elif name == "SequentialExecutor::Execute" and found:
            # both of its numbers are cut to whole microseconds, a start only one: half a microsecond more in the mean
            yield found, event["ts"] + event["dur"] + 0.5
            found = []


def kernels(
    events: Sequence[Event], nodes: Mapping[str, Node], precision: str = "fp32", *, skip: int = 0
) -> tuple[ExecutedKernel, ...]:
    """Read the kernels of an ONNX Runtime profile.

    Parameters
    ----------
    events : sequence of mapping
        The profile's events.
    nodes : mapping of str to Node
        Of the optimised graph, by name.
    precision : str
        Of the device.
    skip : int
        Runs at the beginning that are warm-up.

    Returns
    -------
    tuple of ExecutedKernel
        In order of execution.

    Raises
    ------
    MeasurementError
        Where a profile holds no run beyond the warm-up, where its runs are not alike, and where an executed node is not one
        of the optimised graph: its attributes would be unknown, and different work look the same.
    """
    runs = list(_runs(events))
    if len(runs) <= skip:
        raise MeasurementError("the profile holds no executed node after its warm-up; profile more runs.")
    work = [[(e["name"], _facts(e)) for e in found] for found, _ in runs]
    if any(w != work[0] for w in work[1:]):
        raise MeasurementError("the runs of one profile execute different nodes or shapes; profile a static model.")
    starts = np.array([[e["ts"] for e in found] + [end] for found, end in runs[skip:]], float)
    us = np.diff(starts, axis=1).T
    found = []
    for event, times in zip(runs[0][0], us, strict=True):
        name, args = event["name"].removesuffix("_kernel_time"), event["args"]
        node = nodes.get(name)
        if node is None or node.op.rpartition(".")[2] != args["op_name"]:
            raise MeasurementError(
                f"the profile names a node {name!r} ({args['op_name']}), which the optimised model "
                f"{'does not have' if node is None else f'has as {node.op}'}: its attributes are unknown.",
                hint="Report the versions of onnxruntime and onnx; the model can still be measured as a whole.",
            )
        inputs, outputs = (tuple(args[k]) for k in ("input_type_shape", "output_type_shape"))
        signature = Signature(node.op, args["provider"], precision, inputs, outputs, dict(node.attributes))
        found.append(ExecutedKernel(name, signature, tuple(times.tolist())))
    return tuple(found)


def _facts(event: Event) -> list[Any]:
    return [event["args"].get(k) for k in ("op_name", "provider", "input_type_shape", "output_type_shape")]


def profile(runtime: Profiled, model: Model, *, runs: int = 50, warmup: int = 5) -> Profile:
    """Run a model under its runtime's profiler (ONNX Runtime's or torch's) and as often without it, half before and half after.

    Parameters
    ----------
    runtime : OnnxRuntime
        The device's runtime.
    model : Model
        What is run, with random inputs.
    runs : int
        Profiled inferences.
    warmup : int
        Inferences before them.

    Returns
    -------
    Profile
        Kernels and unprofiled latencies.

    Raises
    ------
    DeviceError
        If the model cannot run, or the runtime compiles it to kernels that do not tell their work.
    MeasurementError
        If the profile does not tell the kernels apart.
    """
    if not isinstance(runtime, OnnxRuntime):
        return torch_profiler.profile(runtime, model, runs=runs, warmup=warmup)
    with tempfile.TemporaryDirectory() as folder:
        session = _profiled(runtime, model, Path(folder))
        feed = runtime.random_inputs(session, model.inputs)
        plain = OnnxSession(runtime.open_session(model.onnx, runtime.session_options()), feed)
        plain.time(warmup)
        times = plain.time(runs // 2)
        for _ in range(warmup + runs):
            session.run(None, feed)
        times += plain.time(runs - runs // 2)
        found = _read(session, Path(folder), runtime.device.precision, warmup)
    return Profile(found, tuple(times))


def signatures(runtime: Profiled, model: Model) -> Counter[Signature]:
    """Count how often one inference of a model executes each signature, from one run.

    Parameters
    ----------
    runtime : OnnxRuntime
        The device's runtime.
    model : Model
        What is run.

    Returns
    -------
    collections.Counter
        Of `Signature`.
    """
    if not isinstance(runtime, OnnxRuntime):
        return torch_profiler.signatures(runtime, model)
    with tempfile.TemporaryDirectory() as folder:
        session = _profiled(runtime, model, Path(folder))
        session.run(None, runtime.random_inputs(session, model.inputs))
        found = _read(session, Path(folder), runtime.device.precision, 0)
    return Counter(k.signature for k in found)


def _profiled(runtime: OnnxRuntime, model: Model, folder: Path) -> ort.InferenceSession:
    options = runtime.session_options()
    options.enable_profiling = True
    options.profile_file_prefix = str(folder / "profile")
    options.optimized_model_filepath = str(folder / "optimised.onnx")
    return runtime.open_session(model.onnx, options)


def _read(session: ort.InferenceSession, folder: Path, precision: str, skip: int) -> tuple[ExecutedKernel, ...]:
    events = json.loads(Path(session.end_profiling()).read_text())
    return kernels(events, optimised_nodes(folder / "optimised.onnx"), precision, skip=skip)


def count_signatures(runtime: Profiled, work: Workload) -> Counter[Signature]:
    """Count how often one inference of a workload executes each signature, over all its parts.

    Parameters
    ----------
    runtime : OnnxRuntime
        The device's runtime.
    work : Workload
        What is run.

    Returns
    -------
    collections.Counter
        Of `Signature`.
    """
    found: Counter[Signature] = Counter()
    for model in work.parts:
        for signature, times in signatures(runtime, model).items():
            found[signature] += times * model.runs
    return found
