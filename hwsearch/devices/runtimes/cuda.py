"""Torch on an NVIDIA GPU: eager, compiled, or as a CUDA graph; by the caller's clock or the GPU's."""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import torch
from typing_extensions import override

from hwsearch._json import JsonObject
from hwsearch.devices.device import Device
from hwsearch.devices.gpu import Gpu
from hwsearch.devices.host import host_facts, versions
from hwsearch.devices.meters import footprint
from hwsearch.devices.runtimes.base import Form, Runtime, Session, Workload, raise_closed
from hwsearch.devices.runtimes.torch_network import (
    DTYPES,
    TorchPart,
    cannot_run,
    chain,
    check_torch_device,
    count_operators,
)
from hwsearch.errors import DeviceError, MeasurementError, ProviderError, nearest

MODES = ("eager", "compiled", "graph")


CLOCKS = ("host", "device")


DEFAULTS: JsonObject = {"mode": "eager", "clock": "host", "index": 0, "tf32": False, "flush_l2": False}


PROVIDERS = ("CPUExecutionProvider", "cuda", "CUDAExecutionProvider")


#: calls before anything is timed or captured: cuDNN chooses its algorithms in the first
WARM_UP = 3


log = logging.getLogger(__name__)


class CudaSession(Session):
    """A workload on the GPU; `time` ends each run before the next begins.

    Parameters
    ----------
    runtime : CudaRuntime
        The device's runtime.
    run : callable
        One inference.
    keep : object
        What must stay alive meanwhile.

    Attributes
    ----------
    host_ms, device_ms : list of float
        What the caller's clock and the GPU's events said of each run of the last `time`.
    state : dict
        The GPU after it, see `Gpu.state`.
    throttled : set of str
        All that has held its clock down so far.
    """

    def __init__(self, runtime: CudaRuntime, run: Callable[[], Any], keep: Any) -> None:
        self._runtime, self._run, self._keep = runtime, run, keep
        self._flush = runtime.flusher()
        self.host_ms: list[float] = []
        self.device_ms: list[float] = []
        self.state: JsonObject = {}
        self.throttled: set[str] = set()

    @override
    def time(self, runs: int) -> list[float]:
        runtime, cuda, clock = self._runtime, self._runtime.cuda, time.perf_counter_ns
        self.host_ms, self.device_ms = [], []
        collecting = gc.isenabled()
        gc.disable()
        try:
            with runtime.settings(), torch.inference_mode():
                begun, ended = cuda.Event(enable_timing=True), cuda.Event(enable_timing=True)
                for _ in range(runs):
                    if self._flush is not None:
                        self._flush()
                    cuda.synchronize()
                    started = clock()
                    begun.record()
                    self._run()
                    ended.record()
                    ended.synchronize()
                    self.host_ms.append((clock() - started) / 1e6)
                    self.device_ms.append(float(begun.elapsed_time(ended)))
        except RuntimeError as error:
            raise MeasurementError(
                f"device {runtime.device.name!r}: the GPU failed: {str(error).strip().splitlines()[0]}",
                hint="After an error of CUDA only a new process can use the GPU.",
            ) from error
        finally:
            if collecting:
                gc.enable()
        self.state = runtime.gpu.state()
        new = set(self.state["throttled"] or ()) - self.throttled
        if new:
            self.throttled |= new
            log.warning("device %r: the GPU's clock is held down: %s", runtime.device.name, ", ".join(sorted(new)))
        return list(self.device_ms if runtime.options["clock"] == "device" else self.host_ms)

    @override
    def close(self) -> None:
        self._run, self._keep, self._flush = raise_closed, None, None


