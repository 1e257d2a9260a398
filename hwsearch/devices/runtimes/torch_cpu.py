"""Torch on this machine's processor, eager or compiled: for comparison with a deployment runtime."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from typing_extensions import override

from hwsearch._json import JsonObject
from hwsearch.devices.device import Device
from hwsearch.devices.host import host_facts, usable_cores, versions
from hwsearch.devices.meters import footprint, host_meter
from hwsearch.devices.runtimes.base import Form, HostClock, Runtime, Workload, raise_closed
from hwsearch.devices.runtimes.torch_network import (
    DTYPES,
    TorchPart,
    chain,
    check_torch_device,
    count_operators,
    intra_op_threads,
)
from hwsearch.errors import DeviceError

MODES = ("eager", "compiled")


#: what a device of these runtimes may name as its provider; the first stands for "not named"
PROVIDERS = ("CPUExecutionProvider", "cpu")


class TorchCpuSession(HostClock):
    """A workload with its inputs; the device's number of threads holds while it is timed, and only then.

    Parameters
    ----------
    call : callable
        One inference.
    threads : int
        Intra-op threads.
    """

    def __init__(self, call: Callable[[], Any], threads: int) -> None:
        self._call, self._threads = call, threads

    @override
    def run(self) -> None:
        self._call()

    @override
    def time(self, runs: int) -> list[float]:
        with intra_op_threads(self._threads), torch.inference_mode():
            return super().time(runs)

    @override
    def close(self) -> None:
        self._call = raise_closed


class TorchCpuRuntime(Runtime):
    """Runtime ``torch-cpu``: torch on this machine's processor, for comparison with a deployment runtime.

    Parameters
    ----------
    device : Device
        Option ``mode``: ``eager``, or ``compiled`` (torch.compile of the whole network for fixed shapes; needs a C++
        compiler). Precision: fp32, bf16, fp16 (weights and inputs are converted).

    Raises
    ------
    DeviceError
        For an unknown option or precision, and for more threads than there are cores.
    """

    form: ClassVar[Form] = "torch"

    def __init__(self, device: Device) -> None:
        self.device = device
        self._mode = str(check_torch_device(device, {"mode": "eager"}, MODES, PROVIDERS)["mode"])
        if device.threads > usable_cores():
            raise DeviceError(
                f"device {device.name!r} asks for {device.threads} threads; this process may use {usable_cores()} cores."
            )

    @override
    def facts(self) -> JsonObject:
        host = {k: v for k, v in host_facts().items() if k not in ("python", "memory_gib")}
        return {
            **self.device.settings,
            "provider": "cpu",
            "host": host,
            **versions("torch"),
            "mode": self._mode,
            "call": "module call in inference mode",
        }

    @override
    def load(self, workload: Workload) -> TorchCpuSession:
        parts = [TorchPart(self.device, model, "cpu", compiled=self._mode == "compiled") for model in workload.parts]
        with intra_op_threads(self.device.threads), torch.inference_mode():
            for part in parts:
                part.check()
        return TorchCpuSession(chain(parts), self.device.threads)

    @override
    def verify(self, workload: Workload) -> dict[str, int]:
        self.load(workload).close()
        return count_operators(self.device, workload, "cpu")

    def footprint(self, workload: Workload) -> dict[str, float]:
        """Measure memory and energy of a workload in this process.

        Parameters
        ----------
        workload : Workload
            Of torch modules.

        Returns
        -------
        dict of str to float
            See `hwsearch.devices.meters.footprint`.
        """
        return footprint(lambda: self.load(workload), host_meter())

    @classmethod
    def offers(cls) -> list[JsonObject]:
        """List what this runtime can be asked for on this machine.

        Returns
        -------
        list of dict
            One row.
        """
        return [
            {
                "provider": "cpu",
                "threads": f"1 to {usable_cores()}",
                "precision": ", ".join(DTYPES),
                "mode": ", ".join(MODES),
            }
        ]
