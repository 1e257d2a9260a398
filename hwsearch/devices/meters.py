"""Meters beside the clock: peak memory of this process, energy of the processor packages, energy of a GPU."""

from __future__ import annotations

import ctypes
import gc
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

POWERCAP = Path("/sys/class/powercap")
PROC = Path("/proc/self")
#: an energy counter moves every millisecond or so: shorter than this is not measured
ENERGY_S = 0.5


def peak_memory(action: Callable[[], Any], *, proc: Path = PROC) -> float | None:
    """MiB by which `action` makes the resident memory of this process grow at its peak; None where that is not told.

    The system's high-water mark is reset first (Linux). Memory that earlier work has left unused is given back before,
    as far as the C library does; what it keeps makes the figure too small, never too large.
    """
    gc.collect()
    if sys.platform.startswith("linux"):
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)
    try:
        (proc / "clear_refs").write_text("5")
        before = _status(proc, "VmRSS")
        action()
        return max(0.0, (_status(proc, "VmHWM") - before) / 1024)
    except (OSError, KeyError, ValueError):
        return None


def _status(proc: Path, field: str) -> int:
    """A field of /proc/…/status, KiB."""
    for line in (proc / "status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0])
    raise KeyError(field)


class Rapl:
    """Energy counters of the processor packages (Intel and AMD, Linux), summed; with wrap-around.

    Raises `OSError` where there are none that this user may read.
    """

    def __init__(self, root: Path = POWERCAP) -> None:
        self._zones = [z for z in sorted(root.glob("*:*")) if z.name.count(":") == 1 and (z / "energy_uj").exists()]
        if not self._zones:
            raise OSError(f"no energy counters in {root}")
        self._ranges = [self._number(z, "max_energy_range_uj") for z in self._zones]
        self.read()

    @staticmethod
    def _number(zone: Path, name: str) -> int:
        return int((zone / name).read_text())

    def read(self) -> list[int]:
        """Microjoules of each package since its counter began."""
        return [self._number(z, "energy_uj") for z in self._zones]

    def used_mj(self, before: list[int], after: list[int]) -> float:
        """Millijoules between two readings; a counter may have begun again once."""
        return sum((b - a) % (top + 1) for a, b, top in zip(before, after, self._ranges, strict=True)) / 1e3


class Nvml:
    """Energy counter of one NVIDIA GPU, by nvidia-ml-py's module `nvml` and its handle."""

    def __init__(self, nvml: Any, handle: Any) -> None:
        self._read, self._handle = nvml.nvmlDeviceGetTotalEnergyConsumption, handle
        self.read()

    def read(self) -> list[int]:
        """Millijoules since the driver was loaded."""
        return [int(self._read(self._handle))]

    def used_mj(self, before: list[int], after: list[int]) -> float:
        return float(after[0] - before[0])


def energy(time_runs: Callable[[int], list[float]], meter: Rapl | Nvml, *, seconds: float = ENERGY_S) -> float:
    """Millijoules of one inference: the counter's difference over at least `seconds` of runs, all of the package's."""
    runs, used, started = 0, 0.0, time.monotonic()
    before = meter.read()
    while time.monotonic() - started < seconds:
        time_runs(10)
        runs += 10
    used = meter.used_mj(before, meter.read())
    return used / runs


def host_meters() -> dict[str, Any]:
    """What this machine can meter: name to a sentence."""
    found: dict[str, Any] = {}
    found["peak_memory_mib"] = (
        "resident high-water mark" if (PROC / "clear_refs").exists() else "not on this system: no /proc/self/clear_refs"
    )
    try:
        found["energy_mj"] = f"RAPL, {len(Rapl().read())} packages"
    except (OSError, ValueError) as error:
        found["energy_mj"] = f"not here: {error}"
    return found


def footprint(load: Callable[[], Any], meter: Rapl | Nvml | None = None) -> dict[str, float]:
    """Further metrics of a workload in this process: ``peak_memory_mib`` of loading and running it, ``energy_mj`` a run.

    load : gives a session; what cannot be metered here is left out
    """
    found: dict[str, float] = {}
    sessions: list[Any] = []

    def action() -> None:
        sessions.append(load())
        sessions[0].time(3)

    memory = peak_memory(action)
    if not sessions:
        action()
    if memory is not None:
        found["peak_memory_mib"] = memory
    if meter is None:
        with suppress(OSError, ValueError):
            meter = Rapl()
    if meter is not None:
        with suppress(OSError, ValueError):
            found["energy_mj"] = energy(sessions[0].time, meter)
    sessions[0].close()
    return found