class CudaRuntime(Runtime):
    """Runtime ``cuda``: torch on an NVIDIA GPU, eager, compiled or as a CUDA graph.

    Precision: fp32, fp16, bf16 (weights and inputs are converted).

    Parameters
    ----------
    device : Device
        Options: ``mode``: ``eager``, ``compiled`` (torch.compile of the whole network), ``graph`` (a captured CUDA graph).
        ``clock``: ``host`` is what a caller waits from the call until the result is there, and so what a deployment at batch
        1 costs; ``device`` is the time between two events on the stream, which leaves the call itself out and flatters small
        networks. ``index``: of the GPU. ``tf32``: allowed in fp32. ``flush_l2``: the cache is written over before each run,
        as for a network that runs now and then.
    cuda, nvml : module, optional
        Stand in for ``torch.cuda`` and ``pynvml`` in tests.
    place : str, optional
        Where tensors lie, in tests.

    Raises
    ------
    DeviceError
        Without a GPU, and for settings that it does not know.
    """

    form: ClassVar[Form] = "torch"

    def __init__(self, device: Device, *, cuda: Any = None, nvml: Any = None, place: str | None = None) -> None:
        self.device = device
        self.options = check_torch_device(device, DEFAULTS, MODES, PROVIDERS)
        if self.options["clock"] not in CLOCKS:
            raise DeviceError(
                f"device {device.name!r}: clock {self.options['clock']!r} is unknown.",
                hint=nearest(self.options["clock"], CLOCKS),
            )
        if device.threads != 1:
            raise DeviceError(
                f"device {device.name!r}: threads = {device.threads} means nothing to runtime 'cuda'; leave it out."
            )
        self.cuda = cuda or torch.cuda
        self.index = int(self.options["index"])
        reason = missing(self.cuda, self.index)
        if reason:
            raise DeviceError(
                f"device {device.name!r} asks for a CUDA GPU: {reason}.",
                hint='Install the driver and a CUDA build of torch, or use another runtime, such as "torch-cpu".',
            )
        self.place = place or f"cuda:{self.index}"
        self._about = self.cuda.get_device_properties(self.index)
        self.gpu = Gpu(str(getattr(self._about, "uuid", "")), nvml)

    @override
    def facts(self) -> JsonObject:
        about = self._about
        return {
            **self.device.settings,
            "provider": "cuda",
            "host": {k: host_facts()[k] for k in ("cpu", "cores_usable", "governor", "cpu_quota", "system")},
            "gpu": about.name,
            "gpu_memory_mib": round(about.total_memory / 2**20),
            "capability": f"{about.major}.{about.minor}",
            **self.gpu.facts(),
            **versions("torch", "triton"),
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),
            **{k: self.options[k] for k in ("mode", "clock", "tf32", "flush_l2")},
        }

    @contextmanager
    def settings(self) -> Iterator[None]:
        """Select this GPU and its TF32 setting in a context, and restore both on exit.

        Yields
        ------
        None
            With both set.
        """
        backends: tuple[Any, ...] = (torch.backends.cuda.matmul, torch.backends.cudnn)
        before = [b.allow_tf32 for b in backends]
        for b in backends:
            b.allow_tf32 = self.options["tf32"]
        try:
            with self.cuda.device(self.index):
                yield
        finally:
            for b, value in zip(backends, before, strict=True):
                b.allow_tf32 = value

    @override
    def load(self, workload: Workload) -> CudaSession:
        cuda, mode = self.cuda, self.options["mode"]
        try:
            with self.settings(), torch.inference_mode():
                parts = [TorchPart(self.device, m, self.place, compiled=mode == "compiled") for m in workload.parts]
                run = chain(parts)
                stream = cuda.Stream()
                stream.wait_stream(cuda.current_stream())
                with cuda.stream(stream):
                    for part in parts:
                        part.check()
                    for _ in range(WARM_UP):
                        run()
                cuda.current_stream().wait_stream(stream)
                cuda.synchronize()
                if mode == "graph":
                    graph = cuda.CUDAGraph()
                    with cuda.graph(graph):
                        run()
                    run = graph.replay
        except RuntimeError as error:
            refusal = cannot_run(self.device, error)
            if mode == "graph":
                refusal.hint = (
                    refusal.hint or "A network that copies to the host or depends on values has no CUDA graph."
                )
            raise refusal from error
        session = CudaSession(self, run, parts)
        session.time(1)
        return session

    def flusher(self) -> Callable[[], Any] | None:
        """Make what writes over the L2 cache, with twice its size.

        Returns
        -------
        callable or None
            None where that is not asked for.
        """
        if not self.options["flush_l2"]:
            return None
        size = 2 * int(getattr(self._about, "L2_cache_size", 0) or 64 * 2**20)
        return torch.empty(size, dtype=torch.int8, device=self.place).zero_

    @override
    def verify(self, workload: Workload) -> dict[str, int]:
        self.load(workload).close()
        with self.settings():
            counts = count_operators(self.device, workload, self.place)
        kind = self.place.partition(":")[0]
        if not counts.get(kind):
            raise ProviderError(f"device {self.device.name!r} asked for {kind!r}, but {counts or 'nothing'} ran.")
        return counts

    def footprint(self, workload: Workload) -> dict[str, float]:
        """Measure the GPU memory and energy of a workload.

        Parameters
        ----------
        workload : Workload
            Of torch modules.

        Returns
        -------
        dict of str to float
            ``peak_memory_mib``: what torch takes of the GPU's memory for weights, inputs and activations, at its peak; not the
            CUDA context and libraries. ``energy_mj`` and ``energy_mj_spread``: of the whole board, a run.
        """
        cuda = self.cuda
        with self.settings():
            cuda.synchronize()
            gc.collect()
            cuda.empty_cache()
            before = cuda.memory_allocated(self.index)
            cuda.reset_peak_memory_stats(self.index)
            found = footprint(lambda: self.load(workload), self.gpu.energy())
            return found | {"peak_memory_mib": (cuda.max_memory_allocated(self.index) - before) / 2**20}

    @classmethod
    def offers(cls) -> list[JsonObject]:
        """List the GPUs of this machine.

        Returns
        -------
        list of dict
            One row a GPU.

        Raises
        ------
        DeviceError
            If there is none; says why.
        """
        reason = missing(torch.cuda, 0)
        if reason:
            raise DeviceError(f"no CUDA device: {reason}.")
        return [
            {
                "provider": "cuda",
                "index": i,
                "hardware": torch.cuda.get_device_properties(i).name,
                "precision": ", ".join(DTYPES),
                "mode": ", ".join(MODES),
            }
            for i in range(torch.cuda.device_count())
        ]


def missing(cuda: Any, index: int) -> str | None:
    """Say why there is no such GPU.

    Parameters
    ----------
    cuda : module
        ``torch.cuda``, or what stands for it.
    index : int
        Of the GPU.

    Returns
    -------
    str or None
        A few words; None if there is one.
    """
    if not cuda.is_available():
        if cuda is torch.cuda and torch.version.cuda is None:
            return f"this torch {torch.__version__} is built without CUDA"
        return "torch finds no CUDA device"
    if not 0 <= index < cuda.device_count():
        return f"there is no GPU {index}, only {cuda.device_count()}"
    return None
