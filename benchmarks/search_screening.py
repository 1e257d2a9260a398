"""Gain by screening candidates.

    python -m benchmarks.search_screening [--quick] [--json] [--folder DIR] [--seeds 5] [--campaigns DIR]

Campaigns on the embedded supernet, with real accuracies and a device made from measured latencies, each with as many
subnets evaluated on all validation images: proposed outright, chosen after latencies of four times as many, and
chosen after accuracies on an eighth of the images as well. The figure is the share of the hypervolume of everything that
any of them measured, against the images that the networks were shown (recalibration included).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.frame import Benchmark, Result, Run, curves
from hwsearch import campaigns
from hwsearch.campaigns import Campaign
from hwsearch.campaigns.loading import parse_config
from hwsearch.campaigns.lookup import find_accuracy, find_latency
from hwsearch.campaigns.purpose import SEARCH
from hwsearch.campaigns.split import Split
from hwsearch.objectives.objective import Objective
from hwsearch.objectives.pareto import hypervolume, reference_point

OBJECTIVES = [Objective("accuracy"), Objective("latency_ms")]
FEW = 250
FORMS: dict[str, dict[str, Any]] = {
    "none": {},
    "latency": {"screening_factor": 4},
    "latency+images": {"screening_factor": 4, "screening_metrics": ["latency", "accuracy"], "screening_images": FEW},
}
CONFIG = """
[supernet]
name = "cifar10-mbv3"

[[device]]
name = "cpu"
runtime = "simulated"
options = { table = "amd-epyc-vm-t1-b1/cifar10-mbv3", noise = 0.01 }

[[objective]]
metric = "accuracy"

[[objective]]
metric = "latency"

[profile]
latency = 24
accuracy = 20
random = 4

[fleet]
isolation = false

[search]
per_round = 8
stop_gain = 0
"""


def campaign(folder: Path, form: str, seed: int, rounds: int) -> dict[str, np.ndarray]:
    """Run one campaign; in the order of complete evaluations: `values` (n, 2) and `images` shown by then (n,)."""
    data = tomllib.loads(CONFIG)
    data["search"] |= {**FORMS[form], "seed": seed, "rounds": rounds}
    opened = Campaign.open(parse_config(data, "the benchmark"), folder=folder / f"{form}-{seed}")
    for step in (campaigns.profile, campaigns.evaluate, campaigns.search):
        step(opened)
    splits = [s for s in (Split.SCREEN, Split.VALIDATION) if s in opened.data]
    found = {s: find_accuracy(opened, s, SEARCH) for s in splits}
    latency = find_latency(opened, next(iter(opened.targets.values())), SEARCH)
    calibration = len(opened.data["calibration"])
    rows, images = [], 0
    screened = set(found.get(Split.SCREEN, {}))
    events = [(m.started_at, s, k, m) for s in splits for k, m in found[s].items()]
    for _, split, arch_id, m in sorted(events, key=lambda e: e[0]):
        images += calibration + len(opened.data[split])
        if split == Split.VALIDATION:
            images -= FEW if arch_id in screened else 0
            rows.append((m.value, latency[arch_id].value, images))
    table = np.array(rows, dtype=np.float64)
    return {"values": table[:, :2], "images": table[:, 2]}


def measure(folder: Path, seeds: int, rounds: int) -> dict[str, Any]:
    """Measure, by form and number of complete evaluations: `share` a seed, and the median `images`."""
    runs = {form: [campaign(folder, form, seed, rounds) for seed in range(seeds)] for form in FORMS}
    every = np.concatenate([run["values"] for kept in runs.values() for run in kept])
    reference = reference_point(every, OBJECTIVES)
    best = hypervolume(every, OBJECTIVES, reference)

    def share(values: np.ndarray) -> float:
        return round(hypervolume(values, OBJECTIVES, reference) / best, 4)

    at = [n for n in (28, 36, 44, 52, 60, 68) if n <= 20 + 8 * rounds]
    return {
        form: {
            str(n): {
                "share": [share(run["values"][:n]) for run in kept],
                "images": int(np.median([run["images"][n - 1] for run in kept])),
            }
            for n in at
        }
        for form, kept in runs.items()
    }


def options(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's own options."""
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--campaigns", type=Path, help="keep the campaigns here; what is there is not measured again")


def run(given: Run) -> Result:
    """Run the campaigns of all forms and compare their fronts."""
    seeds, rounds = (1, 1) if given.quick else (given.args.seeds, 6)
    with tempfile.TemporaryDirectory() as place:
        found = measure(given.args.campaigns or Path(place), seeds, rounds)
    table = pd.DataFrame(
        [
            {"form": form, "evaluated": int(n), "images": row["images"], "share": float(np.median(row["share"]))}
            for form, counts in found.items()
            for n, row in counts.items()
        ]
    )
    last = table.groupby("form", sort=False).last()
    summary = {f"share_{form}": round(float(row["share"]), 4) for form, row in last.iterrows()}
    title = BENCHMARK.title
    return Result(
        summary,
        table,
        {"forms": found, "seeds": seeds},
        lambda folder: curves(table, folder, "search_screening", title, x="images", y="share", by="form"),
    )


BENCHMARK = Benchmark("search_screening", "What screening candidates brings", "one seed, one round", run, options)


if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
