"""Runtimes: they load workloads on a device and give sessions that can be timed."""

from __future__ import annotations

import gc
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol

from typing_extensions import override

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

    Attributes
    ----------
    inputs : tuple of Input
        What it takes.
    onnx : bytes
        The serialised model with dynamic batch, ``b""`` where the runtime asks for torch.
    module : torch.nn.Module or None
        The network in evaluation mode, None where the runtime asks for ONNX.
    runs : int
        How often it is run for one inference.
    """

    inputs: tuple[Input, ...]
    onnx: bytes = b""
    module: nn.Module | None = None
    runs: int = 1


@dataclass(frozen=True)
class Workload:
    """Workload that is measured: a deployed subnet, whose parts are run in order, each its number of times.

    Attributes
    ----------
    parts : tuple of Model
        Its models.
    arch_id : str
        Which architecture it is; empty where it is a model from elsewhere.
    genes : mapping of str to value
        The architecture.
    """

    parts: tuple[Model, ...] = ()
    arch_id: str = ""
    genes: Mapping[str, int | float | str] = field(default_factory=dict)

    @classmethod
    def of(cls, onnx: bytes, inputs: InputsLike) -> Workload:
        """Make a workload of a single ONNX model.

        Parameters
        ----------
        onnx : bytes
            The serialised model.
        inputs : InputsLike
            What it takes: an image's shape, or inputs.

        Returns
        -------
        Workload
            Of one part.
        """
        return cls((Model(as_inputs(inputs), onnx),))


class Session(Protocol):
    """A loaded workload, ready to be timed."""

    def time(self, runs: int) -> list[float]:
        """Time inferences of the device's batch, one after the other, each to its end.

        Parameters
        ----------
        runs : int
            How many.

        Returns
        -------
        list of float
            Milliseconds of each.

        Raises
        ------
        MeasurementError
            If the device fails, hangs or answers nonsense.
        """
        ...

    def close(self) -> None:
        """Give back what the session holds; a closed session is not timed again."""
        ...


class HostClock(Session):
    """Base of sessions whose inference is a call in this process, timed by this host's clock."""

    def run(self) -> None:
        """Run one inference of the device's batch, to its end."""
        raise NotImplementedError

    @override
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

    @override
    def close(self) -> None:
        return None


class Chain(HostClock):
    """Several loaded models that make one inference: each is run its number of times, in order.

    Parameters
    ----------
    sessions : sequence of (Session, int)
        Loaded models, and how often each is run.

    Notes
    -----
    Where every session leaves the clock to `HostClock`, one inference of the chain is timed as a whole. Where one has a
    `time` of its own, the times of all are summed.
    """

    def __init__(self, sessions: Sequence[tuple[Session, int]]) -> None:
        self._parts = list(sessions)
        host = all(type(session).time is HostClock.time for session, _ in sessions)
        self._calls = [s.run for s, runs in sessions for _ in range(runs) if isinstance(s, HostClock)] if host else None

    @override
    def run(self) -> None:
        if self._calls is None:
            self.time(1)
            return
        for call in self._calls:
            call()

    @override
    def time(self, runs: int) -> list[float]:
        if self._calls is not None:
            return super().time(runs)
        times = [0.0] * runs
        for session, calls in self._parts:
            found = session.time(runs * calls)
            times = [t + sum(found[i * calls : (i + 1) * calls]) for i, t in enumerate(times)]
        return times

    @override
    def close(self) -> None:
        for session, _ in self._parts:
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
    """Runtime that runs workloads on a device; an entry point of group ``hwsearch.runtimes`` is such a class.

    Parameters
    ----------
    device : Device
        Settings of the target.

    Attributes
    ----------
    form : {"onnx", "torch", "genes"}
        What it needs of a workload: ONNX models, torch modules, or the architecture alone.
    starts_programs : bool
        Whether it starts programs that the configuration names; a configuration of another user is then asked about. A
        runtime without this attribute starts none.

    Raises
    ------
    DeviceError
        For settings that it does not know or cannot meet.
    ProviderError
        For a provider that is missing.
    """

    form: ClassVar[Form]

    def __init__(self, device: Device) -> None:
        """See the class."""
        ...

    def facts(self) -> JsonObject:
        """Describe everything that makes this device's latency what it is.

        Returns
        -------
        dict
            Hardware, versions, settings; JSON-able, and the same at each call.

        Raises
        ------
        DeviceError
            If the device does not tell.
        """
        ...

    def load(self, workload: Workload) -> Session:
        """Load a workload and run it once.

        Parameters
        ----------
        workload : Workload
            In the runtime's form.

        Returns
        -------
        Session
            Ready to be timed.

        Raises
        ------
        DeviceError
            If the device cannot run it.
        MeasurementError
            If outputs are not finite.
        """
        ...

    def verify(self, workload: Workload) -> dict[str, int]:
        """Run a workload once and count executed nodes by where they ran.

        Parameters
        ----------
        workload : Workload
            In the runtime's form.

        Returns
        -------
        dict of str to int
            Nodes by provider or kind of device.

        Raises
        ------
        ProviderError
            If part of the workload fell back to another provider.
        DeviceError
            If the device cannot run it.
        MeasurementError
            If outputs are not finite.
        """
        ...
