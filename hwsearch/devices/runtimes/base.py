"""A device: all that makes a latency what it is, and the runtimes that can measure on one."""

from __future__ import annotations

import gc
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol

from hwsearch._json import JsonObject
from hwsearch.devices.device import Device
from hwsearch.errors import MeasurementError
from hwsearch.tasks.inputs import Input, InputsLike, as_inputs

if TYPE_CHECKING:
    from torch import nn


#: what a runtime needs of a workload
Form = Literal["onnx", "torch", "genes"]


@dataclass(frozen=True)
class Model:
    """One part of a deployed subnet, in the forms a runtime may ask for; usually a subnet has one.

    inputs : what it takes; onnx : the serialised model with dynamic batch, ``b""`` where the runtime asks for torch
    module : the torch network in evaluation mode, None where the runtime asks for ONNX
    runs : how often it is run for one inference
    """

    inputs: tuple[Input, ...]
    onnx: bytes = b""
    module: nn.Module | None = None
    runs: int = 1


@dataclass(frozen=True)
class Workload:
    """What is measured: a deployed subnet. Its parts are run in order, each its number of times.

    arch_id, genes : which architecture it is; empty where it is a model from elsewhere
    """

    parts: tuple[Model, ...] = ()
    arch_id: str = ""
    genes: Mapping[str, int | float | str] = field(default_factory=dict)

    @classmethod
    def of(cls, onnx: bytes, inputs: InputsLike) -> Workload:
        """A single ONNX model."""
        return cls((Model(as_inputs(inputs), onnx),))


class Session(Protocol):
    """A loaded workload, ready to be timed."""

    def time(self, runs: int) -> list[float]:
        """Milliseconds of each of `runs` inferences of the device's batch, one after the other, each to its end.

        Raises `MeasurementError` when the device fails, hangs or answers nonsense.
        """
        ...

    def close(self) -> None:
        """Give back what it holds; a closed session is not timed again."""
        ...


class HostClock(Session):
    """Base of sessions whose inference is a call in this process, timed by this host's clock."""

    def run(self) -> None:
        """One inference of the device's batch, to its end."""
        raise NotImplementedError

    def time(self, runs: int) -> list[float]:
        clock, run = time.perf_counter_ns, self.run
        collecting = gc.isenabled()
        gc.disable()
        try:
            times = []
            for _ in range(runs):
                started = clock()
                run()
                times.append((clock() - started) / 1e6)
            return times
        finally:
            if collecting:
                gc.enable()

    def close(self) -> None:
        return None


class Chain(HostClock):
    """Several loaded models that make one inference: each is run its number of times, in order."""

    def __init__(self, sessions: Sequence[tuple[HostClock, int]]) -> None:
        self._sessions = [session for session, _ in sessions]
        self._calls = [session.run for session, runs in sessions for _ in range(runs)]

    def run(self) -> None:
        for call in self._calls:
            call()

    def close(self) -> None:
        for session in self._sessions:
            session.close()


def raise_closed() -> None:
    """Stand in the place of a closed session's inference.

    Raises
    ------
    MeasurementError
        Always.
    """
    raise MeasurementError("this session is closed.")


class Runtime(Protocol):
    """What runs workloads on a device. An entry point of group ``hwsearch.runtimes`` is such a class.

    form : what it needs of a workload: ``onnx`` (models), ``torch`` (modules) or ``genes`` (the architecture alone)
    """

    form: ClassVar[Form]

    def __init__(self, device: Device) -> None:
        """Raises `DeviceError` for settings it does not know or cannot meet, `ProviderError` for a missing provider."""
        ...

    def facts(self) -> JsonObject:
        """Everything that makes this device's latency what it is: hardware, versions, settings; JSON-able."""
        ...

    def load(self, workload: Workload) -> Session:
        """Load a workload and run it once; raises `DeviceError` when it cannot run."""
        ...

    def verify(self, workload: Workload) -> dict[str, int]:
        """Run once and count executed nodes by where they ran; raises `ProviderError` on a fallback.

        Raises `MeasurementError` when outputs are not finite.
        """
        ...
