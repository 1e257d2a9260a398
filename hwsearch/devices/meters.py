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
        """Read where the counters stand.

        Returns
        -------
        list of int
            In units of the meter; `used_mj` knows them.

        Raises
        ------
        OSError
            If they cannot be read.
        """
        ...

    def used_mj(self, before: list[int], after: list[int]) -> float:
        """Return the energy between two readings.

        Parameters
        ----------
        before, after : list of int
            As `read` gives them.

        Returns
        -------
        float
            Millijoules.
        """
        ...


def peak_memory(action: Callable[[], Any], *, proc: Path = PROC) -> float:
    """Measure by how much an action makes the resident memory of this process grow, at its peak.

    The system's high-water mark is reset first, by ``/proc/self/clear_refs``. Where that is not allowed, the mark counts if it
    rises, otherwise what is resident afterwards does; so too on systems without ``/proc``. Memory that earlier work has left
    unused is given back before, as far as the C library does; what the process keeps makes the figure too small, never too
    large. A fresh process gives the truest one.

    Parameters
    ----------
    action : callable
        Called once.
    proc : Path
        Folder of this process in ``/proc``.

    Returns
    -------
    float
        MiB.
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
    """Read (bytes resident now, the most so far); twice the first where the system does not tell."""
    try:
        status = dict(line.split(":", 1) for line in (proc / "status").read_text().splitlines() if ":" in line)
        now, most = (1024 * int(status[field].split()[0]) for field in ("VmRSS", "VmHWM"))
        return now, most
    except (OSError, KeyError, ValueError):
        now = int(psutil.Process().memory_info().rss)
        return now, now


class Rapl:
    """Energy counters of the processor packages (Intel and AMD, Linux), summed.

    They count all that runs on the packages, not this process alone. A counter that wraps around does no harm.

    Parameters
    ----------
    root : Path
        The powercap folder of ``/sys``.

    Raises
    ------
    OSError
        Where there are no counters that this user may read.
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
        """Read the counter of each package.

        Returns
        -------
        list of int
            Microjoules since each counter began.

        Raises
        ------
        OSError
            If a counter cannot be read.
        """
        return [int((z / "energy_uj").read_text()) for z in self._zones]

    def used_mj(self, before: list[int], after: list[int]) -> float:
        """Return the energy between two readings; each counter may have begun again once.

        Parameters
        ----------
        before, after : list of int
            As `read` gives them.

        Returns
        -------
        float
            Millijoules.
        """
        spent = (b - a if b >= a else b - a + top for a, b, top in zip(before, after, self._ranges, strict=True))
        return sum(spent) / 1e3


class Nvml:
    """Energy counter of one NVIDIA GPU; it counts the whole board.

    Parameters
    ----------
    nvml : module
        nvidia-ml-py's ``pynvml``, initialised.
    handle : object
        Its handle of the GPU.

    Raises
    ------
    OSError
        If the GPU has no counter (before Volta).
    """

    def __init__(self, nvml: Any, handle: Any) -> None:
        self._nvml, self._handle = nvml, handle
        self.read()

    def read(self) -> list[int]:
        """Read the counter.

        Returns
        -------
        list of int
            Millijoules since the driver was loaded.

        Raises
        ------
        OSError
            If the counter cannot be read.
        """
        try:
            return [int(self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle))]
        except self._nvml.NVMLError as error:
            raise OSError(f"this GPU's energy counter cannot be read: {error}") from error

    def used_mj(self, before: list[int], after: list[int]) -> float:
        """Return the energy between two readings.

        Parameters
        ----------
        before, after : list of int
            As `read` gives them.

        Returns
        -------
        float
            Millijoules.
        """
        return float(after[0] - before[0])


def energy(
    time_runs: Callable[[int], Any], meter: Meter, *, windows: int = WINDOWS, seconds: float = WINDOW_S
) -> tuple[float, float]:
    """Measure the energy of one inference; what the idle machine draws is in it.

    Parameters
    ----------
    time_runs : callable
        Runs so many inferences.
    meter : Meter
        The counter.
    windows : int
        How many windows of time.
    seconds : float
        Length of each.

    Returns
    -------
    median, half_range : float
        Millijoules of one inference, over the windows.

    Raises
    ------
    OSError
        If the counter fails or does not move.
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
    """Find the processor's energy counter.

    Parameters
    ----------
    root : Path
        The powercap folder of ``/sys``.

    Returns
    -------
    Rapl or None
        None where this user may not read it, or there is none.
    """
    try:
        return Rapl(root)
    except (OSError, ValueError):
        return None


def host_meters(*, proc: Path = PROC, root: Path = POWERCAP) -> dict[str, str]:
    """Say what this machine can meter and how.

    Parameters
    ----------
    proc : Path
        Folder of this process in ``/proc``.
    root : Path
        The powercap folder of ``/sys``.

    Returns
    -------
    dict of str to str
        By metric, in a few words; or why not.
    """
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
    """Measure further metrics of a workload in this process.

    Parameters
    ----------
    load : callable
        Gives a session.
    meter : Meter or None
        The energy counter of what it runs on, None where there is none.

    Returns
    -------
    dict of str to float
        ``peak_memory_mib`` of loading and running it (see `peak_memory`), ``energy_mj`` and ``energy_mj_spread`` of one
        inference (see `energy`); what cannot be metered here is left out.
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
