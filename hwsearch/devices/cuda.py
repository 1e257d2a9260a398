"""Torch on an NVIDIA GPU: eager, compiled, or as a CUDA graph; the clock of the user or of the device."""

from __future__ import annotations

import time
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

from hwsearch.devices.device import Device, Form, Model, Workload
from hwsearch.devices.host import host_facts, versions
from hwsearch.devices.meters import Nvml, footprint
from hwsearch.devices.torch_cpu import PRECISIONS, checked, module_of, must_be_numbers, tensors
from hwsearch.errors import DeviceError, MeasurementError, ProviderError, nearest

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

MODES = ("eager", "compiled", "graph")
CLOCKS = ("host", "device")
OPTIONS: dict[str, Any] = {"mode": "eager", "clock": "host", "index": 0, "tf32": False, "flush_l2": False}
#: calls before anything is timed: cuDNN chooses its algorithms in the first
WARM_UP = 3
#: reasons of NVML for which a clock is lower than asked, that make a figure doubtful
THROTTLES = {
    "nvmlClocksThrottleReasonSwPowerCap": "power cap",
    "nvmlClocksThrottleReasonHwSlowdown": "hardware slowdown",
    "nvmlClocksThrottleReasonSwThermalSlowdown": "too hot",
    "nvmlClocksThrottleReasonHwThermalSlowdown": "too hot",
    "nvmlClocksThrottleReasonHwPowerBrakeSlowdown": "power brake",
}


class Gpu:
    """What the driver tells of one GPU; everything is None where nvidia-ml-py or the driver is missing.

    nvml : the module, for tests
    """

    def __init__(self, index: int, nvml: Any = None) -> None:
        self.nvml: Any = None
        self.handle: Any = None
        with suppress(Exception):  # no package, no driver, no such GPU: all are "not told"
            found = nvml if nvml is not None else import_module("pynvml")
            found.nvmlInit()
            self.handle = found.nvmlDeviceGetHandleByIndex(index)
            self.nvml = found

    def _ask(self, name: str, *arguments: Any) -> Any:
        if self.nvml is None:
            return None
        try:
            answer = getattr(self.nvml, name)(
                *([self.handle, *arguments] if name != "nvmlSystemGetDriverVersion" else [])
            )
        except Exception:  # not supported on this GPU
            return None
        return answer.decode() if isinstance(answer, bytes) else answer

    def facts(self) -> dict[str, Any]:
        """What makes a latency what it is: driver, highest clocks, power limit."""
        sm, memory = (getattr(self.nvml, n, None) for n in ("NVML_CLOCK_SM", "NVML_CLOCK_MEM"))
        return {
            "driver": self._ask("nvmlSystemGetDriverVersion"),
            "max_sm_clock_mhz": self._ask("nvmlDeviceGetMaxClockInfo", sm),
            "max_memory_clock_mhz": self._ask("nvmlDeviceGetMaxClockInfo", memory),
            "power_limit_mw": self._ask("nvmlDeviceGetEnforcedPowerLimit"),
        }

    def state(self) -> dict[str, float]:
        """How it is now: clock, temperature; ``throttled`` is 1 where the clock is held down."""
        found = {
            "sm_clock_mhz": self._ask("nvmlDeviceGetClockInfo", getattr(self.nvml, "NVML_CLOCK_SM", None)),
            "temperature_c": self._ask("nvmlDeviceGetTemperature", getattr(self.nvml, "NVML_TEMPERATURE_GPU", None)),
        }
        mask = self._ask("nvmlDeviceGetCurrentClocksThrottleReasons")
        if mask is not None:
            found["throttled"] = float(bool(self.why(mask)))
        return {k: float(v) for k, v in found.items() if v is not None}

    def why(self, mask: int) -> list[str]:
        """What holds the clock down, in words."""
        return sorted({word for name, word in THROTTLES.items() if mask & int(getattr(self.nvml, name, 0))})

    def energy(self) -> Nvml | None:
        """Its energy counter, where it has one."""
        try:
            return Nvml(self.nvml, self.handle) if self.nvml is not None else None
        except Exception:
            return None


