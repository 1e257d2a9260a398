"""The rivals against figures that were not computed here.

    python -m benchmarks.search_replicas [--quick] [--json] [--folder DIR] [--processes 2]

`python -m benchmarks.search --replicas` does the same.

- WeakNAS on NAS-Bench-201 with XGBoost, 10 architectures first and a round, noise-free labels, at most 500 queries. The
  reference is a separate implementation of the published procedure under the same conditions. (The paper's own
  protocol needs validation labels that are not available.)
- LINAS and NSGA-II on Once-for-All MobileNetV3, accuracy against MACs. The reference is one published run each
  (IntelLabs/DyNAS-T, `notebooks/data`, commit 251cb5e), real evaluations; ours are on the surrogate fitted on these and other
  rows, once as this project's tactics are, on canonical forms, and once with the genes of unused layers left in, as published.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.frame import Benchmark, Result, Run, curves
from benchmarks.search_runs import Cell, Record, run_all
from benchmarks.search_task import DATASETS
from benchmarks.search_tasks import load

QUERIES = 500
#: by data set: runs, those that found the optimum, mean queries of these, and the mean best accuracy after queries
WEAKNAS: dict[str, dict[str, Any]] = {
    "cifar10": {
        "runs": 25,
        "found": 20,
        "mean": 97.0,
        "best": {50: 94.23, 100: 94.32, 150: 94.33, 200: 94.33, 300: 94.33, 400: 94.33},
    },
    "cifar100": {
        "runs": 25,
        "found": 20,
        "mean": 123.0,
        "best": {50: 72.60, 100: 73.03, 150: 73.16, 200: 73.25, 300: 73.26, 400: 73.26},
    },
    "imagenet16": {
        "runs": 24,
        "found": 13,
        "mean": 182.3,
        "best": {50: 46.32, 100: 46.73, 150: 46.90, 200: 47.05, 300: 47.13, 400: 47.17},
    },
}
#: hypervolume of (MACs / 600 million, (80 - top-1) / 10) against (1, 1) after so many evaluations
DYNAS = {
    "linas": {50: 0.43156, 100: 0.45958, 150: 0.48620, 200: 0.48774, 250: 0.48996, 300: 0.49955},
    "nsga2": {50: 0.42235, 100: 0.44235, 150: 0.46246, 200: 0.47339, 250: 0.47590, 300: 0.48517},
}
#: their unit of hypervolume in percent times millions of MACs
UNIT = 10.0 * 600.0


def replicas(folder: Path, *, quick: bool = False, processes: int = 2) -> dict[str, Any]:
    """Run the checks: ours beside theirs."""
    seeds = 2 if quick else 25
    record = Record(folder)
    weaknas = {
        name: [Cell(f"nb201-exact/{name}", "weaknas", seed, QUERIES) for seed in range(seeds)] for name in DATASETS
    }
    dynas = {
        (name, task): [Cell(f"{task}/macs", name, seed, 300) for seed in range(min(seeds, 10))]
        for name in DYNAS
        for task in ("ofa-unmasked", "ofa")
    }
    run_all([cell for group in (*weaknas.values(), *dynas.values()) for cell in group], record, processes)
    return {
        "weaknas": {name: _weaknas([record.get(cell) for cell in cells], name) for name, cells in weaknas.items()},
        "dynas": {
            name: {
                task: _dynas([record.get(cell) for cell in cells], name)
                for (n, task), cells in dynas.items()
                if n == name
            }
            for name in DYNAS
        },
        "published": DYNAS,
        "facts": load("ofa/macs").facts(),
    }


def result(out: dict[str, Any]) -> Result:
    """Make table, text and summary of what `replicas` found."""
    table = pd.DataFrame(
        [
            {"rival": f"WeakNAS {name}", "whose": whose, "evaluated": n, "value": both[whose]["best"][n]}
            for name, both in out["weaknas"].items()
            for whose in ("reference", "ours")
            for n in both["reference"]["best"]
        ]
        + [
            {"rival": f"{name} {task}", "whose": whose, "evaluated": n, "value": value}
            for name, by_task in out["dynas"].items()
            for task, found in by_task.items()
            for whose, values in (("reference", DYNAS[name]), ("ours", found["median"]))
            for n, value in values.items()
        ]
    )
    volumes = table[~table["rival"].str.startswith("WeakNAS")].assign(
        line=lambda t: t["rival"] + ", " + t["whose"], hypervolume=lambda t: t["value"]
    )
    summary: dict[str, Any] = {f"weaknas_mean_queries_{k}": both["ours"]["mean"] for k, both in out["weaknas"].items()}
    summary |= {f"{n}_hypervolume_300": by_task["ofa"]["median"][300] for n, by_task in out["dynas"].items()}
    return Result(
        summary,
        table,
        out,
        lambda folder: curves(
            volumes, folder, "search_replicas", BENCHMARK.title, x="evaluated", y="hypervolume", by="line"
        ),
        "\n".join(lines_of(out)),
    )


def lines_of(out: dict[str, Any]) -> list[str]:
    """Set ours beside theirs as text."""
    lines: list[str] = []
    at = list(WEAKNAS["cifar10"]["best"])
    lines.append("WeakNAS on NAS-Bench-201, noise-free labels: mean best accuracy after so many queries")
    lines.append(f"{'':<22}{'runs':>6}{'found':>7}{'queries':>9}" + "".join(f"{n:>8}" for n in at))
    for name, both in out["weaknas"].items():
        for whose in ("reference", "ours"):
            found = both[whose]
            best = "".join(f"{found['best'][n]:>8.2f}" for n in at)
            lines.append(
                f"{name + ' ' + whose:<22}{found['runs']:>6}{found['found']:>7}{found['mean'] or np.nan:>9.1f}{best}"
            )
        lines.append(
            f"{name + ' 2 x s.e.':<22}{'':>6}{'':>7}{both['ours']['mean_se'] * 2:>9.1f}"
            + "".join(f"{2 * both['ours']['best_se'][n]:>8.2f}" for n in at)
        )
    steps = list(DYNAS["linas"])
    lines.append("\nOnce-for-All MobileNetV3, accuracy against MACs: hypervolume after so many evaluations")
    lines.append(f"{'':<34}{'runs':>6}" + "".join(f"{n:>9}" for n in steps))
    for name, published in DYNAS.items():
        lines.append(f"{name + ' published':<34}{1:>6}" + "".join(f"{published[n]:>9.4f}" for n in steps))
        for task, found in out["dynas"][name].items():
            for part in ("lowest", "median", "highest"):
                line = "".join(f"{found[part][n]:>9.4f}" for n in steps)
                lines.append(f"{f'{name} ours, {task}, {part}':<34}{found['runs']:>6}{line}")
    lines.append(
        "\nThe surrogate has a held-out error of "
        + f"{out['facts']['accuracy_mae_points']:.3f} points and a tau of {out['facts']['accuracy_tau']:.3f}."
    )
    return lines


def _weaknas(entries: list[dict[str, Any]], name: str) -> dict[str, Any]:
    best = np.array(
        [entry["accuracy"] + [entry["accuracy"][-1]] * (QUERIES - len(entry["accuracy"])) for entry in entries]
    )
    queries = np.array([entry["query"] for entry in entries if entry["query"]])
    reference = WEAKNAS[name]
    root = np.sqrt(len(entries))
    return {
        "reference": reference,
        "ours": {
            "runs": len(entries),
            "found": len(queries),
            "mean": round(float(queries.mean()), 1) if len(queries) else None,
            "mean_se": round(float(queries.std(ddof=1) / np.sqrt(len(queries))), 2) if len(queries) > 1 else 0.0,
            "best": {n: round(float(best[:, n - 1].mean()), 3) for n in reference["best"]},
            "best_se": {n: round(float(best[:, n - 1].std(ddof=1) / root), 3) for n in reference["best"]},
        },
    }


def _dynas(entries: list[dict[str, Any]], name: str) -> dict[str, Any]:
    volume = np.array([entry["volume"] for entry in entries]) / UNIT
    at = np.array(list(DYNAS[name])) - 1
    return {"runs": len(entries)} | {
        part: {n: round(float(v), 5) for n, v in zip(DYNAS[name], function(volume[:, at], axis=0), strict=True)}
        for part, function in (("median", np.median), ("lowest", np.min), ("highest", np.max))
    }


def options(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's own option."""
    parser.add_argument("--processes", type=int, default=2)


def run(given: Run) -> Result:
    """Run the rivals, and set ours beside the published figures."""
    found = replicas(given.folder, quick=given.quick, processes=given.args.processes)
    return result(found)


BENCHMARK = Benchmark("search_replicas", "The rivals against published figures", "two seeds", run, options)


if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
