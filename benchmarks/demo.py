"""The demo's figures: time, memory, sizes of the fronts, and hypervolume against random subnets.

    python -m benchmarks.demo [--quick] [--json] [--seeds 3] [--folder DIR] [--stress]

Runs ``hwsearch demo`` in a fresh folder and process, then again in the same folder. Then draws, for each
seed, as many random subnets as the demo evaluated, measures them with the same protocol in the same
campaign, and compares hypervolumes of the search's measurements: (validation top-1, latency), one reference
point for both. The campaign lies in the benchmark's folder and is made anew each time.

With ``--stress`` it runs the demo twice instead, alone and beside one process a core that never rests, and tells whether the fronts agree; and
how much longer than one evaluation two at once take.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import time
import tomllib
from importlib import resources
from pathlib import Path

import numpy as np
import pandas as pd
import tomli_w

from benchmarks.frame import Benchmark, Result, Run
from hwsearch.campaigns import Campaign
from hwsearch.campaigns.jobs.accuracy import measure_accuracy
from hwsearch.campaigns.jobs.latency import measure_latency
from hwsearch.campaigns.lookup import find_accuracy, find_latency
from hwsearch.campaigns.purpose import SEARCH
from hwsearch.campaigns.split import Split
from hwsearch.devices.host import usable_cores
from hwsearch.objectives.objective import Objective
from hwsearch.objectives.pareto import hypervolume, reference_point

OBJECTIVES = [Objective("accuracy"), Objective("latency_ms")]


def small_demo() -> dict:
    """Make the demo's campaign with fewer subnets, rounds and processes."""
    data = tomllib.loads(resources.files("hwsearch").joinpath("demo.toml").read_text(encoding="utf-8"))
    data["profile"] |= {"latency": 16, "accuracy": 10, "random": 4}
    data["search"] |= {"rounds": 1, "per_round": 4}
    data["protocol"] |= {"processes": [1, 2]}
    data["validate"] |= {"processes": [1, 2], "candidates": 6}
    return data


def run_demo(folder: Path, quick: bool = False) -> tuple[dict, float, float]:
    """Run one demo in a process of its own: (result, wall seconds, peak resident GiB)."""
    verb = ["demo"]
    if quick:
        small = folder.with_name("quick.toml")
        small.write_text(tomli_w.dumps(small_demo()), encoding="utf-8")
        verb = ["run", str(small)]
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "hwsearch.cli", *verb, "--folder", str(folder), "--json"],
        stdout=subprocess.PIPE,
        check=True,
    )
    seconds = time.monotonic() - started
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    return json.loads(done.stdout), seconds, peak


def against_random(campaign: Campaign, seeds: int) -> dict:
    """Compute the hypervolume of everything the demo measured over that of as many random subnets, by device and seed."""
    evaluated = find_accuracy(campaign, Split.VALIDATION, SEARCH)
    ours = {t.name: _values(campaign, t, list(evaluated)) for t in campaign.targets.values()}
    n = len(next(iter(ours.values())))
    out: dict = {"subnets_each": n, "devices": {name: {"search": None, "random": [], "ratio": []} for name in ours}}
    sets = []
    for seed in range(seeds):
        archs = campaign.space.sample(n, np.random.default_rng([seed, 77]))
        measure_accuracy(campaign, archs, stage=f"random {seed} accuracy")
        for target in campaign.targets.values():
            measure_latency(campaign, target, archs, stage=f"random {seed}")
        sets.append([a.id for a in archs])
    for target in campaign.targets.values():
        random = [_values(campaign, target, ids) for ids in sets]
        reference = reference_point(np.concatenate([ours[target.name], *random]), OBJECTIVES)
        mine = hypervolume(ours[target.name], OBJECTIVES, reference)
        theirs = [hypervolume(r, OBJECTIVES, reference) for r in random]
        out["devices"][target.name] = {"search": mine, "random": theirs, "ratio": [mine / t for t in theirs]}
    out["worst_ratio"] = min(min(d["ratio"]) for d in out["devices"].values())
    return out


def _values(campaign: Campaign, target: object, ids: list[str]) -> np.ndarray:
    accuracy = find_accuracy(campaign, Split.VALIDATION, SEARCH)
    latency = find_latency(campaign, target, SEARCH)  # type: ignore[arg-type]
    return np.array(
        [[accuracy[i].value, latency[i].value] for i in ids if i in accuracy and i in latency], dtype=np.float64
    )


def beside_load(processes: int) -> list[subprocess.Popen]:
    """Start processes that never rest."""
    return [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)]


