"""Operator profiles of torch: one row an operator that the network calls, timed by torch's profiler.

What an operator works on (shapes, arguments) is seen where torch dispatches it; when it ran, torch's profiler says. Both are
read in the order of calls, and must name the same operators.
"""

from __future__ import annotations

import json
import tempfile
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from typing_extensions import override

from hwsearch._typing import FloatArray
from hwsearch.devices.operators import ExecutedKernel, Profile, Signature
from hwsearch.devices.runtimes.base import Model, Workload
from hwsearch.devices.runtimes.cuda import CudaRuntime
from hwsearch.devices.runtimes.torch_cpu import TorchCpuRuntime
from hwsearch.devices.runtimes.torch_network import TorchPart, intra_op_threads
from hwsearch.errors import DeviceError, MeasurementError

TorchRuntime = TorchCpuRuntime | CudaRuntime
Event = Mapping[str, Any]

#: how the profile names one inference
RUN = "hwsearch inference"
#: arguments of torch's convolution by the names of ONNX's attributes
CONV_NAMES = {"stride": "strides", "padding": "pads", "dilation": "dilations", "groups": "group"}


def profile(runtime: TorchRuntime, model: Model, *, runs: int = 50, warmup: int = 5) -> Profile:
    """Run a network under torch's profiler and as often without it, half before and half after.

    Parameters
    ----------
    runtime : TorchCpuRuntime or CudaRuntime
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
        Operators and unprofiled latencies. On a GPU an operator's time is that from the start of its first kernel to that
        of the next operator's; operators without a kernel (views) have no row there.

    Raises
    ------
    DeviceError
        If the network cannot run, or the device compiles it.
    MeasurementError
        If the profile does not hold the operators that were dispatched.
    """
    part, work = _part(runtime, model), _dispatched(runtime, model)
    on_gpu = isinstance(runtime, CudaRuntime) and runtime.place.startswith("cuda")  # not so in tests, on a stand-in
    plain = runtime.load(Workload((replace(model, runs=1),)))
    plain.time(warmup)
    times = plain.time(runs // 2)
    activities = [torch.profiler.ProfilerActivity.CPU]
    if on_gpu:
        activities.append(torch.profiler.ProfilerActivity.CUDA)
    with _settings(runtime), torch.profiler.profile(activities=activities) as profiler:
        for _ in range(warmup + runs):
            with torch.profiler.record_function(RUN):
                part()
                if isinstance(runtime, CudaRuntime):
                    runtime.cuda.synchronize()
    times += plain.time(runs - runs // 2)
    plain.close()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        profiler.export_chrome_trace(str(path))
        events = json.loads(path.read_text())["traceEvents"]
    return Profile(kernels(events, work, on_gpu=on_gpu, skip=warmup), tuple(times))


def signatures(runtime: TorchRuntime, model: Model) -> Counter[Signature]:
    """Count how often one inference of a network calls each signature.

    Parameters
    ----------
    runtime : TorchCpuRuntime or CudaRuntime
        The device's runtime.
    model : Model
        What is run.

    Returns
    -------
    collections.Counter
        Of `Signature`. On a GPU only those that start a kernel there.

    Raises
    ------
    DeviceError
        If the network cannot run, or the device compiles it.
    """
    if isinstance(runtime, CudaRuntime):
        return Counter(k.signature for k in profile(runtime, model, runs=2, warmup=1).kernels)
    return Counter(_dispatched(runtime, model))


def kernels(
    events: Sequence[Event], work: Sequence[Signature], *, on_gpu: bool = False, skip: int = 0
) -> tuple[ExecutedKernel, ...]:
    """Read the operators of a torch profile.

    Parameters
    ----------
    events : sequence of mapping
        Of the profile's trace, with one annotation `RUN` an inference.
    work : sequence of Signature
        The operators that one inference dispatches, in order.
    on_gpu : bool, default False
        Whether the times are those of kernels on the GPU.
    skip : int
        Runs at the beginning that are warm-up.

    Returns
    -------
    tuple of ExecutedKernel
        In order of calls; times in microseconds.

    Raises
    ------
    MeasurementError
        Where a profile holds no run beyond the warm-up, a run calls other operators than were dispatched, or on a GPU no run
        starts a kernel or runs start kernels from different operators.
    """
    runs = sorted((e for e in events if e.get("name") == RUN and e.get("cat") == "user_annotation"), key=_begin)
    if len(runs) <= skip:
        raise MeasurementError("the profile holds no inference after its warm-up; profile more runs.")
    operators = sorted((e for e in events if e.get("cat") == "cpu_op"), key=lambda e: (e["ts"], -e["dur"]))
    begins = [e["ts"] for e in operators]
    launched = _launched(events) if on_gpu else []
    names = [s.op for s in work]
    starts, owners = [], []
    for run in runs[skip:]:
        inside = operators[bisect_right(begins, run["ts"]) : bisect_right(begins, run["ts"] + run["dur"])]
        calls = _outermost([e for e in inside if e["tid"] == run["tid"]])
        _check_names([e["name"] for e in calls], names)
        if on_gpu:
            own, times = _device_starts(calls, launched)
        else:
            own, times = list(range(len(calls))), [e["ts"] for e in calls]
            times.append(calls[-1]["ts"] + calls[-1]["dur"])
        owners.append(own)
        starts.append(times)
    if any(own != owners[0] for own in owners):
        raise MeasurementError(
            "the runs of one profile start kernels from different operators; profile a static network."
        )
    us: FloatArray = np.diff(np.array(starts, float), axis=1).T
    return tuple(ExecutedKernel(names[i], work[i], tuple(t.tolist())) for i, t in zip(owners[0], us, strict=True))


def _begin(event: Event) -> float:
    return float(event["ts"])


def _outermost(events: Sequence[Event]) -> list[Event]:
    """Leave out operators that other operators call; events are in order of time."""
    found: list[Event] = []
    end = -np.inf
    for event in events:
        if event["ts"] >= end:
            found.append(event)
            end = event["ts"] + event["dur"]
    return found


def _check_names(called: Sequence[str], dispatched: Sequence[str]) -> None:
    if not called:
        raise MeasurementError("an inference of the profile calls no operator.")
    for i in range(max(len(called), len(dispatched))):
        pair = [names[i] if i < len(names) else "nothing" for names in (called, dispatched)]
        if pair[0] != pair[1]:
            raise MeasurementError(
                f"operator {i} of the profile is {pair[0]}, where {pair[1]} was dispatched: its shapes are unknown.",
                hint="Report the version of torch; the network can still be measured as a whole.",
            )


def _launched(events: Sequence[Event]) -> list[tuple[float, float, float]]:
    """Return (when the host launched it, start, end) of all work on the GPU, in the order of launches."""
    hosts = {
        e["args"]["correlation"]: e["ts"]
        for e in events
        if e.get("cat") in ("cuda_runtime", "cuda_driver") and "correlation" in e.get("args", {})
    }
    return sorted(
        (hosts[e["args"]["correlation"]], e["ts"], e["ts"] + e["dur"])
        for e in events
        if e.get("cat") in ("kernel", "gpu_memcpy", "gpu_memset") and e["args"].get("correlation") in hosts
    )


def _device_starts(
    calls: Sequence[Event], launched: Sequence[tuple[float, float, float]]
) -> tuple[list[int], list[float]]:
    """Return which calls started work on the GPU, when that began, and in the end when the last was over."""
    owners: list[int] = []
    starts: list[float] = []
    over, hosts = -np.inf, [host for host, _, _ in launched]
    for i, call in enumerate(calls):
        own = launched[bisect_right(hosts, call["ts"]) : bisect_right(hosts, call["ts"] + call["dur"])]
        if own:
            owners.append(i)
            starts.append(min(start for _, start, _ in own))
            over = max(over, *(end for _, _, end in own))
    if not owners:
        raise MeasurementError(
            "the profile holds no kernel of the GPU.",
            hint="The driver may keep its counters from this user; NVIDIA calls that ERR_NVGPUCTRPERM.",
        )
    return owners, [*starts, float(over)]


# ---------------------------------------------------------------------- what is dispatched
class _Recording(TorchDispatchMode):
    """Keeps the signature of each operator that is dispatched."""

    def __init__(self, provider: str, precision: str) -> None:
        super().__init__()
        self._provider, self._precision = provider, precision
        self.found: list[Signature] = []

    @override
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        answer = func(*args, **(kwargs or {}))
        values = _arguments(func, args, kwargs or {})
        self.found.append(
            Signature(
                func._schema.name,
                self._provider,
                self._precision,
                tuple(_shape(t) for v in values.values() for t in _tensors(v)),
                tuple(_shape(t) for t in _tensors(answer)),
                _attributes(func._schema.name, values),
            )
        )
        return answer


def _arguments(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return all arguments by name, those left out by their defaults."""
    found = {}
    for i, argument in enumerate(func._schema.arguments):
        if i < len(args):
            found[argument.name] = args[i]
        else:
            found[argument.name] = kwargs.get(argument.name, argument.default_value)
    return found


def _attributes(name: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is no tensor, JSON-able; of convolutions by ONNX's names; and the strides of inputs that are not dense."""
    convolution = name == "aten::conv2d"
    found = {
        CONV_NAMES.get(k, k) if convolution else k: _plain(v)
        for k, v in values.items()
        if not any(True for _ in _tensors(v))
    }
    if convolution:
        found["kernel_shape"] = list(values["weight"].shape[2:])
    tensors = [t for v in values.values() for t in _tensors(v)]
    layout = {str(i): list(t.stride()) for i, t in enumerate(tensors) if not t.is_contiguous()}
    return found | ({"layout": layout} if layout else {})


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return [_plain(v) for v in value] if isinstance(value, (list, tuple)) else str(value)


def _tensors(value: Any) -> Iterator[Tensor]:
    """Yield the tensors in an argument or result."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for v in value:
            yield from _tensors(v)


def _shape(tensor: Tensor) -> dict[str, list[int]]:
    kind = str(tensor.dtype).removeprefix("torch.")
    return {"float" if kind == "float32" else kind: list(tensor.shape)}


def _dispatched(runtime: TorchRuntime, model: Model) -> list[Signature]:
    part = _part(runtime, model)
    place = "cpu" if isinstance(runtime, TorchCpuRuntime) else "cuda"
    with _settings(runtime):
        part.check()
        with _Recording(place, runtime.device.precision) as recording:
            part()
    return recording.found


def _part(runtime: TorchRuntime, model: Model) -> TorchPart:
    mode = runtime.device.options.get("mode", "eager")
    if mode != "eager":
        raise DeviceError(
            f"device {runtime.device.name!r} has mode {mode!r}: its kernels do not tell which operators they compute.",
            hint="Give a device with mode = 'eager'; this one can be measured as a whole.",
        )
    with _settings(runtime):
        return TorchPart(
            runtime.device, model, "cpu" if isinstance(runtime, TorchCpuRuntime) else runtime.place, compiled=False
        )


@contextmanager
def _settings(runtime: TorchRuntime) -> Iterator[None]:
    """Threads of a processor, or GPU and TF32; in inference mode."""
    around = intra_op_threads(runtime.device.threads) if isinstance(runtime, TorchCpuRuntime) else runtime.settings()
    with around, torch.inference_mode():
        yield
