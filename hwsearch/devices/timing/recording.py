"""Record a host's speed along time, with what the system says of it; traces as CSV files."""

from __future__ import annotations

import csv
import gzip
import io
import math
import time
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hwsearch.devices.runtimes.base import Session
from hwsearch.devices.timing.level import HostLevel, Visit, host_level
from hwsearch.errors import DeviceError, MeasurementError
from hwsearch.exporters import write_atomic

#: seconds between two looks at the host, and the part of them that is spent timing
EVERY_S, TIMED_S = 0.5, 0.1
#: runs at most between two looks at the clock
MOST_RUNS = 1000
PROC = Path("/proc")


class Moment(NamedTuple):
    """A look at the host.

    Attributes
    ----------
    seconds : float
        Since the recording began.
    latency_ms : float
        Median latency of a small network, ms.
    steal_percent : float
        Time that a virtual machine wanted to run and was not let, since the look before, in per cent of all cores' time; NaN
        where the system does not tell.
    waiting_percent : float
        Time that some process waited for a core (pressure stall information), per cent of the time since the look before;
        NaN where the system does not tell.
    """

    seconds: float
    latency_ms: float
    steal_percent: float = math.nan
    waiting_percent: float = math.nan


def record_host(
    session: Session,
    seconds: float,
    *,
    tick: Callable[[float], None] | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    proc: Path = PROC,
) -> list[Moment]:
    """Time a small network for a moment, twice a second, and read what the system says of the host.

    Parameters
    ----------
    session : Session
        A loaded network, whose run takes a few milliseconds at most.
    seconds : float
        How long.
    tick : callable, optional
        Told the seconds that are done.
    clock, sleep : callable
        Of the host; others in tests.
    proc : pathlib.Path
        Where Linux tells of itself.

    Returns
    -------
    list of Moment
        In the order of time. A clock that jumps ahead (a suspended host) ends the recording early.

    Raises
    ------
    MeasurementError
        If the time is not positive, or the network's times are not.
    """
    if not (math.isfinite(seconds) and seconds > 0):
        raise MeasurementError(f"a recording cannot last {seconds!r} s.", hint="Give a positive number of seconds.")
    one = max(min(session.time(5)), 1e-6)
    runs = min(MOST_RUNS, max(3, round(1e3 * TIMED_S / one)))
    begin, found = clock(), []
    before = _system(proc, begin)
    while (at := clock() - begin) < seconds:
        times = session.time(runs)
        if not all(math.isfinite(t) and t > 0 for t in times):
            raise MeasurementError(f"the device answered {times[:3]} … ms.", hint="Times must be positive and finite.")
        now = _system(proc, clock())
        found.append(Moment(round(at, 3), float(np.median(times)), *_between(before, now)))
        before = now
        if tick is not None:
            tick(min(seconds, clock() - begin))
        sleep(max(0.0, EVERY_S - (clock() - begin - at)))
    return found


class _System(NamedTuple):
    at: float
    stolen: float
    total: float
    waited_us: float


def _system(proc: Path, at: float) -> _System:
    stolen = total = waited = math.nan
    try:
        ticks = [float(x) for x in (proc / "stat").read_text().splitlines()[0].split()[1:9]]
        stolen, total = ticks[7], sum(ticks)
    except (OSError, ValueError, IndexError):
        pass
    try:
        some = next(x for x in (proc / "pressure" / "cpu").read_text().splitlines() if x.startswith("some"))
        waited = float(some.rpartition("total=")[2])
    except (OSError, ValueError, StopIteration):
        pass
    return _System(at, stolen, total, waited)


def _between(before: _System, now: _System) -> tuple[float, float]:
    spent, passed = now.total - before.total, now.at - before.at
    steal = 0.0 if spent <= 0 else 100 * (now.stolen - before.stolen) / spent
    waiting = (now.waited_us - before.waited_us) / passed / 1e4 if passed > 0 else math.nan
    return round(steal, 2), round(waiting, 2)


def trace_level(trace: Sequence[Moment], confidence: float = 0.95) -> HostLevel:
    """Estimate the typical level of a recorded host, and where another recording of that length would find it.

    Parameters
    ----------
    trace : sequence of Moment
        At least one.
    confidence : float
        Of the interval.

    Returns
    -------
    HostLevel
        Of the small network that was timed.
    """
    return host_level([Visit(m.seconds, m.latency_ms) for m in trace], confidence)


def write_trace(trace: Sequence[Moment], path: Path) -> Path:
    """Write a trace as CSV, compressed where the name ends in ``.gz``.

    Parameters
    ----------
    trace : sequence of Moment
        What was recorded.
    path : pathlib.Path
        The file; its folder is made if missing.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    DeviceError
        If it cannot be written.
    """
    text = io.StringIO(newline="")
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(Moment._fields)
    rows.writerows(["" if math.isnan(x) else repr(x) for x in m] for m in trace)
    data = text.getvalue().encode()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)
    except OSError as error:
        raise DeviceError(f"the trace cannot be written to {str(path)!r}: {error.strerror}.") from error
    return path


def read_trace(path: Path) -> list[Moment]:
    """Read a trace that `write_trace` wrote.

    Parameters
    ----------
    path : pathlib.Path
        The file.

    Returns
    -------
    list of Moment
        As they were recorded.

    Raises
    ------
    DeviceError
        If there is no such file, or it is no trace; the line is named.
    """
    try:
        data = path.read_bytes()
        text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode()
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise DeviceError(f"the trace {str(path)!r} cannot be read: {error}.") from error
    rows = list(csv.reader(io.StringIO(text)))
    if not rows or tuple(rows[0]) != Moment._fields:
        raise DeviceError(
            f"{str(path)!r} is not a trace of a host: its first line is not {','.join(Moment._fields)}.",
            hint="Record one with 'hwsearch doctor --seconds 120 --record FILE.csv'.",
        )
    found = []
    for number, row in enumerate(rows[1:], 2):
        try:
            moment = Moment(*(float(x) if x else math.nan for x in row))
        except (TypeError, ValueError) as error:
            raise DeviceError(f"line {number} of {str(path)!r} is not a moment of a host: {row}.") from error
        if len(row) != len(Moment._fields) or not (moment.latency_ms > 0 and math.isfinite(moment.seconds)):
            raise DeviceError(f"line {number} of {str(path)!r} is not a moment of a host: {row}.")
        found.append(moment)
    return found
