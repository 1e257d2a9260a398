"""Torch on this machine's processor, eager or compiled: for comparison with a deployment runtime."""

from __future__ import annotations

import copy
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from hwsearch.devices.device import Chain, Device, Form, HostClock, Model, Workload
from hwsearch.devices.host import host_facts, usable_cores, versions
from hwsearch.devices.meters import footprint
from hwsearch.errors import DeviceError, MeasurementError, nearest

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

MODES = ("eager", "compiled")
PRECISIONS = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}


def tensors(model: Model, batch: int, dtype: torch.dtype, place: str) -> tuple[torch.Tensor, ...]:
    """Random inputs of a model on a device, floating ones in `dtype`."""
    import torch

    rng = np.random.default_rng(0)
    found = [torch.from_numpy(np.asarray(i.sample(batch, rng))).to(place) for i in model.inputs]
    return tuple(t.to(dtype) if t.is_floating_point() else t for t in found)


def outputs_of(answer: Any) -> list[torch.Tensor]:
    """The tensors that a network gives."""
    import torch

    return [answer] if isinstance(answer, torch.Tensor) else [t for t in answer if isinstance(t, torch.Tensor)]


def must_be_numbers(device: Device, answer: Any) -> None:
    """Raises `MeasurementError` where an output holds NaN."""
    for k, tensor in enumerate(outputs_of(answer)):
        if tensor.is_floating_point() and bool(tensor.isnan().any()):
            raise MeasurementError(
                f"device {device.name!r}: output {k} holds NaN in {device.precision}.",
                hint="The weights hold NaN, or the device's precision is too low for them.",
            )


def module_of(device: Device, model: Model) -> torch.nn.Module:
    """The part's network, a copy of its own; `DeviceError` where only ONNX was given."""
    if model.module is None:
        raise DeviceError(
            f"device {device.name!r}: runtime {device.runtime!r} runs torch modules, and was given an ONNX file.",
            hint='Use runtime = "onnxruntime".',
        )
    return copy.deepcopy(model.module).eval()


def checked(device: Device, options: dict[str, Any], modes: tuple[str, ...]) -> dict[str, Any]:
    """The options of a torch device with defaults; `DeviceError` for what is unknown."""
    for name, value in device.options.items():
        if name not in options:
            raise DeviceError(f"device {device.name!r}: unknown option {name!r}.", hint=nearest(name, options))
        if type(value) is not type(options[name]):
            raise DeviceError(
                f"device {device.name!r}: option {name} is {value!r}, not a {type(options[name]).__name__}."
            )
    merged = options | device.options
    if merged["mode"] not in modes:
        raise DeviceError(
            f"device {device.name!r}: mode {merged['mode']!r} is unknown.", hint=nearest(str(merged["mode"]), modes)
        )
    if device.precision not in PRECISIONS:
        raise DeviceError(
            f"device {device.name!r}: precision {device.precision!r} is not supported by this runtime.",
            hint=nearest(device.precision, PRECISIONS),
        )
    return merged


class TorchCpuSession(HostClock):
    """A network with its inputs; inference mode, and the device's number of threads while it is timed."""

    def __init__(self, call: Any, inputs: tuple[torch.Tensor, ...], threads: int) -> None:
        self._call, self._inputs, self._threads = call, inputs, threads

    def run(self) -> Any:
        import torch

        with torch.inference_mode():
            return self._call(*self._inputs)

    def time(self, runs: int) -> list[float]:
        with _threads(self._threads):
            return super().time(runs)

    def close(self) -> None:
        del self._call, self._inputs


class TorchCpuChain(Chain):
    """Several networks in order, with the device's number of threads while they are timed."""

    def __init__(self, sessions: list[tuple[HostClock, int]], threads: int) -> None:
        super().__init__(sessions)
        self._threads = threads

    def time(self, runs: int) -> list[float]:
        with _threads(self._threads):
            return super().time(runs)


@contextmanager
def _threads(wanted: int) -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(wanted)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class TorchCpuRuntime:
    """Runtime ``torch-cpu``. Option ``mode``: ``eager`` or ``compiled`` (torch.compile, static shapes)."""

    form: ClassVar[Form] = "torch"

    def __init__(self, device: Device) -> None:
        self.device = device
        self._mode = str(checked(device, {"mode": "eager"}, MODES)["mode"])
        if device.threads > usable_cores():
            raise DeviceError(
                f"device {device.name!r} asks for {device.threads} threads; this process may use {usable_cores()} cores."
            )

    def facts(self) -> dict[str, Any]:
        host = {k: v for k, v in host_facts().items() if k not in ("python", "memory_gib")}
        return {
            **self.device.settings,
            "provider": "cpu",
            "host": host,
            **versions("torch"),
            "mode": self._mode,
            "call": "module call in inference mode",
        }

    def load(self, workload: Workload) -> HostClock:
        parts: list[tuple[HostClock, int]] = [(self._load(m), m.runs) for m in workload.parts]
        if len(parts) == 1 and parts[0][1] == 1:
            return parts[0][0]
        return TorchCpuChain(parts, self.device.threads)

    def _load(self, model: Model) -> TorchCpuSession:
        import torch

        dtype = getattr(torch, PRECISIONS[self.device.precision])
        net = module_of(self.device, model).to(dtype)
        session = TorchCpuSession(
            torch.compile(net, dynamic=False) if self._mode == "compiled" else net,
            tensors(model, self.device.batch, dtype, "cpu"),
            self.device.threads,
        )
        try:
            with _threads(self.device.threads):
                answer = session.run()
        except Exception as error:  # torch raises many kinds
            text = str(error).strip().splitlines()
            raise DeviceError(
                f"device {self.device.name!r} cannot run the network: {text[0] if text else type(error).__name__}"
            ) from error
        must_be_numbers(self.device, answer)
        return session

    def verify(self, workload: Workload) -> dict[str, int]:
        self.load(workload).close()
        modules = [m for part in workload.parts if part.module is not None for m in part.module.modules()]
        return {f"torch {self._mode}": sum(not list(m.children()) for m in modules)}

    def footprint(self, workload: Workload) -> dict[str, float]:
        """See `hwsearch.devices.meters.footprint`."""
        return footprint(lambda: self.load(workload))

    @classmethod
    def offers(cls) -> list[dict[str, Any]]:
        """What this runtime can be asked for here."""
        return [
            {
                "provider": "cpu",
                "threads": f"1 to {usable_cores()}",
                "precision": ", ".join(PRECISIONS),
                "mode": ", ".join(MODES),
            }
        ]
