"""A device: all that makes a latency what it is, and the runtimes that can measure on one."""

from __future__ import annotations

from hwsearch.devices.device import Device
from hwsearch.devices.runtimes.base import Runtime
from hwsearch.errors import DeviceError, nearest
from hwsearch.registry import entry_points


def runtime_names() -> list[str]:
    return sorted({"onnxruntime", *(p.name for p in entry_points(group="hwsearch.runtimes"))})


def runtime_class(device: Device) -> type[Runtime]:
    """The class of the runtime a device names; `DeviceError` when there is none of that name."""
    for point in entry_points(group="hwsearch.runtimes"):
        if point.name == device.runtime:
            return point.load()  # type: ignore[no-any-return]
    if device.runtime == "onnxruntime":
        from hwsearch.devices.runtimes.onnxruntime import OnnxRuntime

        return OnnxRuntime
    raise DeviceError(
        f"device {device.name!r} asks for runtime {device.runtime!r}, which is not installed.",
        hint=nearest(device.runtime, runtime_names()),
    )


def create_runtime(device: Device) -> Runtime:
    """The runtime a device names; `DeviceError` when there is none of that name."""
    return runtime_class(device)(device)