class CudaSession:
    """One inference as a call on a stream. `time` synchronises after each run, and flushes the L2 cache before, if asked."""

    def __init__(
        self, torch: Any, call: Callable[[], Any], clock: str, flush: Callable[[], Any] | None, keep: tuple[Any, ...]
    ) -> None:
        self._torch, self._call, self._clock, self._flush, self._keep = torch, call, clock, flush, keep

    def time(self, runs: int) -> list[float]:
        cuda = self._torch.cuda
        times = []
        try:
            with self._torch.inference_mode():
                for _ in range(runs):
                    if self._flush is not None:
                        self._flush()
                    cuda.synchronize()
                    times.append(self._by_device() if self._clock == "device" else self._by_host())
        except RuntimeError as error:
            raise MeasurementError(f"the GPU failed: {str(error).splitlines()[0]}") from error
        return times

    def _by_host(self) -> float:
        started = time.perf_counter_ns()
        self._call()
        self._torch.cuda.synchronize()
        return (time.perf_counter_ns() - started) / 1e6

    def _by_device(self) -> float:
        cuda = self._torch.cuda
        begun, ended = cuda.Event(enable_timing=True), cuda.Event(enable_timing=True)
        begun.record()
        self._call()
        ended.record()
        cuda.synchronize()
        return float(begun.elapsed_time(ended))

    def close(self) -> None:
        del self._call, self._keep


