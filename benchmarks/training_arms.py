"""Strategies at equal passes: scores of the smallest, the largest and random subnets over budgets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.training_ground import accuracy, random_subnets, trained
from hwsearch.training.strategies import STRATEGIES

#: random subnets that each arm is judged by
RANDOM = 6


@dataclass(frozen=True)
class Arm:
    """One strategy with its settings.

    Attributes
    ----------
    strategy : str
        Its name.
    options : dict
        Its settings.
    passes : float
        Forward and backward passes a step, on average over the run.
    """

    strategy: str
    options: dict[str, Any]
    passes: float


PLAIN = {"label_smoothing": 0.0}
ARMS: dict[str, Arm] = {
    "uniform": Arm("uniform", {"draws": 4}, 4),
    "sandwich-labels": Arm("sandwich-labels", {}, 4),
    "sandwich": Arm("sandwich", PLAIN, 4),
    "bignas": Arm("bignas", PLAIN, 4),
    "deps": Arm("deps", PLAIN, 2.5),
    "deps, no ramp": Arm("deps", PLAIN | {"ramp": 0.0}, 2.5),
    "ofa": Arm("ofa", PLAIN, 2.65),  # no kernels vary here: the largest alone until depths open
    "band-uniform": Arm("band-uniform", {}, 4),
    "band-shift": Arm("band-shift", {}, 4),
    "pada": Arm("pada", {"draws": 4, "paths": False}, 4),
    "pada, as released": Arm("pada", {"draws": 4, "correct": False}, 4),
    "small-first": Arm("small-first", {}, 3.1),
    "autodistil": Arm("autodistil", PLAIN, 4),
}
#: what --quick runs
QUICK = ("uniform", "sandwich-labels", "sandwich", "deps")


def scored(name: str, budget: int, seed: int) -> dict[str, Any]:
    """Train one arm with a budget of passes, and score it."""
    arm = ARMS[name]
    trainer = trained(STRATEGIES.load(arm.strategy)(**arm.options), round(budget / arm.passes), seed)
    net = trainer.supernet
    ends = net.space.smallest(), net.space.largest()
    low, high = (accuracy(trainer, arch) for arch in ends)
    others = [accuracy(trainer, arch) for arch in random_subnets(net, RANDOM)]
    return {
        "arm": name,
        "budget": budget,
        "passes": trainer.passes,
        "seed": seed,
        "smallest": low,
        "largest": high,
        "random": float(np.mean(others)),
        "seconds": round(trainer.seconds, 1),
    }


def curves_of(names: Sequence[str], budgets: Sequence[int], seeds: int, say: Callable[[str], None]) -> pd.DataFrame:
    """Score arms over budgets and seeds: one row a run."""
    rows = []
    for budget in budgets:
        for name in names:
            found = [scored(name, budget, seed) for seed in range(seeds)]
            rows += found
            mean = pd.DataFrame(found)[["smallest", "random", "largest"]].mean()
            say(
                f"{budget} passes, {name}: smallest {mean.iloc[0]:.1f}, random {mean.iloc[1]:.1f}, largest {mean.iloc[2]:.1f}"
            )
    return pd.DataFrame(rows)


def difference(rows: pd.DataFrame, first: str, second: str, budget: int, column: str = "smallest") -> float | None:
    """Subtract one arm's mean score from another's at one budget; None where one was not run."""
    means = rows[rows["budget"] == budget].groupby("arm")[column].mean()
    return float(means[first] - means[second]) if {first, second} <= set(means.index) else None


def crossing(rows: pd.DataFrame, first: str, second: str, column: str = "smallest") -> int | None:
    """Find the least budget from which on one arm is at least as good as another; None where there is none."""
    found = None
    for budget in sorted(rows["budget"].unique(), reverse=True):
        gap = difference(rows, first, second, int(budget), column)
        if gap is None or gap < 0:
            break
        found = int(budget)
    return found
