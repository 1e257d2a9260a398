"""Whether intervals of latencies hold on hosts of a known kind: pairs of campaigns on replayed hosts, deterministic.

    python -m benchmarks.latency_simulated [--quick] [--json] [--folder DIR] [--pairs N]

Eight subnets stand in a latency table; a device of runtime ``simulated`` stands on a quiet, a wandering (recorded) and a
hostile host, where each process also finds each model a little better or worse. A campaign times the subnets by the
product's own protocol and estimate: a group of the search (two processes in a row), then the rounds of `validate` with
pauses of 20 s between, in which a campaign evaluates accuracies and times other devices. Another campaign does the same on
another day of that host. Beside it the protocol that most tools use: 100 runs in a row, one subnet after the other, in as many
passes as fit into the same measuring time, at one stretch.

``simulated.coverage``  share of the 95 % intervals of one campaign that hold the other's latencies, both ways
``simulated.ratio_coverage``  the same of the intervals of ratios, at the same level
``simulated.over_fixed``  median difference of two campaigns, over that of fixed repeats
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from typing import NamedTuple

import numpy as np
import pandas as pd

import latency_tables
from benchmarks.frame import Benchmark, Result, Run
from hwsearch.devices import Device, Sample, TimingProtocol, Workload, combine
from hwsearch.devices.runtimes.replayed_host import PROCESS_SD, ReplayedHost
from hwsearch.devices.runtimes.simulated import SimulatedRuntime
from hwsearch.devices.timing.estimate import not_converged
from hwsearch.devices.timing.schedule import measure_process

TABLE = "amd-epyc-vm-t1-b1/cifar10-mbv3"
SUBNETS, PAUSE_S = 8, 20.0
#: seconds that a measuring process takes to start
START_S = 1.5
SEARCH = TimingProtocol()
#: one process a round, as `validate` measures
FINAL = TimingProtocol(processes=(1, 1), half_width=0.0075)
#: fewest and most rounds
ROUNDS = (4, 8)


class Day:
    """A device on a replayed host, with a clock of its own."""

    def __init__(self, host: str) -> None:
        self.now = 0.0
        device = Device(
            "simulated", "simulated", options={"table": TABLE, "host": host, "noise": 0.01, "interpolate": False}
        )
        self.runtime = SimulatedRuntime(device, now=lambda: self.now)

    def begin(self, host: str, seed: int) -> None:
        """Begin a day: the host of another seed, at the beginning of its series."""
        self.runtime.host = ReplayedHost(host, seed)
        self.now = 0.0

    def process(
        self, works: list[Workload], reference: Workload, rng: np.random.Generator
    ) -> tuple[float, list[Sample]]:
        """Measure in a fresh process: the middle of its time, and its samples."""
        self.now += START_S
        self.runtime.restart()
        began = self.now
        found = measure_process(
            [partial(self.runtime.load, w) for w in works], partial(self.runtime.load, reference), FINAL, rng
        )
        self.now += self.runtime.clock_s
        return (began + self.now) / 2, found


@cache
def workloads() -> tuple[list[Workload], Workload]:
    """Subnets of the table spread evenly over latency, and the reference from its middle."""
    device, _, table = TABLE.partition("/")
    space = latency_tables.load_space(latency_tables.table_facts(device, table)["space"])
    frame = latency_tables.load(device, table).sort_values("latency_ms")
    places = np.linspace(0, len(frame) - 1, SUBNETS + 1).round().astype(int)
    works = [
        Workload((), f"subnet {p}", {n: v for n, v in frame.iloc[p][space.names].to_dict().items() if not pd.isna(v)})
        for p in places
    ]
    return [w for i, w in enumerate(works) if i != SUBNETS // 2], works[SUBNETS // 2]


def campaign(
    day: Day, works: list[Workload], reference: Workload, rng: np.random.Generator
) -> tuple[np.ndarray, float]:
    """(6, n) values, ends of intervals (whole, ratio), level; and the seconds spent measuring."""
    at: list[float] = []
    found: list[list[Sample | None]] = []
    spent = 0.0
    for k in range(SEARCH.processes[0] + ROUNDS[1]):
        before = day.now
        moment, samples = day.process(works, reference, rng)
        spent += day.now - before
        at.append(moment)
        found.append(list(samples))
        rounds = k + 1 - SEARCH.processes[0]
        if rounds >= ROUNDS[0] and not not_converged(combine(found, FINAL, at=at), FINAL):
            break
        if rounds >= 0:
            day.now += PAUSE_S
    timings = combine(found, FINAL, at=at)
    rows = [(t.value, t.low, t.high, t.ratio_low, t.ratio_high, t.typical) for t in timings]
    return np.array(rows).T, spent


def fixed(day: Day, works: list[Workload], seconds: float) -> np.ndarray:
    """(n,) ms by bursts of 100 runs after 10, one subnet after the other, pass after pass in one process."""
    day.now += START_S
    day.runtime.restart()
    sessions = [day.runtime.load(w) for w in works]
    times: list[list[float]] = [[] for _ in works]
    while not times[-1] or day.runtime.clock_s < seconds:
        for session, own in zip(sessions, times, strict=True):
            session.time(10)
            own += session.time(100)
    return np.array([np.median(t) for t in times])


class Pair(NamedTuple):
    """Findings of a pair of campaigns: arrays over subnets and both ways, or their medians."""

    held: np.ndarray
    ratio_held: np.ndarray
    apart: float
    fixed_apart: float
    half_width: float


def pair_of(host: str, number: int) -> Pair:
    """Two campaigns on two days of a host, and fixed repeats on the same days."""
    works, reference = workloads()
    day = _day(host)
    found, other = [], []
    for side in range(2):
        day.begin(host, 2 * number + side)
        values, spent = campaign(day, works, reference, np.random.default_rng([number, side]))
        found.append(values)
        day.begin(host, 2 * number + side)
        other.append(fixed(day, works, spent))
    a, b = found
    pairs = ((a, b), (b, a))
    at_its_level = [other[0] * one[5] / other[5] for one, other in pairs]
    return Pair(
        np.array([(one[1] <= other[0]) & (other[0] <= one[2]) for one, other in pairs]),
        np.array([(one[3] <= v) & (v <= one[4]) for (one, _), v in zip(pairs, at_its_level, strict=True)]),
        float(np.median(np.abs(b[0] / a[0] - 1))),
        float(np.median(np.abs(other[1] / other[0] - 1))),
        float(np.median((a[2] - a[1]) / a[0] / 2)),
    )


@cache
def _day(host: str) -> Day:
    return Day(host)


def measured(pairs: int, say: Callable[[str], None]) -> dict[str, dict[str, float]]:
    """Figures of each host."""
    out = {}
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for host in PROCESS_SD:
            began = time.monotonic()
            found = list(pool.map(partial(pair_of, host), range(pairs)))
            ours, rival = (float(np.median([getattr(p, k) for p in found])) for k in ("apart", "fixed_apart"))
            out[host] = {
                "coverage": float(np.mean([p.held for p in found])),
                "ratio_coverage": float(np.mean([p.ratio_held for p in found])),
                "disagreement_pct": 100 * ours,
                "fixed_disagreement_pct": 100 * rival,
                "over_fixed": ours / rival,
                "half_width_pct": 100 * float(np.median([p.half_width for p in found])),
            }
            say(f"{host}: {pairs} pairs in {time.monotonic() - began:.0f} s, coverage {out[host]['coverage']:.3f}")
    return out


def figures(found: dict[str, dict[str, float]]) -> dict[str, float]:
    """The summary: by host, and the worst."""
    flat = {f"simulated.{name}.{host}": row[name] for host, row in found.items() for name in ("coverage", "over_fixed")}
    return {
        "simulated.coverage": min(row["coverage"] for row in found.values()),
        "simulated.over_fixed": max(row["over_fixed"] for row in found.values()),
        **flat,
    }


def options(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's own option."""
    parser.add_argument("--pairs", type=int, help="pairs of campaigns on each host (default 500; 20 with --quick)")


def run(given: Run) -> Result:
    """Measure pairs of campaigns on each host."""
    pairs = given.args.pairs or (20 if given.quick else 500)
    if pairs < 1:
        given.refuse(f"--pairs {pairs} is not a positive number.")
    found = measured(pairs, given.say)
    table = pd.DataFrame([{"host": host} | row for host, row in found.items()])
    return Result(figures(found), table, {"pairs": pairs, "hosts": found})


BENCHMARK = Benchmark(
    "latency_simulated", "Whether intervals of latencies hold on replayed hosts", "20 pairs of campaigns", run, options
)


if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
