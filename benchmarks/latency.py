"""Trustworthiness of latencies on this machine: repeatability under load, A/A, honest intervals, operators.

    python -m benchmarks.latency [--quick] [--json] [--folder DIR] [--subnets N] [--only PART ...] [--record] [--tomorrow CAMPAIGN]

Everything is measured here and now, on subnets of the embedded supernet, ONNX Runtime, one thread, by the product's own
measuring processes and estimate. For each part:

repeatability  The same 30 subnets in two campaigns, in rounds of one process as `validate` measures, with pauses between in
               which a campaign evaluates; during the second half of the second, two processes keep both cores busy.
               ``disagreement_pct``: median difference of the two latencies, ``ratio_disagreement_pct``: at the same level of
               the host, ``undisturbed_disagreement_pct``: of those on the undisturbed host, where it could be told,
               ``speed_disagreement_pct``: at the one of the first campaign's speeds that is nearest to the second's typical one;
               ``repeat_coverage95``: share of the intervals that hold the other campaign's latency; ``rank``: Spearman. Beside it the protocol that most tools use: load once, 10 warm-up runs, 100 runs,
               median, candidates one after the other, in as many passes as fit into the same measuring time, once at a stretch
               (``fixed``) and once with the same pauses (``fixed_spread``). Both are run with several budgets;
               ``time_over_fixed`` is the time that ours needs for the smallest error that both reach, over the time that the
               other needs for it.
A/A            One network entered as 8 candidates among 12 others. ``aa_spread_pct``: (largest - smallest) / median of
               the eight values, median over trials; beside it one burst of 100 runs each.
coverage       200 subnets in two campaigns. ``coverage95``: share of the 95 % intervals of one that hold the latency of the
               other, both ways; ``ratio_coverage95``: the same of ratios, at the same level; ``coverage95_busy``: of fewer
               subnets, while two processes keep both cores busy.
operators      see benchmarks.latency_operators
simulated      see benchmarks.latency_simulated, which is run apart

``--only`` names the parts to measure, ``--subnets`` how many subnets coverage takes: a whole run takes more than an hour. What is
left out stands in the record.
``--tomorrow CAMPAIGN`` measures nothing of these: it takes the folder of a finished campaign, times the subnets of its fronts
again, in a store of their own, and tells how many of the campaign's 95 % intervals hold what is found now. ``--record`` keeps the
summary in benchmarks/record/, by day and machine.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from benchmarks import latency_operators
from benchmarks._latency_again import PAUSE_S, tomorrow
from benchmarks._latency_plot import plot
from benchmarks.frame import Benchmark, Result, Run, host
from hwsearch._json import shown_as_json
from hwsearch.devices import Device, Sample, Timing, TimingProtocol, Workload, combine, create_runtime
from hwsearch.devices.fleet.isolation import run_job
from hwsearch.devices.fleet.jobs import pack_workload
from hwsearch.devices.timing.estimate import not_converged
from hwsearch.devices.timing.level import host_level
from hwsearch.devices.timing.ratios import visits_of
from hwsearch.exporters import lower
from hwsearch.supernets import catalogue

DEVICE = Device("bench")
#: that of a campaign's final measurements; their rounds, fewest and most
PROTOCOL = TimingProtocol(processes=(1, 1), half_width=0.0075)
ROUNDS, QUICK_ROUNDS = (4, 8), (5, 5)
QUICK_SUBNETS = 16
BUSY = "import numpy as np\na = np.random.rand(1500, 1500)\nwhile True: a = (a + a.T) * .5"


class Bench:
    """The models, and how they are measured in fresh processes."""

    def __init__(self, subnets: int) -> None:
        net = catalogue.entry("cifar10-mbv3").build().eval()
        draw = lambda n, seed: net.space.sample_balanced(n, np.random.default_rng(seed), net.macs_array)  # noqa: E731
        self.archs = draw(subnets, 1)
        self.works = [self._work(net, a) for a in self.archs]
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
        """Measure in one process."""
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

    def campaign(
        self,
        works: Sequence[Workload],
        rounds: tuple[int, int],
        seed: int,
        *,
        pause_s: float = PAUSE_S,
        loaded: Sequence[bool] = (),
        busy: Callable[[bool], None] = lambda on: None,
    ) -> tuple[list[Timing], float]:
        """Timings as `validate` finds them, and the seconds spent measuring.

        Each round times every group of what has not converged in one process. ``loaded`` tells of each round whether `busy` is
        called with True before it; with a single value, of all.
        """
        found: list[list[Sample | None]] = []
        at: list[float] = []
        spent = 0.0
        open_ = list(range(len(works)))
        for k in range(rounds[1]):
            if k:
                time.sleep(pause_s)
            busy(bool(loaded[min(k, len(loaded) - 1)]) if loaded else False)
            for start in range(0, len(open_), PROTOCOL.group):
                group, began = open_[start : start + PROTOCOL.group], time.time()
                samples = self.process([works[i] for i in group], PROTOCOL, 1000 * seed + 31 * k + start)
                by_place = dict(zip(group, samples, strict=True))
                found.append([by_place.get(i) for i in range(len(works))])
                at.append((began + time.time()) / 2)
                spent += time.time() - began
            if k + 1 >= rounds[0]:
                open_ = not_converged(combine(found, PROTOCOL, at=at), PROTOCOL)
                if not open_:
                    break
        return combine(found, PROTOCOL, at=at), spent

    def fixed(
        self, works: Sequence[Workload], seconds: float, stressed: bool, busy: Callable[[bool], None], pauses: int = 0
    ) -> np.ndarray:
        """Milliseconds by contiguous bursts of 100 runs, as many passes as fit; under load in the second half, if `stressed`."""
        runtime = create_runtime(DEVICE)
        found: list[list[float]] = [[] for _ in works]
        spent, paused = 0.0, 0
        while not found[-1] or spent < seconds:
            if pauses and spent > seconds * (paused + 1) / (pauses + 1):
                time.sleep(PAUSE_S)
                paused += 1
            for i, work in enumerate(works):
                busy(stressed and spent >= seconds / 2)
                began = time.monotonic()
                session = runtime.load(work)
                session.time(10)
                found[i] += session.time(100)
                spent += time.monotonic() - began
        busy(False)
        return np.array([np.median(t) for t in found])


@contextmanager
def load() -> Iterator[Callable[[bool], None]]:
    """Gives a function that switches two processes on and off which keep both cores busy."""
    processes: list[subprocess.Popen] = []

    def end() -> None:
        while processes:
            process = processes.pop()
            process.kill()
            process.wait()

    def busy(on: bool) -> None:
        if on and not processes:
            processes.extend(subprocess.Popen([sys.executable, "-P", "-c", BUSY]) for _ in range(2))
        elif not on:
            end()

    try:
        yield busy
    finally:
        end()


def values(timings: Sequence[Timing]) -> np.ndarray:
    return np.array([t.value for t in timings])


def disagreement(a: np.ndarray, b: np.ndarray) -> float:
    """Median relative difference, percent."""
    return float(100 * np.median(np.abs(b / a - 1)))


def at_one_level(timings: Sequence[Timing]) -> np.ndarray:
    """Values as ratios to the reference."""
    return np.array([t.value / t.typical for t in timings])


def undisturbed(timings: Sequence[Timing]) -> np.ndarray:
    """Values while nothing disturbs the host; NaN where that could not be told."""
    return np.array([t.undisturbed for t in timings])


def nearest_speed(a: Sequence[Timing], b: Sequence[Timing]) -> float:
    """The reference's ms at that speed of the host in one campaign which is nearest to the typical one of the other."""
    speeds = [s.reference_ms for s in host_level(visits_of(look for t in a for look in t.looks)).speeds]
    return min(speeds, key=lambda ms: abs(np.log(ms / b[0].typical)))


