"""Which strategy trains a supernet best: noisy digits, equal passes, curves over passes.

    python -m benchmarks.training [--quick] [--json] [--folder DIR] [--seeds 5] [--budget PASSES …] [--arm NAME …] [--claim NAME …]

Every arm trains the same small elastic network (`benchmarks.training_ground`) with equally many forward and backward
passes, the gradients of a step summed and clipped alike; batch norms are recalibrated for each subnet that is judged. Each
budget is a run of its own, because the learning rate falls over the whole run. Then the claims of single papers follow.
In ``summary``:

- ``deps_over_bignas``: points of the smallest subnet at the shortest budget (at 1,200 passes asked: 3 or more), the sandwich with distillation
  being BigNAS with the same learning rate
- ``distillation_over_labels``: of the smallest, sandwich against the same one on labels, at the longest budget (1 or more)
- ``crossing``: passes from which on the sandwich with distillation is no worse than uniform paths on the smallest
- ``ofa_smallest``, ``ofa_largest``: points over uniform, at the longest budget (−1 or more, 0.5 or more)
- ``chain``: mean score of a chain of 16 as a share of the largest's (0.98 or more)
- ``pada_data``: variance of the gradient with examples drawn by importance and weighted, against uniform (0.9 or less);
  ``pada_unweighted``: as released; ``pada_bias``: about 1 where the weighted estimator has none
- ``band_shift_worst``: worst band's excess loss, against uniform's (0 or less); ``band_uniform_worst`` likewise
- ``matching_stability``: rank correlation of gradient distances on two halves of batches (0.7 or more);
  ``matching_tau``, ``random_tau``: rank correlation with networks trained alone, after a split by matching and at random
- ``mixture_gap``, ``wide_gap``: points below networks trained alone, with two experts and with equally many plain weights
- ``tangle_regret``: points that the choice by gradients, trained alone, lies below the choice of a supernet of the same passes
  among subnets of no more MACs; ``tangle_drop``: points that its subnet lies below the superposition
- ``cells_gain``: points of three supernets, one a class of sizes, over one of the same passes
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pandas as pd
import torch

from benchmarks.frame import Benchmark, Result, Run, curves
from benchmarks.training_arms import ARMS, QUICK, crossing, curves_of, difference
from benchmarks.training_claims import band_excess, chain, mean_of, mixture, sizes, split, tangle, variances
from benchmarks.training_ground import Alone

BUDGETS = (1200, 2400, 4800, 9600)
CLAIMS = ("chain", "pada", "bands", "split", "mixture", "sizes", "tangle")
#: what --quick tests
QUICK_CLAIMS = ("chain", "pada", "bands", "split")


def options(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's own options."""
    parser.add_argument("--seeds", type=int, help="default: 5; quick: 1")
    parser.add_argument("--budget", action="append", type=int, help="passes; default: 1200, 2400, 4800 and 9600")
    parser.add_argument("--arm", action="append", choices=list(ARMS), help="default: all; quick: " + ", ".join(QUICK))
    parser.add_argument(
        "--claim", action="append", choices=[*CLAIMS, "none"], help="default: all; quick: " + ", ".join(QUICK_CLAIMS)
    )


def run(given: Run) -> Result:
    """Train all arms over all budgets, then test the claims."""
    args, quick = given.args, given.quick
    torch.set_num_threads(1)  # the network is too small for more
    seeds = args.seeds or (1 if quick else 5)
    budgets = tuple(sorted(args.budget or ((160, 320) if quick else BUDGETS)))
    claims = [] if args.claim == ["none"] else args.claim or list(QUICK_CLAIMS if quick else CLAIMS)
    passes = 240 if quick else 4800
    rows = curves_of(args.arm or (QUICK if quick else tuple(ARMS)), budgets, seeds, given.say)
    alone = Alone(given.folder / "alone.json", 40 if quick else 1200)
    found: dict[str, dict[str, float]] = {}
    for name in claims:
        measured = [_claim(name, passes, quick, seed, alone) for seed in range(seeds)]
        found[name] = mean_of(measured)
        given.say(f"{name}: {found[name]}")
    summary = _summary(rows, budgets, found)
    scores = rows.groupby(["arm", "budget"], sort=False)[["passes", "smallest", "random", "largest"]]
    table = scores.mean().join(scores.std()[["smallest"]].rename(columns={"smallest": "smallest_sd"})).reset_index()

    def plot(folder: Path) -> list[Path]:
        files = []
        for column in ("smallest", "random", "largest"):
            title = f"{column}: top-1 (%), {seeds} seeds"
            shown = table.sort_values("budget")
            files += curves(shown, folder, f"training_{column}", title, x="passes", y=column, by="arm", log=True)
        return files

    return Result(summary, table, {"claims": found, "runs": rows.to_dict("records")}, plot)


def _claim(name: str, passes: int, quick: bool, seed: int, alone: Alone) -> dict[str, float]:
    if name == "chain":
        return chain(passes, seed)
    if name == "pada":
        return variances(passes, 24 if quick else 256, seed)
    if name == "bands":
        return band_excess(passes, seed, alone)
    if name == "split":
        return split(2 * passes, 3 if quick else 50, seed, alone)
    if name == "sizes":
        return sizes(passes, seed)
    return mixture(passes, seed, alone) if name == "mixture" else tangle(passes, seed, alone)


def _summary(
    rows: pd.DataFrame, budgets: tuple[int, ...], found: dict[str, dict[str, float]]
) -> dict[str, float | int | None]:
    first, last = budgets[0], budgets[-1]

    def of(claim: str, name: str, minus: str | None = None) -> float | None:
        if claim not in found:
            return None
        return found[claim][name] - (found[claim][minus] if minus else 0.0)

    gains = [of("sizes", f"cell_{k}", f"whole_{k}") for k in range(3)] if "sizes" in found else []
    return {
        "deps_over_bignas": difference(rows, "deps", "sandwich", first),
        "distillation_over_labels": difference(rows, "sandwich", "sandwich-labels", last),
        "crossing": crossing(rows, "sandwich", "uniform"),
        "ofa_smallest": difference(rows, "ofa", "uniform", last),
        "ofa_largest": difference(rows, "ofa", "uniform", last, "largest"),
        "chain": of("chain", "chain_4"),
        "pada_data": of("pada", "variance_data"),
        "pada_unweighted": of("pada", "variance_data_unweighted"),
        "pada_bias": of("pada", "bias"),
        "band_shift_worst": of("bands", "band_shift_worst", "uniform_worst"),
        "band_uniform_worst": of("bands", "band_uniform_worst", "uniform_worst"),
        "matching_stability": of("split", "stability"),
        "matching_tau": of("split", "tau_matched"),
        "random_tau": of("split", "tau_random"),
        "mixture_gap": of("mixture", "gap_layer"),
        "wide_gap": of("mixture", "gap_wide"),
        "tangle_regret": of("tangle", "regret"),
        "tangle_drop": of("tangle", "drop"),
        "cells_gain": sum(g for g in gains if g is not None) / len(gains) if gains else None,
    }


BENCHMARK = Benchmark(
    "training",
    "Strategies of supernet training at equal passes, and the claims of their papers",
    "four arms, 160 and 320 passes, one seed, four claims of 240 passes",
    run,
    options,
)


if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
