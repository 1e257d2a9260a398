"""Claims of the papers that the package is made of, one function each, in one table.

    python -m benchmarks.claims [--quick] [--json] [--folder DIR] [--only NAME …]

``--only`` takes a claim (``planning.mape_pct``) or the group before the point (``planning``). A claim of yours is one function
with `claim`, which names its figures; it returns them by name, as `Figure`. In ``summary``:

- ``planning.split_over_spray``: load of the busiest spine when single paths are split, over ideal spraying's n / s, at worst over
  all n ≤ 200 flows and s ≤ 64 spines, in whole numbers (asked: 1.000)
- ``planning.ecmp_over_spray``: the same of random ECMP for 8 flows over 8 spines, mean over draws (no aim; 2 to 2.6 at few flows)
- ``planning.mape_pct``: mean absolute error of predicted times of exchanges between 2, 3 and 4 local processes, at sizes over a decade that
  the fit has not seen, in % (asked: 15 or less)
- ``ensemble.gain``: points of the chosen ensemble over the best single member in the same measured time, on test images, mean over limits of
  60, 80, 100 and 150 % of the largest subnet's latency; ``ensemble.gains_shown``: at how many of them its interval is above 0 (no aim: said either way)
- ``certified.bound_ratio``: mean half width of the bounds in front of the last activation over that of the inputs, with weights drawn for intervals
  (asked: 10 or less); ``certified.plain_bound_ratio``: the same with torch's own initialisation (no aim)
- ``certified.over_vanilla``: points of verified accuracy by initialisation, batch norms and regularisers over plain interval training with the
  same ramp and as many passes, mean over subnets and seeds (asked: above 0)
- ``certified.unsound``: verified images that projected gradient descent with three restarts makes wrong (asked: 0 of 1,000 or more)
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import hwsearch
from benchmarks.certified_ground import (
    BATCH,
    EPSILON,
    PixelDigits,
    beaten,
    bound_ratio,
    clean_digits,
    pixel_supernet,
    scores,
    trainer,
)
from benchmarks.frame import Benchmark, Result, Run, bars, host
from hwsearch.api.processes import INTERFACE, loopback_interface
from hwsearch.campaigns import Campaign
from hwsearch.training import Run as Training
from hwsearch.training import TrainingConfig
from hwsearch.training.parts.intervals import initialise_for_intervals
from hwsearch.training.planning import calibrate, ecmp_busiest, split_flows
from hwsearch.training.strategies.certified import Certified

#: settings of the campaign whose members are chosen from
CAMPAIGN = """[supernet]
name = "cifar10-mbv3"

[data]
calibration_images = 500
validation_images = {validation}
test_images = {test}

[[device]]
name = "cpu"
batch = 1
threads = 1

[[objective]]
metric = "accuracy"

[[objective]]
metric = "latency"

[profile]
latency = 60
accuracy = 30
random = 10

[search]
rounds = {rounds}
per_round = 6

[protocol]
half_width = 0.05
processes = [1, 1]