def held(a: Sequence[Timing], b: Sequence[Timing], *, ratio: bool = False) -> np.ndarray:
    """(2, n) which intervals of one campaign hold what the other found, both ways; of ratios at the same level."""
    rows = []
    for one, other in ((a, b), (b, a)):
        scale = one[0].typical / other[0].typical if ratio else 1.0
        found = values(other) * scale
        ends = ("ratio_low", "ratio_high") if ratio else ("low", "high")
        low, high = (np.array([getattr(t, k) for t in one]) for k in ends)
        rows.append((low <= found) & (found <= high))
    return np.array(rows)


# ---------------------------------------------------------------------- parts
def repeatability(bench: Bench, quick: bool, say: Callable[[str], None]) -> dict:
    works = bench.works[: 8 if quick else 30]
    default = QUICK_ROUNDS[0] if quick else ROUNDS[0]
    levels = (1, default) if quick else (1, 2, default)
    trials = 1 if quick else 2
    ours: dict[int, dict[str, list[float]]] = {}
    with load() as busy:
        for level in levels:
            row = ours[level] = {
                k: [] for k in ("seconds", "error", "ratio_error", "undisturbed_error", "speed_error", "held", "rank")
            }
            for trial in range(trials):
                runs = [
                    bench.campaign(
                        works,
                        (level, level),
                        100 * level + 10 * trial + half,
                        loaded=[bool(half) and k >= level / 2 for k in range(level)] if level > 1 else [bool(half)],
                        busy=busy,
                    )
                    for half in range(2)
                ]
                busy(False)
                (a, _), (b, _) = runs
                row["seconds"].append(float(np.mean([spent for _, spent in runs])))
                row["error"].append(disagreement(values(a), values(b)))
                row["ratio_error"].append(disagreement(at_one_level(a), at_one_level(b)))
                row["undisturbed_error"].append(disagreement(undisturbed(a), undisturbed(b)))
                row["speed_error"].append(disagreement(values(a) * nearest_speed(a, b) / a[0].typical, values(b)))
                row["held"].append(float(held(a, b).mean()))
                row["rank"].append(float(spearmanr(values(a), values(b))[0]))
                say(f"repeatability, {level} rounds, trial {trial + 1}: {row['error'][-1]:.2f} %")
        middle = {k: {n: float(np.median(v)) for n, v in row.items()} for k, row in ours.items()}
        seconds = middle[default]["seconds"]
        fixed: dict[str, dict[str, float]] = {}
        for name, share, pauses in (("stretch", 1, 0), ("spread", 1, default - 1), ("twice", 2, 0)):
            if quick and name == "twice":
                continue
            errors, ranks = [], []
            for trial in range(trials):
                a, b = (bench.fixed(works, share * seconds, s, busy, pauses) for s in (False, True))
                errors.append(disagreement(a, b))
                ranks.append(float(spearmanr(a, b)[0]))
                say(f"fixed repeats, {name}, {share * seconds:.0f} s, trial {trial + 1}: {errors[-1]:.2f} %")
            fixed[name] = {
                "seconds": share * seconds,
                "error": float(np.median(errors)),
                "rank": float(np.median(ranks)),
            }
    stretches = {k: row for k, row in fixed.items() if k != "spread"}
    common = max(min(r["error"] for r in middle.values()), min(r["error"] for r in stretches.values()))
    needed = [min(r["seconds"] for r in rows.values() if r["error"] <= common + 1e-9) for rows in (middle, stretches)]
    return {
        "disagreement_pct": middle[default]["error"],
        "ratio_disagreement_pct": middle[default]["ratio_error"],
        "undisturbed_disagreement_pct": middle[default]["undisturbed_error"],
        "speed_disagreement_pct": middle[default]["speed_error"],
        "repeat_coverage95": float(np.mean(ours[default]["held"])),
        "rank": middle[default]["rank"],
        "fixed_disagreement_pct": fixed["stretch"]["error"],
        "fixed_spread_disagreement_pct": fixed["spread"]["error"],
        "fixed_rank": fixed["stretch"]["rank"],
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
        timings, _ = bench.campaign([*same, *others], QUICK_ROUNDS if quick else ROUNDS, 50 + trial, pause_s=0.0)
        found["visits"].append(spread(values(timings[:8])))
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
    rounds = QUICK_ROUNDS if quick else ROUNDS
    with load() as busy:
        a, b = (bench.campaign(bench.works, rounds, 70 + k)[0] for k in range(2))
        say(f"coverage measured: {held(a, b).mean():.3f}")
        few = bench.works[: 8 if quick else 40]
        c, d = (bench.campaign(few, rounds, 80 + k, loaded=[True], busy=busy)[0] for k in range(2))
        say(f"coverage under load measured: {held(c, d).mean():.3f}")
    apart = np.log(values(b) / values(a))
    half = [100 * t.half_width() for t in a]
    return {
        "coverage95": float(held(a, b).mean()),
        "ratio_coverage95": float(held(a, b, ratio=True).mean()),
        "coverage95_busy": float(held(c, d).mean()),
        "coverage95_each_way": held(a, b).mean(axis=1).tolist(),
        "coverage_subnets": len(bench.works),
        "half_width_pct": float(np.median(half)),
        "ratio_half_width_pct": float(np.median([100 * (t.ratio_high / t.value - 1) for t in a])),
        "second_campaign_sd_pct": float(100 * apart.std()),
        "level_difference_pct": float(100 * (b[0].typical / a[0].typical - 1)),
        "difference_pct": (100 * apart).tolist(),
        "half_widths_pct": half,
    }


PARTS: dict[str, Callable[[Bench, bool, Callable[[str], None]], dict]] = {
    "repeatability": repeatability,
    "a-a": a_a,
    "coverage": coverage,
}


# ---------------------------------------------------------------------- output
TARGETS = {
    "disagreement_pct": "<= 3",
    "rank": ">= 0.995",
    "time_over_fixed": "<= 0.5",
    "aa_spread_pct": "<= 1.5",
    "coverage95": "0.92 to 0.98",
    "coverage95_busy": "0.92 to 0.98",
    "operator_sum_rank": ">= 0.98",
    "operator_mape_pct": "<= 2.5",
    "tomorrow_held": ">= 0.9",
}
#: what the summary holds beside the figures that have a goal
BESIDE = (
    "ratio_disagreement_pct",
    "undisturbed_disagreement_pct",
    "speed_disagreement_pct",
    "repeat_coverage95",
    "fixed_disagreement_pct",
    "fixed_spread_disagreement_pct",
    "fixed_rank",
    "aa_burst_spread_pct",
    "aa_worst_pct",
    "half_width_pct",
    "ratio_half_width_pct",
    "ratio_coverage95",
    "tomorrow_ratio_held",
    "tomorrow_difference_pct",
    "tomorrow_days",
)
RECORD = Path(__file__).parent / "record"


def options(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's own options."""
    parser.add_argument(
        "--only", nargs="+", choices=(*PARTS, "operators"), metavar="PART", help="parts to measure: %(choices)s"
    )
    parser.add_argument("--subnets", type=int, default=200, help="of coverage, 30 or more (default: %(default)s)")
    parser.add_argument(
        "--record", action="store_true", help=f"keep the summary in {RECORD.parent.name}/{RECORD.name}/"
    )
    parser.add_argument("--tomorrow", type=Path, metavar="CAMPAIGN", help="time a finished campaign's fronts again")


def keep(summary: dict, given: Run, subnets: int | None) -> None:
    """Keep a summary by day and machine, with the parts that were measured."""
    now, machine = datetime.now(UTC), host()
    name = re.sub(r"[^a-z0-9]+", "-", f"{machine['cpu']} {machine['cores']} cores".lower()).strip("-")
    RECORD.mkdir(exist_ok=True)
    path = RECORD / f"latency-{name}-{now:%Y%m%dT%H%M}.json"
    document = {
        "at": f"{now:%Y-%m-%d %H:%M} UTC",
        "quick": given.quick,
        "parts": list(given.args.only or (*PARTS, "operators")) if given.args.tomorrow is None else ["tomorrow"],
        "coverage_subnets": subnets,
        "host": machine,
        "summary": {k: round(v, 4) if isinstance(v, float) else v for k, v in summary.items()},
    }
    path.write_text(json.dumps(shown_as_json(document), indent=1) + "\n", encoding="utf-8")
    given.say(f"kept in {path.relative_to(RECORD.parent.parent)}")


def run(given: Run) -> Result:
    """Measure all parts one after the other."""
    result: dict = {}
    plots: list[Callable[[Path], list[Path]]] = []
    extra: dict = {}
    if given.args.tomorrow is not None:
        if not (given.args.tomorrow / "campaign.toml").is_file():
            given.refuse(f"--tomorrow {given.args.tomorrow} is no campaign's folder.")
        result, again = tomorrow(given.args.tomorrow, given.folder, given.say)
        extra = {"again": again.to_dict("records")}
    else:
        if given.args.subnets < 30:
            given.refuse(f"--subnets {given.args.subnets} is too few: 30 or more.")
        only = given.args.only or (*PARTS, "operators")
        bench = Bench(QUICK_SUBNETS if given.quick else given.args.subnets)
        for name in (n for n in PARTS if n in only):
            result |= PARTS[name](bench, given.quick, given.say)
        plots.append(lambda folder: plot(result, folder))
        if "operators" in only:
            found, wholes, kinds = latency_operators.measured(given.quick, given.say)
            said = found.pop("operator_agreement")
            result |= found
            plots.append(lambda folder: latency_operators.plot(wholes, kinds, said, folder))
    named = [n for n in (*TARGETS, *BESIDE) if n in result]
    table = pd.DataFrame([{"figure": n, "value": result[n], "goal": TARGETS.get(n, "")} for n in named])
    if given.args.record:
        keep({n: result[n] for n in named}, given, result.get("coverage_subnets"))
    return Result(
        {name: result[name] for name in named},
        table,
        {k: v for k, v in result.items() if k not in named} | extra,
        lambda folder: [path for draw in plots for path in draw(folder)],
    )


BENCHMARK = Benchmark(
    "latency", "How far a latency can be trusted on this machine", "few trials, subnets and processes", run, options
)


if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
