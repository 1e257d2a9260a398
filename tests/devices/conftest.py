"""A GPU that is not there: `torch.cuda` and `pynvml` at their boundary. Tensors lie on the processor, all else is told."""

from __future__ import annotations

from contextlib import contextmanager
from types import SimpleNamespace

import pytest


class FakeCuda:
    """What runtime ``cuda`` asks of `torch.cuda`; `log` keeps the order of the calls.

    devices : how many GPUs; kernel_ms : what a run takes between two events
    """

    def __init__(self, devices: int = 1, kernel_ms: float = 0.25) -> None:
        self.devices, self.kernel_ms = devices, kernel_ms
        self.log: list[str] = []
        self.current = 0
        self.lost = False
        self.capturing = False
        fake = self

        class Stream:
            def wait_stream(self, other) -> None:
                fake.log.append("wait")

        class Event:
            def __init__(self, enable_timing: bool) -> None:
                assert enable_timing

            def record(self) -> None:
                fake.log.append("record")

            def synchronize(self) -> None:
                fake.log.append("wait for event")
                if fake.lost:
                    raise RuntimeError("CUDA error: unspecified launch failure\nCompile with TORCH_USE_CUDA_DSA")

            def elapsed_time(self, other) -> float:
                return fake.kernel_ms

        class CUDAGraph:
            def __init__(self) -> None:
                self.device = fake.current

            def replay(self) -> None:
                assert self.device == fake.current
                fake.log.append("replay")

        self.Stream, self.Event, self.CUDAGraph = Stream, Event, CUDAGraph

    def is_available(self) -> bool:
        return self.devices > 0

    def device_count(self) -> int:
        return self.devices

    def get_device_properties(self, index: int):
        return SimpleNamespace(
            name=f"Fake {index}", uuid=f"uuid-{index}", total_memory=8 << 30, major=9, minor=0, L2_cache_size=1000
        )

    @contextmanager
    def device(self, index: int):
        before, self.current = self.current, index
        yield
        self.current = before

    def current_stream(self):
        return self.Stream()

    @contextmanager
    def stream(self, stream):
        self.log.append("side stream")
        yield
        self.log.append("main stream")

    @contextmanager
    def graph(self, graph):
        self.log.append("capture")
        yield
        self.log.append("captured")

    def synchronize(self) -> None:
        self.log.append("synchronise")

    def empty_cache(self) -> None:
        self.log.append("empty cache")

    def memory_allocated(self, index: int) -> int:
        return 1 << 20

    def max_memory_allocated(self, index: int) -> int:
        return 5 << 20

    def reset_peak_memory_stats(self, index: int) -> None:
        self.log.append("reset peak")


class FakeNvml:
    """What is asked of `pynvml`. mask : of throttle reasons; unsupported : functions that this GPU lacks."""

    NVML_CLOCK_SM, NVML_CLOCK_MEM, NVML_TEMPERATURE_GPU = 1, 2, 0
    nvmlClocksThrottleReasonSwPowerCap = 4
    nvmlClocksThrottleReasonHwSlowdown = 8
    nvmlClocksThrottleReasonSwThermalSlowdown = 32
    nvmlClocksThrottleReasonHwThermalSlowdown = 64
    nvmlClocksThrottleReasonHwPowerBrakeSlowdown = 128

    class NVMLError(Exception):
        pass

    def __init__(self, unsupported: tuple[str, ...] = ()) -> None:
        self.mask, self.energy_mj, self.unsupported = 0, 1000, unsupported
        self.opened: list[str] = []

    def __getattribute__(self, name: str):
        if name.startswith("nvmlDevice") and name in object.__getattribute__(self, "unsupported"):

            def refuse(*_):
                raise FakeNvml.NVMLError("Not Supported")

            return refuse
        return object.__getattribute__(self, name)

    def nvmlInit(self) -> None: ...

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:
        self.opened.append(uuid)
        return f"handle of {uuid}"

    def nvmlSystemGetDriverVersion(self):
        return b"570.1"

    def nvmlDeviceGetMaxClockInfo(self, handle, kind: int) -> int:
        return {1: 1980, 2: 2619}[kind]

    def nvmlDeviceGetClockInfo(self, handle, kind: int) -> int:
        return {1: 1500, 2: 2600}[kind]

    def nvmlDeviceGetEnforcedPowerLimit(self, handle) -> int:
        return 700_000

    def nvmlDeviceGetPowerUsage(self, handle) -> int:
        return 120_000

    def nvmlDeviceGetTemperature(self, handle, kind: int) -> int:
        return 55

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, handle) -> int:
        return self.mask

    def nvmlDeviceGetTotalEnergyConsumption(self, handle) -> int:
        self.energy_mj += 30
        return self.energy_mj


@pytest.fixture
def fake_cuda():
    return FakeCuda


@pytest.fixture
def fake_nvml():
    return FakeNvml
