"""How far a latency can be trusted on this machine: repeatability under load, A/A, honest intervals, operators.

    python -m benchmarks.latency [--quick] [--json] [--folder DIR] [--no-operators]

Everything is measured here and now, on subnets of the embedded supernet, ONNX Runtime, one thread, by the product's own
measuring processes. For each part:

repeatability  The same 30 subnets in two campaigns, each with a calibration of its own; during the second half of the
               second, two processes keep both cores busy. ``disagreement_pct``: median difference of the two values;
               ``rank``: Spearman. Beside it the protocol that most tools use: load once, 10 warm-up runs, 100 runs, median,
               candidates one after the other, in as many passes as fit into the same time. Both are run with several
               budgets; ``time_over_fixed`` is the time that ours needs for the smallest error that both reach, over the
               time that the other needs for it (calibration included).
A/A            One network entered as 8 candidates among 12 others. ``aa_spread_pct``: (largest - smallest) / median of
               the eight values, median over trials; beside it one burst of 100 runs each.
coverage       200 subnets in two campaigns on one calibration. ``coverage95``: share of the 95 % intervals of one that hold
               the value of the other, both ways.
operators      see benchmarks.latency_operators
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from benchmarks import latency_operators
from benchmarks.frame import Benchmark, Result, Run
from hwsearch.devices import (
    Calibration,
    Device,
    Sample,
    Timing,
    TimingProtocol,
    Workload,
    calibrate,
    combine,
    create_runtime,
)
from hwsearch.devices.fleet.isolation import run_job
from hwsearch.devices.fleet.jobs import pack_workload
from hwsearch.devices.timing.estimate import not_converged
from hwsearch.exporters import lower
from hwsearch.reporting.style import new_figure, save, style
from hwsearch.supernets import catalogue

DEVICE = Device("bench")
#: that of a campaign's final measurements
PROTOCOL = TimingProtocol(processes=(4, 8), half_width=0.0075)
QUICK_PROTOCOL = PROTOCOL.model_copy(update={"processes": (2, 3)})
QUICK_SUBNETS = 16
BUSY = "import numpy as np\na = np.random.rand(1500, 1500)\nwhile True: a = (a + a.T) * .5"


class Bench:
    """The models, and how they are measured in fresh processes."""

    def __init__(self, subnets: int, calibrate: int = PROTOCOL.calibrate) -> None:
        self.calibrate = calibrate
        net = catalogue.entry("cifar10-mbv3").build().eval()
        draw = lambda n, seed: net.space.sample_balanced(n, np.random.default_rng(seed), net.macs_array)  # noqa: E731
        self.archs = draw(subnets, 1)
        self.works = [self._work(net, a) for a in self.archs]
        self.probes = [self._work(net, a) for a in draw(4, 0)]
        self.reference = self._work(net, draw(3, 0)[2])

    @staticmethod
    def _work(net: Any, arch: Any) -> Workload:
        shape = net.input_shape(arch)
        model = lower(net.subnet(arch).eval(), shape).SerializeToString()
        return replace(Workload.of(bytes(model), shape), arch_id=arch.id)

    def process(
        self,
        works: Sequence[Workload],
        protocol: TimingProtocol,
        seed: int,
        tick: Callable[[float], None] | None = None,
    ) -> list[Sample]:
        """What one measuring process finds."""
        files: dict[str, bytes] = {}
        entries = [pack_workload(w, i, files) | {"arch_id": f"{i}"} for i, w in enumerate(works)]
        spec = {
            "do": "measure",
            "form": "onnx",
            "device": asdict(DEVICE),
            "protocol": protocol.model_dump(mode="json"),
            "seed": [seed],
            "metrics": [],
            "workloads": entries,
            "reference": pack_workload(self.reference, len(entries), files),
        }
        return [Sample.from_dict(r["sample"]) for r in run_job(spec, files, 900, tick=tick)["rows"]]

    def job(
        self,
        works: Sequence[Workload],
        protocol: TimingProtocol,
        calibration: Calibration | None,
        seed: int,
        tick: Callable[[float], None] = lambda share: None,
    ) -> list[Timing]:
        """As a campaign measures a group: processes until all are settled."""
        found: list[list[Sample | None]] = []
        fewest, most = protocol.processes
        open_ = list(range(len(works)))
        for k in range(most):
            samples = self.process(
                [works[i] for i in open_], protocol, 31 * seed + k, lambda x, k=k: tick(min(1.0, (k + x) / fewest))
            )
            by_place = dict(zip(open_, samples, strict=True))
            found.append([by_place.get(i) for i in range(len(works))])
            if k + 1 >= fewest:
                open_ = not_converged(combine(found, protocol, calibration), protocol)
                if not open_:
                    break
        return combine(found, protocol, calibration)

    def calibration(self, seed: int) -> Calibration:
        short = PROTOCOL.model_copy(update={"visits": 4})
        return calibrate([self.process(self.probes, short, 1000 * seed + k) for k in range(self.calibrate)])

    def campaign(
        self,
        works: Sequence[Workload],
        protocol: TimingProtocol,
        calibration: Calibration,
        seed: int,
        stressed: bool = False,
    ) -> list[Timing]:
        """Timings of all works, in groups as a campaign makes them; under load in the second half, if `stressed`."""
        found: list[Timing] = []
        groups = [works[i : i + protocol.group] for i in range(0, len(works), protocol.group)]
        with load() as busy:
            for k, group in enumerate(groups):

                def tick(share: float, k: int = k) -> None:
                    if stressed and (k + share) / len(groups) >= 0.5:
                        busy()

                found += self.job(group, protocol, calibration, 100 * seed + k, tick)
        return found

    def fixed(self, works: Sequence[Workload], seconds: float, stressed: bool) -> np.ndarray:
        """Milliseconds by contiguous bursts of 100 runs, as many passes as fit; under load in the second half."""
        runtime = create_runtime(DEVICE)
        found: list[list[float]] = [[] for _ in works]
        started = time.monotonic()
        with load() as busy:
            while not found[-1] or time.monotonic() - started < seconds:
                for i, work in enumerate(works):
                    if stressed and time.monotonic() - started >= seconds / 2:
                        busy()
                    session = runtime.load(work)
                    session.time(10)
                    found[i] += session.time(100)
        return np.array([np.median(t) for t in found])


@contextmanager
def load() -> Any:
    """Gives a function that, once called, keeps both cores busy until the block ends."""
    processes: list[subprocess.Popen] = []

    def busy() -> None:
        if not processes:
            processes.extend(subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(2))

    try:
        yield busy
    finally:
        for process in processes:
            process.kill()
            process.wait()


def values(timings: Sequence[Timing]) -> np.ndarray:
    return np.array([t.value for t in timings])


def disagreement(a: np.ndarray, b: np.ndarray) -> float:
    """Median relative difference, percent."""
    return float(100 * np.median(np.abs(b / a - 1)))


# ---------------------------------------------------------------------- parts
def repeatability(bench: Bench, quick: bool, say: Callable[[str], None]) -> dict:
    works = bench.works[: 8 if quick else 30]
    final = QUICK_PROTOCOL if quick else PROTOCOL
    levels = (1, 2) if quick else (1, 2, 4)
    ours: dict[int, dict[str, list[float]]] = {}
    trials = 1 if quick else 2
    for level in levels:
        protocol = final.model_copy(update={"processes": (level, level)})
        ours[level] = {"seconds": [], "error": [], "rank": []}
        for trial in range(trials):
            found, began = [], time.monotonic()
            for stressed in (False, True):
                scale = bench.calibration(10 * level + trial)
                found.append(values(bench.campaign(works, protocol, scale, trial, stressed)))
            ours[level]["seconds"].append((time.monotonic() - began) / 2)
            ours[level]["error"].append(disagreement(*found))
            ours[level]["rank"].append(float(spearmanr(*found)[0]))
            say(f"repeatability, {level} processes, trial {trial + 1}: {ours[level]['error'][-1]:.2f} %")
    middle = {k: {n: float(np.median(v)) for n, v in row.items()} for k, row in ours.items()}
    default = middle[final.processes[0]]
    fixed = {}
    for share in (1,) if quick else (1, 2):
        errors, ranks = [], []
        for trial in range(trials):
            a, b = (bench.fixed(works, share * default["seconds"], s) for s in (False, True))
            errors.append(disagreement(a, b))
            ranks.append(float(spearmanr(a, b)[0]))
            say(f"fixed repeats, {share * default['seconds']:.0f} s, trial {trial + 1}: {errors[-1]:.2f} %")
        fixed[share] = {
            "seconds": share * default["seconds"],
            "error": float(np.median(errors)),
            "rank": float(np.median(ranks)),
        }
    common = max(min(r["error"] for r in middle.values()), min(r["error"] for r in fixed.values()))
    needed = [min(r["seconds"] for r in rows.values() if r["error"] <= common + 1e-9) for rows in (middle, fixed)]
    return {
        "disagreement_pct": default["error"],
        "rank": default["rank"],
        "fixed_disagreement_pct": fixed[1]["error"],
        "fixed_rank": fixed[1]["rank"],
        "time_over_fixed": needed[0] / needed[1],
        "common_error_pct": common,
        "ours": middle,
        "fixed": fixed,
        "subnets": len(works),
    }


def a_a(bench: Bench, quick: bool, say: Callable[[str], None]) -> dict:
    same = [bench.reference] * 8
    spread = lambda v: float(100 * np.ptp(v) / np.median(v))  # noqa: E731
    found: dict[str, list[float]] = {"visits": [], "bursts": []}
    runtime = create_runtime(DEVICE)
    for trial in range(1 if quick else 5):
        others = bench.works[: 4 if quick else 12]
        rows = bench.job([*same, *others], QUICK_PROTOCOL if quick else PROTOCOL, None, trial)
        found["visits"].append(spread(values(rows[:8])))
        bursts = []
        for work in same:
            session = runtime.load(work)
            session.time(10)
            bursts.append(float(np.median(session.time(100))))
        found["bursts"].append(spread(np.array(bursts)))
        say(f"A/A, trial {trial + 1}: {found['visits'][-1]:.2f} %, bursts {found['bursts'][-1]:.2f} %")
    return {
        "aa_spread_pct": float(np.median(found["visits"])),
        "aa_worst_pct": max(found["visits"]),
        "aa_burst_spread_pct": float(np.median(found["bursts"])),
        "aa_trials": found,
    }


def coverage(bench: Bench, quick: bool, say: Callable[[str], None]) -> dict:
    works = bench.works
    scale = bench.calibration(7)
    runs = [bench.campaign(works, QUICK_PROTOCOL if quick else PROTOCOL, scale, 50 + k) for k in range(2)]
    say("coverage measured")
    held = []
    for a, b in (runs, runs[::-1]):
        low, high = (np.array([getattr(t, k) for t in a]) for k in ("low", "high"))
        held.append((low <= values(b)) & (values(b) <= high))
    apart = np.log(values(runs[1]) / values(runs[0]))
    half = [100 * t.half_width() for t in runs[0]]
    return {
        "coverage95": float(np.mean(held)),
        "coverage95_each_way": [float(h.mean()) for h in held],
        "coverage_subnets": len(works),
        "half_width_pct": float(np.median(half)),
        "second_campaign_sd_pct": float(100 * apart.std()),
        "baseline_sd_pct": 100 * scale.baseline_sd,
        "difference_pct": (100 * apart).tolist(),
        "half_widths_pct": half,
    }


# ---------------------------------------------------------------------- output
def plot(result: dict, folder: Path) -> list[Path]:
    with style():
        figure = new_figure(10.5, 3.4)
        axes = figure.subplots(1, 3)
        for rows, name, mark in (
            (result["ours"], "interleaved loads", "o-"),
            (result["fixed"], "100 repeats in a row", "s--"),
        ):
            line = sorted((r["seconds"], r["error"]) for r in rows.values())
            axes[0].plot(*zip(*line, strict=True), mark, label=name)
        axes[0].set(xlabel=f"seconds for {result['subnets']} subnets", ylabel="median disagreement (%)", ylim=(0, None))
        axes[0].set_title("Two campaigns, one half under load")
        axes[0].legend(frameon=False)
        trials = result["aa_trials"]
        for i, name in enumerate(("visits", "bursts")):
            axes[1].plot(np.full(len(trials[name]), i), trials[name], "o", color=f"C{i}", alpha=0.7)
            axes[1].plot([i - 0.2, i + 0.2], [np.median(trials[name])] * 2, "k-")
        axes[1].set(xticks=[0, 1], xlim=(-0.5, 1.5), ylabel="spread of eight values (%)", ylim=(0, None))
        axes[1].set_xticklabels(["interleaved\nloads", "one burst\neach"])
        axes[1].set_title("One network, eight times")
        half, apart = np.array(result["half_widths_pct"]), np.array(result["difference_pct"])
        axes[2].plot(half, np.abs(apart), "o", alpha=0.5, markersize=3)
        top = float(max(half.max(), np.abs(apart).max()) * 1.05)
        axes[2].plot([0, top], [0, top], "k-", linewidth=0.8)
        axes[2].set(
            xlabel="half of the 95 % interval (%)",
            ylabel="difference of second campaign (%)",
            xlim=(0, top),
            ylim=(0, top),
        )
        axes[2].set_title(f"{100 * result['coverage95']:.0f} % lie below the line")
        return save(figure, folder, "latency")


TARGETS = {
    "disagreement_pct": "<= 3",
    "rank": ">= 0.99",
    "time_over_fixed": "<= 0.5",
    "aa_spread_pct": "<= 2",
    "coverage95": "0.92 to 0.98",
    "operator_sum_rank": ">= 0.98",
    "operator_mape_pct": "<= 4",
}
#: what the summary holds beside the figures that have a goal
BESIDE = ("fixed_disagreement_pct", "fixed_rank", "aa_burst_spread_pct", "aa_worst_pct", "half_width_pct")


def options(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's own option."""
    parser.add_argument("--no-operators", action="store_true", help="leave out benchmarks.latency_operators")


def run(given: Run) -> Result:
    """Measure all parts one after the other."""
    bench = Bench(QUICK_SUBNETS, 3) if given.quick else Bench(200)
    result: dict = {}
    for part in (repeatability, a_a, coverage):
        result |= part(bench, given.quick, given.say)
    plots = [lambda folder: plot(result, folder)]
    if not given.args.no_operators:
        found, wholes, kinds = latency_operators.measured(given.quick, given.say)
        said = found.pop("operator_agreement")
        result |= found
        plots.append(lambda folder: latency_operators.plot(wholes, kinds, said, folder))
    named = [n for n in (*TARGETS, *BESIDE) if n in result]
    table = pd.DataFrame([{"figure": n, "value": result[n], "goal": TARGETS.get(n, "")} for n in named])
    return Result(
        {name: result[name] for name in named},
        table,
        {k: v for k, v in result.items() if k not in named},
        lambda folder: [path for draw in plots for path in draw(folder)],
    )


BENCHMARK = Benchmark(
    "latency", "How far a latency can be trusted on this machine", "few trials, subnets and processes", run, options
)


if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
