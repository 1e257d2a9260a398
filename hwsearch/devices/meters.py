"""Meters beside the clock: peak memory of this process, energy of the processor packages, energy of a GPU."""

from __future__ import annotations

import ctypes
import gc
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import psutil

POWERCAP = Path("/sys/class/powercap")
PROC = Path("/proc/self")
#: energy is the median of so many windows, each long against the millisecond in which a counter moves
WINDOWS, WINDOW_S = 3, 0.3
#: runs behind a peak of memory, and between two looks at the clock
RUNS = 3


class Meter(Protocol):
    """An energy counter."""

    def read(self) -> list[int]:
        """Where the counters stand. Raises `OSError` when they cannot be read."""
        ...

    def used_mj(self, before: list[int], after: list[int]) -> float:
        """Millijoules between two readings."""
        ...


def peak_memory(action: Callable[[], Any], *, proc: Path = PROC) -> float:
    """MiB by which `action` makes the resident memory of this process grow, at its peak.

    The system's high-water mark is reset first, by ``/proc/self/clear_refs``. Where that is not allowed, the mark counts
    if it rises, otherwise what is resident afterwards does; so too on systems without ``/proc``. Memory that earlier work
    has left unused is given back before, as far as the C library does; what the process keeps makes the figure too small,
    never too large. A fresh process gives the truest one.
    """
    gc.collect()
    if sys.platform.startswith("linux"):
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)
    with suppress(OSError):
        (proc / "clear_refs").write_text("5")
    before, mark = _resident(proc)
    action()
    after, peak = _resident(proc)
    return max(0.0, ((peak if peak > mark else after) - before) / 2**20)


def _resident(proc: Path) -> tuple[int, int]:
    """(bytes resident now, the most so far); twice the first where the system does not tell."""
    try:
        status = dict(line.split(":", 1) for line in (proc / "status").read_text().splitlines() if ":" in line)
        now, most = (1024 * int(status[field].split()[0]) for field in ("VmRSS", "VmHWM"))
        return now, most
    except (OSError, KeyError, ValueError):
        now = int(psutil.Process().memory_info().rss)
        return now, now


class Rapl:
    """Energy counters of the processor packages (Intel and AMD, Linux), summed; a counter that wraps around is no harm.

    They count all that runs on the packages, not this process alone. Raises `OSError` where there are none that this
    user may read.
    """

    def __init__(self, root: Path = POWERCAP) -> None:
        # "intel-rapl-mmio" counts the same packages once more, zone "psys" contains them, "dram" and "core" are parts
        zones = sorted(z for z in root.glob("intel-rapl:*") if z.name.count(":") == 1)
        self._zones = [z for z in zones if (z / "name").read_text().startswith("package")]
        if not self._zones:
            raise OSError(f"no energy counters in {root}")
        self._ranges = [int((z / "max_energy_range_uj").read_text()) for z in self._zones]
        self.read()

    def __len__(self) -> int:
        return len(self._zones)

    def read(self) -> list[int]:
        """Microjoules of each package since its counter began."""
        return [int((z / "energy_uj").read_text()) for z in self._zones]

    def used_mj(self, before: list[int], after: list[int]) -> float:
        """Millijoules between two readings; each counter may have begun again once."""
        spent = (b - a if b >= a else b - a + top for a, b, top in zip(before, after, self._ranges, strict=True))
        return sum(spent) / 1e3


class Nvml:
    """Energy counter of one NVIDIA GPU, by nvidia-ml-py's module `nvml` and its handle; all of the board.

    Raises `OSError` where the GPU has none (before Volta).
    """

    def __init__(self, nvml: Any, handle: Any) -> None:
        self._nvml, self._handle = nvml, handle
        self.read()

    def read(self) -> list[int]:
        """Millijoules since the driver was loaded."""
        try:
            return [int(self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle))]
        except self._nvml.NVMLError as error:
            raise OSError(f"this GPU's energy counter cannot be read: {error}") from error

    def used_mj(self, before: list[int], after: list[int]) -> float:
        return float(after[0] - before[0])


def energy(
    time_runs: Callable[[int], Any], meter: Meter, *, windows: int = WINDOWS, seconds: float = WINDOW_S
) -> tuple[float, float]:
    """(median, half the range) of the millijoules of one inference over so many windows of so many seconds.

    What the idle machine draws is in it. Raises `OSError` when the counter fails or does not move.
    """
    found = []
    for _ in range(windows):
        runs, until = 0, time.monotonic() + seconds
        before = meter.read()
        while runs == 0 or time.monotonic() < until:
            time_runs(RUNS)
            runs += RUNS
        found.append(meter.used_mj(before, meter.read()) / runs)
    if not min(found) > 0:
        raise OSError("the energy counter does not move")
    return statistics.median(found), (max(found) - min(found)) / 2


def host_meter(root: Path = POWERCAP) -> Rapl | None:
    """The processor's energy counter, where this user may read it."""
    try:
        return Rapl(root)
    except (OSError, ValueError):
        return None


def host_meters(*, proc: Path = PROC, root: Path = POWERCAP) -> dict[str, str]:
    """What this machine can meter and how, or in a few words why not."""
    told = "resident memory before and after" if not (proc / "clear_refs").exists() else "resident high-water mark"
    try:
        packages = len(Rapl(root))
        power = f"RAPL, {packages} package{'s' if packages > 1 else ''}"
    except PermissionError:
        power = f"not here: only root may read the energy counters in {root}"
    except (OSError, ValueError) as error:
        power = f"not here: {error}"
    return {"peak_memory_mib": told, "energy_mj": power}


def footprint(load: Callable[[], Any], meter: Meter | None) -> dict[str, float]:
    """Further metrics of a workload in this process; what cannot be metered here is left out.

    load : gives a session; meter : the energy counter of what it runs on, None: there is none
    ``peak_memory_mib`` : see `peak_memory`; loading the workload and running it
    ``energy_mj``, ``energy_mj_spread`` : of one inference, see `energy`
    """
    sessions: list[Any] = []

    def action() -> None:
        sessions.append(load())
        sessions[0].time(RUNS)

    found: dict[str, float] = {}
    try:
        found["peak_memory_mib"] = peak_memory(action)
        if meter is not None:
            with suppress(OSError):
                found["energy_mj"], found["energy_mj_spread"] = energy(sessions[0].time, meter)
    finally:
        for session in sessions:
            session.close()
    return found
