"""A device: all that makes a latency what it is, and the runtimes that can measure on one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import entry_points
from typing import Any, Protocol

from hwsearch.errors import DeviceError, nearest
from hwsearch.inputs import InputsLike


@dataclass(frozen=True)
class Device:
    """Name, runtime and settings of one target.

    threads : intra-op threads; batch : images a run; precision : of the model as measured
    options : further settings of the runtime
    """

    name: str
    runtime: str = "onnxruntime"
    provider: str = "CPUExecutionProvider"
    threads: int = 1
    batch: int = 1
    precision: str = "fp32"
    options: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def settings(self) -> dict[str, Any]:
        """What the user chose, without the name."""
        return {
            "runtime": self.runtime,
            "provider": self.provider,
            "threads": self.threads,
            "batch": self.batch,
            "precision": self.precision,
            "options": dict(sorted(self.options.items())),
        }


class Session(Protocol):
    """One loaded model, ready to run."""

    def run(self) -> None:
        """One inference of the device's batch, to its end."""
        ...


class Chain:
    """Several loaded models that make one inference: each is run its number of times, in order."""

    def __init__(self, sessions: Sequence[tuple[Session, int]]) -> None:
        self._calls = [session.run for session, runs in sessions for _ in range(runs)]

    def run(self) -> None:
        for call in self._calls:
            call()


class Runtime(Protocol):
    """What runs models on a device. An entry point of group ``hwsearch.runtimes`` is such a class."""

    def __init__(self, device: Device) -> None: ...

    def facts(self) -> dict[str, Any]:
        """Everything that makes this device's latency what it is: hardware, versions, settings; JSON-able."""
        ...

    def load(self, model: bytes, inputs: InputsLike) -> Session:
        """Load an ONNX model with dynamic batch; raises `DeviceError` when it cannot run on such inputs."""
        ...

    def verify(self, model: bytes, inputs: InputsLike) -> dict[str, int]:
        """Run once and count executed nodes by provider; raises `ProviderError` on a fallback."""
        ...


def fingerprint(facts: dict[str, Any]) -> str:
    """Twelve hex digits that change when anything in a device's facts does."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()[:12]


def runtime_names() -> list[str]:
    return sorted({"onnxruntime", *(p.name for p in entry_points(group="hwsearch.runtimes"))})


def create_runtime(device: Device) -> Runtime:
    """The runtime a device names; `DeviceError` when there is none of that name."""
    for point in entry_points(group="hwsearch.runtimes"):
        if point.name == device.runtime:
            return point.load()(device)  # type: ignore[no-any-return]
    if device.runtime == "onnxruntime":
        from hwsearch.devices.onnxruntime import OnnxRuntime

        return OnnxRuntime(device)
    raise DeviceError(
        f"device {device.name!r} asks for runtime {device.runtime!r}, which is not installed.",
        hint=nearest(device.runtime, runtime_names()),
    )


def check_names(devices: Sequence[Device]) -> None:
    """Two devices of one campaign must have different names."""
    names = [d.name for d in devices]
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise DeviceError(f"two devices are named {twice[0]!r}.")
