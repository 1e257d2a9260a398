"""Record a host's speed along time, with what the system says of it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hwsearch.devices.runtimes.base import Session
from hwsearch.devices.timing.level import HostLevel, Visit, host_level
from hwsearch.devices.traces import Moment
from hwsearch.errors import MeasurementError

#: seconds between two looks at the host, and the part of them that is spent timing
EVERY_S, TIMED_S = 0.5, 0.1
#: runs at most between two looks at the clock
MOST_RUNS = 1000
PROC = Path("/proc")


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
