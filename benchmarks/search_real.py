"""The search benchmark on the embedded supernet, really measured.

    python -m benchmarks.search_real [--quick] [--json] [--folder DIR]

`python -m benchmarks.search --real` does the same beside its other tasks.

Every tactic asks, and one campaign measures: top-1 on CIFAR-10's validation images and latency on this computer. What one
tactic has had measured the next one gets from the store, so all see the same values of the same subnet.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.frame import Benchmark, Result, Run, curves
from benchmarks.search_runs import BATCH, OURS, START
from hwsearch.campaigns import Campaign
from hwsearch.campaigns.jobs.accuracy import measure_accuracy
from hwsearch.campaigns.jobs.latency import measure_latency
from hwsearch.campaigns.lookup import find_accuracy, find_latency
from hwsearch.campaigns.purpose import SEARCH
from hwsearch.campaigns.split import Split
from hwsearch.objectives.objective import Objective
from hwsearch.objectives.pareto import hypervolume, non_dominated, reference_point
from hwsearch.searchers import create
from hwsearch.spaces import Architecture

OBJECTIVES = [Objective("accuracy"), Objective("latency_ms")]
TACTICS = (OURS, "weaknas", "linas", "nsga2", "random")
CONFIG = """[supernet]
name = "cifar10-mbv3"

[[device]]
name = "cpu"
batch = 1
threads = 1

[[objective]]
metric = "accuracy"

[[objective]]
metric = "latency"
"""
#: added for ``--quick``: a check that it works, with too few images and processes to compare tactics by
QUICK = """
[data]
calibration_images = 100
validation_images = 100

[protocol]
processes = [2, 2]
"""


def real(folder: Path, *, quick: bool = False) -> dict[str, Any]:
    """Compute shares, by tactic, of the hypervolume of all that any of them measured; a figure a seed in each list."""
    seeds, evaluations = (1, 25) if quick else (3, 100)
    tactics = (OURS, "random") if quick else TACTICS
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "campaign.toml"
    config.write_text(CONFIG + QUICK if quick else CONFIG, encoding="utf-8")
    campaign = Campaign.open(config, folder=folder / "campaign")
    runs = {tactic: [_run(campaign, tactic, seed, evaluations) for seed in range(seeds)] for tactic in tactics}
    every = np.concatenate([values for kept in runs.values() for values, _ in kept])
    reference = reference_point(every, OBJECTIVES)
    best = hypervolume(every, OBJECTIVES, reference)
    at = [n for n in (25, 50, 75, 100) if n <= evaluations]
    return {
        tactic: {
            "share": {
                str(n): [round(hypervolume(values[:n], OBJECTIVES, reference) / best, 4) for values, _ in kept]
                for n in at
            },
            "front_points": [int(non_dominated(values, OBJECTIVES).sum()) for values, _ in kept],
            "seconds": [round(seconds, 2) for _, seconds in kept],
        }
        for tactic, kept in runs.items()
    }


def _run(campaign: Campaign, tactic: str, seed: int, evaluations: int) -> tuple[np.ndarray, float]:
    """Run a tactic: measured (accuracy, latency) in the order of asking (n, 2), and the tactic's own seconds."""
    searcher = create(tactic, campaign.space, OBJECTIVES, seed=seed)
    values, seconds = np.empty((0, 2)), 0.0
    while len(values) < evaluations:
        started = time.perf_counter()
        archs = searcher.ask(min(BATCH if len(values) else START, evaluations - len(values)))
        seconds += time.perf_counter() - started
        new = _measured(campaign, archs, f"{tactic} {seed}")
        started = time.perf_counter()
        searcher.tell(archs, new)
        seconds += time.perf_counter() - started
        values = np.concatenate([values, new])
    return values, seconds


def _measured(campaign: Campaign, archs: list[Architecture], stage: str) -> np.ndarray:
    """Look up (accuracy, latency in ms) of architectures (n, 2), NaN where a measurement failed."""
    target = next(iter(campaign.targets.values()))
    measure_accuracy(campaign, archs, stage=f"{stage} accuracy")
    measure_latency(campaign, target, archs, stage=f"{stage} latency")
    accuracy, latency = find_accuracy(campaign, Split.VALIDATION, SEARCH), find_latency(campaign, target, SEARCH)
    return np.array(
        [[found[a.id].value if a.id in found else np.nan for found in (accuracy, latency)] for a in archs],
        dtype=np.float64,
    )


def rows(tactics: dict[str, Any]) -> pd.DataFrame:
    """Make one row of each tactic and number of evaluations, medians over seeds."""
    return pd.DataFrame(
        [
            {"tactic": name, "evaluated": int(n), "share": float(np.median(share))}
            for name, found in tactics.items()
            for n, share in found["share"].items()
        ]
    )


def run(given: Run) -> Result:
    """Let every tactic search, in one campaign in the folder."""
    found = real(given.folder, quick=given.quick)
    table = rows(found)
    return Result(
        {f"share_{name}": float(np.median([*f["share"].values()][-1])) for name, f in found.items()},
        table,
        {"tactics": found},
        lambda folder: curves(table, folder, "search_real", BENCHMARK.title, x="evaluated", y="share", by="tactic"),
    )


BENCHMARK = Benchmark(
    "search_real",
    "Tactics on the embedded supernet, really measured",
    "two tactics, one seed, 25 evaluations, 100 images, 2 processes",
    run,
)


if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