def agreement(alone: Path, stressed: Path) -> pd.DataFrame:
    """Compare the latencies of subnets that are on the fronts of both campaigns: a row a device and subnet.

    ``held`` tells whether each latency lies in the other's interval, ``overlap`` whether the intervals meet.
    """
    columns = ["device", "arch_id", "latency_ms", "latency_ms_low", "latency_ms_high"]
    one, other = (pd.read_csv(folder / "front.csv") for folder in (alone, stressed))
    both = one[columns].merge(other[columns], on=["device", "arch_id"], suffixes=("", "_stressed"))
    low, high = both["latency_ms_low_stressed"], both["latency_ms_high_stressed"]
    both["held"] = both["latency_ms"].between(low, high) | both["latency_ms_stressed"].between(
        both["latency_ms_low"], both["latency_ms_high"]
    )
    return both


#: evaluates the reference subnet a few times; prints the seconds
EVALUATES = """
import time
from importlib.resources import files
from hwsearch.campaigns import Campaign
from hwsearch.campaigns.jobs.workloads import ready_subnet
campaign = Campaign.open(str(files("hwsearch") / "demo.toml"), folder={folder!r})
net, data = ready_subnet(campaign, campaign.reference), campaign.data["test"]
size = campaign.loaded.net.input_size(campaign.reference)
started = time.monotonic()
for _ in range(6):
    campaign.loaded.task.evaluate(net, data, size)
print(time.monotonic() - started)
"""


def evaluations(folder: Path, at_once: int) -> float:
    """Evaluate in so many processes at once: the slowest one's seconds."""
    programs = [
        subprocess.Popen(
            [sys.executable, "-c", EVALUATES.format(folder=str(folder / f"evaluation-{i}"))],
            stdout=subprocess.PIPE,
            text=True,
        )
        for i in range(at_once)
    ]
    return max(float(p.communicate()[0]) for p in programs)


def run_stressed(given: Run) -> Result:
    """Run the demo alone, and again beside a process a core that never rests."""
    alone, stressed = given.folder / "campaign", given.folder / "stressed"
    for folder in (alone, stressed):
        shutil.rmtree(folder, ignore_errors=True)
    one, two = evaluations(given.folder, 1), evaluations(given.folder, 2)
    _, seconds, _ = run_demo(alone, given.quick)
    load = beside_load(usable_cores())
    try:
        _, under_load, _ = run_demo(stressed, given.quick)
    finally:
        for process in load:
            process.kill()
            process.wait()
    both = agreement(alone, stressed)
    summary = {
        "demo_minutes_idle": round(seconds / 60, 2),
        "demo_minutes_stressed": round(under_load / 60, 2),
        "shared_members": len(both),
        "shared_held": round(float(both["held"].mean()), 3) if len(both) else None,
        "two_evaluations_over_one": round(two / one, 2),
    }
    return Result(summary, both, {"measured_less": json.loads((stressed / "report.json").read_text())["warnings"]})


def options(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's own option."""
    parser.add_argument("--stress", action="store_true", help="run it beside a process a core that never rests")
    parser.add_argument("--seeds", type=int, default=3, help="sets of random subnets (quick: 1)")


def run(given: Run) -> Result:
    """Run the demo twice in one folder, then measure random subnets in the same campaign."""
    if given.args.stress:
        return run_stressed(given)
    folder = given.folder / "campaign"
    shutil.rmtree(folder, ignore_errors=True)  # an earlier one would be taken up, and cost no time
    result, seconds, peak = run_demo(folder, given.quick)
    again, second_seconds, _ = run_demo(folder, given.quick)
    campaign = Campaign.open(folder)
    latency = {t.name: len(find_latency(campaign, t, SEARCH)) for t in campaign.targets.values()}
    card = campaign.loaded.entry.card
    comparison = against_random(campaign, 1 if given.quick else given.args.seeds)
    summary = {
        "demo_seconds": round(seconds, 1),
        "peak_memory_gib": round(peak, 2),
        "remeasured": again["measured"],
        "second_run_seconds": round(second_seconds, 1),
        "latency_measured": min(latency.values()),
        "accuracy_measured": len(find_accuracy(campaign, Split.VALIDATION, SEARCH)),
        "front_points": min(d["front_points"] for d in result["devices"]),
        "latency_span": round(min(d["latency_span"] for d in result["devices"]), 2),
        "top1_smallest": card.get("smallest", {}).get("top1_percent"),
        "top1_largest": card.get("largest", {}).get("top1_percent"),
        "hypervolume_over_random": round(comparison["worst_ratio"], 4),
    }
    devices = {
        d["device"]: {"front_points": d["front_points"], "latency_span": round(d["latency_span"], 2)}
        for d in result["devices"]
    }
    table = pd.DataFrame(
        [
            {"device": name, "set": f"random {seed}", "ratio": ratio, "search": found["search"], "random": volume}
            | devices.get(name, {})
            for name, found in comparison["devices"].items()
            for seed, (volume, ratio) in enumerate(zip(found["random"], found["ratio"], strict=True))
        ]
    )
    return Result(summary, table, {"by_device": devices, "hypervolume": comparison})


BENCHMARK = Benchmark(
    "demo", "Hypervolume of the demo's search over that of random subnets", "a small campaign, one set", run, options
)


if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
