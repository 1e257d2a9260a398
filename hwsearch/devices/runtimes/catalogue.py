"""Runtimes by name: what can measure on a device."""

from __future__ import annotations

from hwsearch.devices.device import Device
from hwsearch.devices.runtimes.base import Runtime
from hwsearch.errors import DeviceError
from hwsearch.registry import Registry

RUNTIMES: Registry[type[Runtime]] = Registry(
    "hwsearch.runtimes",
    "runtime",
    DeviceError,
    lambda found: isinstance(found, type) and hasattr(found, "form"),
    "a Runtime class",
)


def runtime_names() -> list[str]:
    """Return the names of all runtimes, this package's and those of installed plug-ins.

    Returns
    -------
    list of str
        In alphabetical order.
    """
    return RUNTIMES.names()


def runtime_class(device: Device) -> type[Runtime]:
    """Return the class of the runtime that a device names.

    Parameters
    ----------
    device : Device
        Its `runtime` is the name.

    Returns
    -------
    type of Runtime
        Not yet created.

    Raises
    ------
    DeviceError
        When there is none of that name.
    """
    return RUNTIMES.load(device.runtime, where=f"device {device.name!r}")


def create_runtime(device: Device) -> Runtime:
    """Create the runtime that a device names.

    Parameters
    ----------
    device : Device
        Name of the runtime, and its settings.

    Returns
    -------
    Runtime
        Ready to load workloads.

    Raises
    ------
    DeviceError
        When there is no runtime of that name, or for settings that it cannot meet.
    """
    return runtime_class(device)(device)
