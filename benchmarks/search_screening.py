"""What screening brings: `python -m benchmarks.search_screening [--quick] [--json]`.

Campaigns on the embedded supernet, with real accuracies and a device made from measured latencies, each with as many
subnets evaluated on all validation images: proposed outright, chosen after latencies of four times as many, and
chosen after accuracies on an eighth of the images as well. The figure is the share of the hypervolume of everything that
any of them measured, against the images that the networks were shown (recalibration included).
"""

from __future__ import annotations

import argparse
import json
import tempfile
import tomllib
from pathlib import Path
from typing import Any

import numpy as np

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
    """Of one campaign, in the order of complete evaluations: `values` (n, 2) and `images` shown by then (n,)."""
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
    """By form and number of complete evaluations: `share` a seed, and the median `images`."""
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one seed, one round")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="keep the campaigns here; what is there is not measured again")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    seeds, rounds = (1, 1) if given.quick else (given.seeds, 6)
    with tempfile.TemporaryDirectory() as place:
        found = measure(given.folder or Path(place), seeds, rounds)
    if given.json:
        print(json.dumps({"forms": found, "seeds": seeds}))
        return
    for form, counts in found.items():
        for n, row in counts.items():
            print(f"{form:16} {n:>4} evaluated {row['images']:>9,} images  share {np.median(row['share']):.3f}")


if __name__ == "__main__":
    main()