[validate]
half_width = 0.03
candidates = {candidates}
processes = [2, 2]
rounds = 0
"""
#: limits as shares of the largest subnet's latency, in %
LIMITS = (60, 80, 100, 150)


@dataclass(frozen=True)
class Figure:
    """One figure of a claim.

    Attributes
    ----------
    value : float
        What was found, the mean where it was found several times.
    std : float
        Standard deviation over `n`; NaN of one.
    n : int
        How often it was found: seeds, or other repetitions.
    aim : str
        What was asked for, such as ``<= 15``; empty where it is only told.
    note : str
        Anything more.
    rows : pandas.DataFrame, optional
        What lies behind it, for a plot of its own: text columns name the bars, the first column of numbers is drawn.
    """

    value: float
    std: float = float("nan")
    n: int = 1
    aim: str = ""
    note: str = ""
    rows: pd.DataFrame | None = None

    @property
    def met(self) -> bool | None:
        """Whether the aim is met; None where there is none."""
        if not self.aim:
            return None
        op, _, bound = self.aim.partition(" ")
        limit = float(bound)
        return {
            "<=": self.value <= limit,
            ">=": self.value >= limit,
            ">": self.value > limit,
            "=": self.value == limit,
        }[op]


#: claims: what each function tells, by the names of its figures
CLAIMS: dict[tuple[str, ...], Callable[[Run], dict[str, Figure]]] = {}


def claim(*names: str) -> Callable[[Callable[[Run], dict[str, Figure]]], Callable[[Run], dict[str, Figure]]]:
    """Register a claim under the names of its figures, ``GROUP.NAME`` each."""

    def register(function: Callable[[Run], dict[str, Figure]]) -> Callable[[Run], dict[str, Figure]]:
        taken = {name for known in CLAIMS for name in known}
        assert not taken & set(names) and all("." in name for name in names), names
        CLAIMS[names] = function
        return function

    return register


# ---------------------------------------------------------------------- packet spraying
@claim("planning.split_over_spray")
def splitting(given: Run) -> dict[str, Figure]:
    """Load of the busiest spine of split flows over the closed form n / s, in whole numbers: units of 1 / s of a flow."""
    flows, spines = (60, 24) if given.quick else (200, 64)
    worst, cases = 0.0, 0
    for s in range(1, spines + 1):
        for n in range(1, flows + 1):
            loads = [0] * s
            for piece in split_flows(n, s):
                loads[piece.spine] += piece.share.numerator * (s // piece.share.denominator)
            worst, cases = max(worst, max(loads) / n), cases + 1
            if min(loads) != n:  # nothing may be lost either
                worst = float("inf")
    return {"planning.split_over_spray": Figure(worst, n=cases, aim="= 1", note=f"n <= {flows}, s <= {spines}")}


@claim("planning.ecmp_over_spray")
def equal_cost(given: Run) -> dict[str, Figure]:
    """Load of the busiest spine under random hashing over n / s, for few and for many flows."""
    draws = 2000 if given.quick else 20_000
    means = [ecmp_busiest(8, 8, draws, np.random.default_rng(seed)).mean() for seed in range(3)]
    cases = ((8, 8), (16, 8), (32, 16), (128, 8), (512, 8))
    others = {(n, s): ecmp_busiest(n, s, draws, np.random.default_rng(0)).mean() * s / n for n, s in cases}
    note = ", ".join(f"{n} over {s}: {v:.2f}" for (n, s), v in others.items())
    rows = pd.DataFrame(
        {"flows over spines": [f"{n} over {s}" for n, s in cases], "busiest over n / s": list(others.values())}
    )
    return {
        "planning.ecmp_over_spray": Figure(float(np.mean(means)), float(np.std(means, ddof=1)), 3, note=note, rows=rows)
    }


@claim("planning.mape_pct")
def exchanges(given: Run) -> dict[str, Figure]:
    """Predicted against measured exchanges of 2, 3 and 4 local processes."""
    interface = loopback_interface()
    found = []
    for processes in (2, 3, 4):
        done = calibrate(processes, {INTERFACE: interface} if interface else {}, repeats=40 if given.quick else 120)
        given.say(f"{processes} processes: {done.mape_pct:.1f} %")
        found.append(done.mape_pct)
    note = f"2, 3, 4 processes on {host()['cores']} cores: {', '.join(f'{v:.1f}' for v in found)}"
    rows = pd.DataFrame({"processes": ["2", "3", "4"], "error in %": found})
    return {"planning.mape_pct": Figure(float(np.mean(found)), float(np.std(found, ddof=1)), 3, "<= 15", note, rows)}


# ---------------------------------------------------------------------- ensembles
@claim("ensemble.gain", "ensemble.gains_shown")
def fusion(given: Run) -> dict[str, Figure]:
    """Gain of ensembles of the embedded supernet's subnets, really measured, under several limits."""
    path = given.folder / "ensemble.toml"
    sizes = {"validation": 600, "test": 1500, "rounds": 1, "candidates": 12} if given.quick else {
        "validation": 2000, "test": 5000, "rounds": 3, "candidates": 30}  # fmt: skip
    path.write_text(CAMPAIGN.format(**sizes), encoding="utf-8")
    folder = given.folder / "ensemble"
    hwsearch.run(path, folder=folder)
    campaign = Campaign.open(folder)  # once, so that batch norms are recalibrated once
    found = [
        hwsearch.ensemble(campaign, f"latency_ms<={limit} %", output=folder / f"ensemble-{limit}.onnx")
        for limit in LIMITS
    ]
    gains = [one["gain"] for one in found]
    told = "; ".join(
        f"{limit} %: {one['rows'][1]['members']} members {one['gain']:+.2f} ({one['gain_low']:+.2f} to {one['gain_high']:+.2f})"
        for limit, one in zip(LIMITS, found, strict=True)
    )
    given.say(told)
    shown = sum(one["verdict"] == "gain" for one in found)
    rows = pd.DataFrame({"limit": [f"{limit} %" for limit in LIMITS], "points gained": gains})
    return {
        "ensemble.gain": Figure(float(np.mean(gains)), float(np.std(gains, ddof=1)), len(gains), note=told, rows=rows),
        "ensemble.gains_shown": Figure(float(shown), n=len(gains), note=f"of {len(gains)} limits"),
    }


