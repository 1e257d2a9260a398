"""Runtimes by name: what can measure on a device."""

from __future__ import annotations

from typing import get_args

from hwsearch.devices.device import Device
from hwsearch.devices.runtimes.base import Form, Runtime
from hwsearch.errors import DeviceError, PluginError
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


def starts_programs(device: Device) -> bool:
    """Tell whether the runtime of a device starts programs that the configuration names.

    Parameters
    ----------
    device : Device
        Names the runtime.

    Returns
    -------
    bool
        What its class says with ``starts_programs``; False where it says nothing.
    """
    return bool(getattr(runtime_class(device), "starts_programs", False))


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
    PluginError
        When the runtime lacks a method, or asks for a workload of a form that there is not.
    """
    runtime = runtime_class(device)(device)
    missing = [name for name in ("facts", "load", "verify") if not callable(getattr(runtime, name, None))]
    if missing:
        raise PluginError(f"runtime {device.runtime!r} has no method {' and no method '.join(missing)}.")
    form = getattr(runtime, "form", None)
    if form not in get_args(Form):
        raise PluginError(
            f"form of runtime {device.runtime!r} must be one of {', '.join(get_args(Form))}, got {form!r}."
        )
    return runtime