class CudaRuntime:
    """Runtime ``cuda``: torch on an NVIDIA GPU.

    Options: ``mode`` : ``eager``, ``compiled`` (torch.compile), ``graph`` (a captured CUDA graph, launched as one)
    ``clock`` : ``host`` is what a caller waits, launch and synchronisation included; ``device`` is the time between two
    events on the stream, which leaves the launch out and so flatters small networks
    ``index`` : of the GPU; ``tf32`` : allow it in fp32; ``flush_l2`` : write the cache over before each run
    Precision: fp32, fp16, bf16 (the network's weights and inputs are converted).

    torch, nvml : the modules, for tests. Raises `ProviderError` without a GPU.
    """

    form: ClassVar[Form] = "torch"

    def __init__(self, device: Device, *, torch: Any = None, nvml: Any = None) -> None:
        self.device = device
        self.options = checked(device, OPTIONS, MODES)
        if self.options["clock"] not in CLOCKS:
            raise DeviceError(
                f"device {device.name!r}: clock {self.options['clock']!r} is unknown.",
                hint=nearest(str(self.options["clock"]), CLOCKS),
            )
        torch = torch if torch is not None else import_module("torch")
        reason = missing(torch, int(self.options["index"]))
        if reason:
            raise ProviderError(
                f"device {device.name!r} asks for a CUDA GPU: {reason}.",
                hint='Install the driver and a CUDA build of torch, or use runtime = "onnxruntime".',
            )
        self._torch = torch
        self.gpu = Gpu(int(self.options["index"]), nvml)
        torch.backends.cuda.matmul.allow_tf32 = self.options["tf32"]
        torch.backends.cudnn.allow_tf32 = self.options["tf32"]

    @property
    def place(self) -> str:
        return f"cuda:{self.options['index']}"

    def facts(self) -> dict[str, Any]:
        cuda = self._torch.cuda
        about = cuda.get_device_properties(self.options["index"])
        host = {k: host_facts()[k] for k in ("cpu", "system")}
        return {
            **self.device.settings,
            "provider": "cuda",
            "host": host,
            "gpu": about.name,
            "gpu_memory_mib": round(about.total_memory / 2**20),
            "capability": f"{about.major}.{about.minor}",
            **self.gpu.facts(),
            **versions("torch", "triton"),
            "cuda": self._torch.version.cuda,
            "cudnn": self._torch.backends.cudnn.version(),
            **{k: self.options[k] for k in ("mode", "clock", "tf32", "flush_l2")},
        }

    def load(self, workload: Workload) -> CudaSession:
        """All parts as one call; warmed up, and for ``graph`` captured."""
        torch = self._torch
        dtype = getattr(torch, PRECISIONS[self.device.precision])
        calls: list[tuple[Any, tuple[Any, ...], int]] = []
        try:
            for model in workload.parts:
                calls.append(
                    (self._net(model, dtype), tensors(model, self.device.batch, dtype, self.place), model.runs)
                )

            def call() -> Any:
                answer = None
                for net, inputs, runs in calls:
                    for _ in range(runs):
                        answer = net(*inputs)
                return answer

            with torch.inference_mode():
                stream = torch.cuda.Stream()
                stream.wait_stream(torch.cuda.current_stream())
                with torch.cuda.stream(stream):
                    for _ in range(WARM_UP):
                        answer = call()
                torch.cuda.current_stream().wait_stream(stream)
                torch.cuda.synchronize()
                must_be_numbers(self.device, answer)
                run: Callable[[], Any] = call
                if self.options["mode"] == "graph":
                    graph = torch.cuda.CUDAGraph()
                    with torch.cuda.graph(graph):
                        call()
                    run = graph.replay
        except RuntimeError as error:
            first = str(error).strip().splitlines()
            raise DeviceError(
                f"device {self.device.name!r} cannot run the network: {first[0] if first else type(error).__name__}",
                hint="Out of memory: use a smaller batch or group. Mode graph: the network must not copy to the host.",
            ) from error
        return CudaSession(torch, run, str(self.options["clock"]), self._flusher(), (calls,))

    def _net(self, model: Model, dtype: torch.dtype) -> Any:
        net = module_of(self.device, model).to(self.place, dtype)
        return self._torch.compile(net, dynamic=False) if self.options["mode"] == "compiled" else net

    def _flusher(self) -> Callable[[], Any] | None:
        if not self.options["flush_l2"]:
            return None
        about = self._torch.cuda.get_device_properties(self.options["index"])
        size = 2 * int(getattr(about, "L2_cache_size", 0) or 64 * 2**20)
        return self._torch.empty(size, dtype=self._torch.int8, device=self.place).zero_

    def verify(self, workload: Workload) -> dict[str, int]:
        """Run once; every parameter lies on the GPU, and torch itself refuses to mix devices."""
        self.load(workload).close()
        modules = [m for part in workload.parts if part.module is not None for m in part.module.modules()]
        return {self.place: sum(not list(m.children()) for m in modules)}

    def footprint(self, workload: Workload) -> dict[str, float]:
        """``peak_memory_mib`` on the GPU, ``energy_mj`` a run, and the driver's clock, temperature and throttling."""
        cuda = self._torch.cuda
        cuda.synchronize()
        cuda.empty_cache()
        before = cuda.memory_allocated(self.options["index"])
        cuda.reset_peak_memory_stats(self.options["index"])
        found = footprint(lambda: self.load(workload), self.gpu.energy() or _NoMeter())
        found["peak_memory_mib"] = (cuda.max_memory_allocated(self.options["index"]) - before) / 2**20
        return found | self.gpu.state()

    @classmethod
    def offers(cls) -> list[dict[str, Any]]:
        """The GPUs of this machine; one entry with the reason where there are none."""
        import torch

        reason = missing(torch, 0)
        if reason:
            return [{"provider": "cuda", "not_here": reason}]
        return [
            {
                "provider": f"cuda:{i}",
                "hardware": torch.cuda.get_device_properties(i).name,
                "precision": ", ".join(PRECISIONS),
                "mode": ", ".join(MODES),
            }
            for i in range(torch.cuda.device_count())
        ]


class _NoMeter(Nvml):
    """In the place of a counter that the GPU lacks: the processor's must not stand for it."""

    def __init__(self) -> None:
        return None

    def read(self) -> list[int]:
        raise OSError("this GPU counts no energy")


def missing(torch: Any, index: int) -> str | None:
    """Why there is no such GPU, in a few words; None if there is one."""
    if getattr(torch.version, "cuda", None) is None:
        return "this torch is built without CUDA"
    if not torch.cuda.is_available():
        return "torch finds no CUDA device"
    if index >= torch.cuda.device_count():
        return f"there is no GPU {index}, only {torch.cuda.device_count()}"
    return None