# ---------------------------------------------------------------------- certified training
@claim("certified.bound_ratio", "certified.plain_bound_ratio", "certified.over_vanilla", "certified.unsound")
def certified(given: Run) -> dict[str, Figure]:
    """Bounds at initialisation, verified accuracy of four arms of equal passes, and an attack on what is verified."""
    seeds, steps = (range(1), 120) if given.quick else (range(3), 600)
    same: dict[str, Any] = {"epsilon": EPSILON, "ramp": 0.3, "random": 0}
    arms = {
        "vanilla": (False, Certified(**same, initialisation="keep", regularisation=0.0)),
        "vanilla, norms": (True, Certified(**same, initialisation="keep", regularisation=0.0)),
        "initialisation": (False, Certified(**same, initialisation="intervals", regularisation=0.0)),
        "all": (True, Certified(**same, initialisation="intervals")),
    }
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in arms}
    ratios: dict[str, list[float]] = {"plain": [], "drawn": []}
    verified = unsound = wrong = 0
    for seed in seeds:
        for name, (norm, strategy) in arms.items():
            net = pixel_supernet(seed, norm=norm)
            if name == "initialisation":
                ratios["plain"].append(bound_ratio(net))
                config = TrainingConfig(steps=steps, batch=BATCH, seed=seed)
                initialise_for_intervals(Training(net, PixelDigits(), clean_digits()[0], config))
                ratios["drawn"].append(bound_ratio(net))
            done = trainer(strategy, net, steps, seed)
            found[name].append(scores(done.supernet))
            given.say(f"seed {seed}, {name}: {found[name][-1]} after {done.passes} passes")
            if name == "all":
                counts = beaten(done.supernet)
                verified, unsound, wrong = verified + counts[0], unsound + counts[1], wrong + counts[2]
    means = {name: np.mean(values, axis=0) for name, values in found.items()}
    gains = [a[1] - b[1] for a, b in zip(found["all"], found["vanilla"], strict=True)]
    told = "; ".join(f"{n}: verified error {100 - m[1]:.1f} %, error {100 - m[0]:.1f} %" for n, m in means.items())
    rows = pd.DataFrame({"arm": list(means), "verified error in %": [100 - m[1] for m in means.values()]})

    def over(values: list[float], aim: str = "", note: str = "", rows: pd.DataFrame | None = None) -> Figure:
        std = float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")
        return Figure(float(np.mean(values)), std, len(values), aim, note, rows)

    return {
        "certified.bound_ratio": over(ratios["drawn"], "<= 10"),
        "certified.plain_bound_ratio": over(ratios["plain"]),
        "certified.over_vanilla": over(gains, "> 0", told, rows),
        "certified.unsound": Figure(
            float(unsound), n=verified, aim="= 0", note=f"of {verified} verified; {wrong} others beaten"
        ),
    }


# ---------------------------------------------------------------------- the table
def chosen(only: list[str] | None) -> list[Callable[[Run], dict[str, Figure]]]:
    """Select the claims that are asked for; all where nothing is."""
    wanted = set(only or ())
    return [
        f
        for names, f in CLAIMS.items()
        if not wanted or wanted & {part for n in names for part in (n, n.split(".")[0])}
    ]


def names() -> list[str]:
    """List what `--only` takes."""
    every = [name for known in CLAIMS for name in known]
    return [*dict.fromkeys(name.split(".")[0] for name in every), *every]


def options(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's own options."""
    parser.add_argument(
        "--only", action="append", choices=names(), metavar="NAME", help=f"default: all of {', '.join(names())}"
    )


def run(given: Run) -> Result:
    """Test the claims, one after the other."""
    rows, summary, plotted = [], {}, {}
    for function in chosen(given.args.only):
        began = time.monotonic()
        found = function(given)
        for name, figure in found.items():
            given.say(f"{name}: {figure.value:.4g} {figure.note}")
            summary[name] = figure.value
            if figure.rows is not None:
                plotted[name] = figure.rows
            rows.append(
                {
                    "claim": name,
                    "value": round(figure.value, 6),
                    "std": figure.std,
                    "n": figure.n,
                    "aim": figure.aim,
                    "met": {None: "", True: "yes", False: "no"}[figure.met],
                    "seconds": round(time.monotonic() - began, 1),
                    "note": figure.note,
                }
            )

    def plot(folder: Path) -> list[Path]:
        return [file for name, found in plotted.items() for file in bars(found, folder, name.replace(".", "_"), name)]

    exact = [row for row in rows if row["aim"].startswith("=")]
    # times and accuracies are reported; only what must hold exactly decides the exit code
    return Result(summary, pd.DataFrame(rows), plot=plot, ok=all(row["met"] == "yes" for row in exact))


BENCHMARK = Benchmark("claims", "Claims of the papers", "fewer flows and draws, a smaller campaign", run, options)

if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
