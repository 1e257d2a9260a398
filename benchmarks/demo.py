"""The demo's figures: time, memory, sizes of the fronts, and hypervolume against random subnets.

    python -m benchmarks.demo [--json] [--seeds 3] [--folder DIR]

Runs ``hwsearch demo`` in a fresh folder and process, then again in the same folder. Then draws, for each
seed, as many random subnets as the demo evaluated, measures them with the same protocol in the same
campaign, and compares hypervolumes of the search's measurements: (validation top-1, latency), one reference
point for both. Prints one JSON object with --json.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from hwsearch.campaigns import Campaign
from hwsearch.campaigns.jobs.accuracy import measure_accuracy
from hwsearch.campaigns.jobs.latency import measure_latency
from hwsearch.campaigns.lookup import find_accuracy, find_latency
from hwsearch.campaigns.purpose import SEARCH
from hwsearch.campaigns.split import Split
from hwsearch.campaigns.steps.profile import profile_set
from hwsearch.objectives.objective import Objective
from hwsearch.objectives.pareto import hypervolume, reference_point

OBJECTIVES = [Objective("accuracy"), Objective("latency_ms")]


def run_demo(folder: Path) -> tuple[dict, float, float]:
    """(result, wall seconds, peak resident GiB) of one demo in a process of its own."""
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "hwsearch.cli", "demo", "--folder", str(folder), "--json"],
        stdout=subprocess.PIPE,
        check=True,
    )
    seconds = time.monotonic() - started
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    return json.loads(done.stdout), seconds, peak


def against_random(campaign: Campaign, seeds: int) -> dict:
    """Hypervolume of everything the demo measured over that of as many random subnets, by device and seed."""
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--folder", type=Path)
    args = parser.parse_args()
    folder = args.folder or Path(tempfile.mkdtemp(prefix="hwsearch-bench-")) / "demo"
    result, seconds, peak = run_demo(folder)
    again, second_seconds, _ = run_demo(folder)
    campaign = Campaign.open(folder)
    every, evaluated, _ = profile_set(campaign)
    latency = {t.name: len(find_latency(campaign, t, SEARCH)) for t in campaign.targets.values()}
    card = campaign.loaded.entry.card
    figures = {
        "demo_seconds": round(seconds, 1),
        "peak_memory_gib": round(peak, 2),
        "remeasured": again["measured"],
        "second_run_seconds": round(second_seconds, 1),
        "latency_measured": min(latency.values()),
        "accuracy_measured": len(find_accuracy(campaign, Split.VALIDATION, SEARCH)),
        "front_points": min(d["front_points"] for d in result["devices"]),
        "latency_span": round(min(d["latency_span"] for d in result["devices"]), 2),
        "by_device": {
            d["device"]: {"front_points": d["front_points"], "latency_span": round(d["latency_span"], 2)}
            for d in result["devices"]
        },
        "top1_smallest": card.get("smallest", {}).get("top1_percent"),
        "top1_largest": card.get("largest", {}).get("top1_percent"),
    }
    comparison = against_random(campaign, args.seeds)
    figures["hypervolume_over_random"] = round(comparison["worst_ratio"], 4)
    figures["hypervolume"] = comparison
    if args.json:
        print(json.dumps(figures, indent=1))
        return
    for name, value in figures.items():
        print(f"{name:<26} {value}")


if __name__ == "__main__":
    main()
