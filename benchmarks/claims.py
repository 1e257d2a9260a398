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
- ``prune.disagreement``: mean of share × (1 - share) over the gates, right before they are frozen (asked: .01 or less)
- ``prune.freeze_drop``: points lost when gates are frozen, on test images with one set of statistics (asked: .3 or less);
  ``prune.freeze_drop_plain`` is the same without polarization (no aim)
- ``prune.over_magnitude``: points over L1 pruning with fine-tuning at half the MACs and equal passes (asked: 0 or more);
  ``prune.over_random`` over random architectures from scratch, ``prune.over_plain`` over gates without polarization, and
  ``prune.over_torch_pruning`` over PyPI's ``torch-pruning``, where it is installed (no aims)
- ``prune.limit_error_pct``: measured milliseconds on ONNX Runtime against the limit asked for, mean absolute difference in % (asked: 3 or less)
- ``assemble.at_assembly``: points of modules that were incubated in a meta network over the better of two ways to train them apart without
  one, right after assembly, mean over three seeds on the testbench of strategies, equal passes (asked: 5 or more)
- ``assemble.gradient_bytes``: bytes of gradients that the modules' processes sent to each other (asked: 0)
- ``assemble.tuned_over_end_to_end``: points over training all together, both fine-tuned alike (no aim: said either way)
- ``grow.over_random``: points of a network grown by orthogonal blocks over one with random new blocks right after growth, largest subnet, mean over
  five seeds on the testbench (asked: above 0); ``grow.over_scratch``: its points after 10 % more training over training from scratch for
  as many MACs (asked: 0 or more); ``grow.default_over_random`` and ``grow.default_over_scratch``: the same of the default, repeated channels;
  ``grow.members_over_scratch``: of two members that do not see each other (no aims)
- ``certified.bound_ratio``: mean half width of the bounds in front of the last activation over that of the inputs, with weights drawn for intervals
  (asked: 10 or less); ``certified.plain_bound_ratio``: the same with torch's own initialisation (no aim)
- ``certified.over_vanilla``: points of verified accuracy by initialisation, batch norms and regularisers over plain interval training with the
  same ramp and as many passes, mean over subnets and seeds (asked: above 0)
- ``certified.unsound``: verified images that projected gradient descent with three restarts makes wrong (asked: 0 of 1,000 or more)
- ``tasks.forgetting``: points that earlier tasks lost by later ones, infinite if any logit of any earlier task changed by a bit (asked: 0)
- ``tasks.over_supsup``: points of exclusive weights over masks alone at densities of 5 and 10 %, mean over five tasks at equal passes (asked: above 0);
  ``tasks.over_supsup_25`` at 25 %, and ``tasks.plain_forgetting`` of one network trained on all tasks in turn (no aims)
- ``tasks.storage_ratio``: bytes of 100 tasks' folder over 4 a weight and one bit a weight a task (asked: 1.05 or less)
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import hwsearch
from benchmarks import prune_arms, task_arms
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
from benchmarks.training_growth import table as growth
from benchmarks.training_pieces import exchanged, table
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


# ---------------------------------------------------------------------- consensus by polarization
@claim(
    "prune.disagreement",
    "prune.freeze_drop",
    "prune.freeze_drop_plain",
    "prune.over_magnitude",
    "prune.over_random",
    "prune.over_plain",
    "prune.over_torch_pruning",
)
def pruning(given: Run) -> dict[str, Figure]:
    """Prune noisy digits' network to half of its MACs: gates with and without polarization, and their rivals, at equal passes."""
    passes, seeds = (320, 3) if given.quick else (1280, 5)
    kept = prune_arms.Kept(given.folder / "prune" / "arms.json")
    arms: dict[str, Callable[[int, int], dict[str, Any]]] = {
        "polarization": prune_arms.by_gates,
        "without": partial(prune_arms.by_gates, polarization=0.0),
        **prune_arms.rivals(),
    }
    rows = []
    for seed in range(seeds):
        for name, arm in arms.items():
            found = kept.of(f"{name} {seed} {passes}", partial(arm, passes, seed))
            given.say(f"{name}, seed {seed}: {found['accuracy']:.2f} % at {100 * found['share']:.1f} % of the MACs")
            rows.append({"arm": name, "seed": seed, **{k: v for k, v in found.items() if k != "genes"}})
    frame = pd.DataFrame(rows).set_index("seed")
    by = {name: frame[frame["arm"] == name] for name in arms}
    ours = by["polarization"]

    def mean(values: pd.Series, aim: str = "", note: str = "", rows: pd.DataFrame | None = None) -> Figure:
        return Figure(float(values.mean()), float(values.std(ddof=1)), len(values), aim, note, rows)

    each = ", ".join(f"{n} {f['accuracy'].mean():.1f} ± {f['accuracy'].std(ddof=1):.1f}" for n, f in by.items())
    bars_of = pd.DataFrame({"arm": list(by), "top-1 in %": [f["accuracy"].mean() for f in by.values()]})
    plain = f"without polarization {by['without']['disagreement'].mean():.4f}"
    found = {
        "prune.disagreement": mean(ours["disagreement"], "<= 0.01", plain),
        "prune.freeze_drop": mean(ours["drop"], "<= 0.3"),
        "prune.freeze_drop_plain": mean(by["without"]["drop"]),
        "prune.over_magnitude": mean(
            ours["accuracy"] - by["magnitude"]["accuracy"], ">= 0", f"{passes} passes: {each}", bars_of
        ),
        "prune.over_random": mean(ours["accuracy"] - by["random"]["accuracy"]),
        "prune.over_plain": mean(ours["accuracy"] - by["without"]["accuracy"]),
    }
    if "torch-pruning" in by:
        version = by["torch-pruning"]["version"].iloc[0]
        difference = ours["accuracy"] - by["torch-pruning"]["accuracy"]
        found["prune.over_torch_pruning"] = mean(difference, note=f"torch-pruning {version}")
    return found


@claim("prune.limit_error_pct")
def limits(given: Run) -> dict[str, Figure]:
    """Prune to limits in milliseconds by an operator table, and time the pruned networks."""
    passes = 320 if given.quick else 1280
    found = prune_arms.latency_errors(given.folder / "prune", passes, range(3), quick=given.quick)
    errors = [one["error_pct"] for one in found]
    told = "; ".join(
        f"{one['limit']:.4f} ms asked, {one['table']:.4f} by the table, {one['measured']:.4f} measured" for one in found
    )
    given.say(told)
    return {"prune.limit_error_pct": Figure(float(np.mean(errors)), float(np.std(errors, ddof=1)), 3, "<= 3", told)}


# ---------------------------------------------------------------------- modules trained apart
@claim("assemble.at_assembly", "assemble.gradient_bytes", "assemble.tuned_over_end_to_end")
def assembling(given: Run) -> dict[str, Figure]:
    """Modules incubated in a meta network against modules trained apart without one, and against training all together."""
    rows = table(1200 if given.quick else 4800, 0.2, 3, given.say)
    mean = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
    rivals = ("no meta network", "parts of networks")
    gains = [row["assembled"] - max(row[name] for name in rivals) for row in rows]
    tuned = [row["assembled, tuned"] - row["end to end, tuned"] for row in rows]
    sent, sockets, looks = exchanged(20 if given.quick else 200, given.folder)
    bars_of = [name for name in mean if "," not in name]
    shown = pd.DataFrame({"arm": bars_of, "accuracy at assembly, %": [mean[name] for name in bars_of]})
    note = ", ".join(f"{name} {value:.1f}" for name, value in mean.items())
    return {
        "assemble.at_assembly": Figure(*spread(gains), 3, ">= 5", note, shown),
        "assemble.gradient_bytes": Figure(
            float(sent + sockets), n=looks, aim="= 0", note=f"{sockets} sockets seen in {looks} looks at the processes"
        ),
        "assemble.tuned_over_end_to_end": Figure(*spread(tuned), 3),
    }


# ---------------------------------------------------------------------- growth
@claim(
    "grow.over_random",
    "grow.over_scratch",
    "grow.default_over_random",
    "grow.default_over_scratch",
    "grow.members_over_scratch",
)
def growing(given: Run) -> dict[str, Figure]:
    """A network grown to twice its widths, against random new blocks and against training from scratch at equal MACs."""
    seeds = 3 if given.quick else 5
    rows = growth(150 if given.quick else 600, seeds, given.say)
    mean = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
    note = ", ".join(f"{name} {value:.1f}" for name, value in mean.items())
    arms = [name.removesuffix(", trained on") for name in mean if name.endswith(", trained on")]
    shown = pd.DataFrame({"arm": arms, "accuracy after 10 % more, %": [mean[f"{name}, trained on"] for name in arms]})

    def over(first: str, second: str) -> tuple[float, float]:
        return spread([row[first] - row[second] for row in rows])

    on = ", trained on"
    return {
        "grow.over_random": Figure(*over("orthogonal", "random"), seeds, "> 0", note),
        "grow.over_scratch": Figure(*over("orthogonal" + on, "scratch" + on), seeds, ">= 0", rows=shown),
        "grow.default_over_random": Figure(*over("wider", "random"), seeds),
        "grow.default_over_scratch": Figure(*over("wider" + on, "scratch" + on), seeds),
        "grow.members_over_scratch": Figure(*over("zero" + on, "scratch" + on), seeds),
    }


def spread(values: list[float]) -> tuple[float, float]:
    """Mean and standard deviation."""
    return float(np.mean(values)), float(np.std(values, ddof=1))


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


# ---------------------------------------------------------------------- many tasks on one backbone
@claim("tasks.forgetting", "tasks.over_supsup", "tasks.over_supsup_25", "tasks.plain_forgetting")
def many_tasks(given: Run) -> dict[str, Figure]:
    """Pairs of noisy digits as five tasks, one after the other, on one backbone, in five ways at equal passes."""
    passes, seeds = (100, 3) if given.quick else (800, 5)
    kept = prune_arms.Kept(given.folder / "tasks" / "arms.json")
    rows = []
    for seed in range(seeds):
        for density in (0.05, 0.1, 0.25):
            for arm in task_arms.ARMS:
                if arm == "plain" and density != 0.1:
                    continue  # it has no density
                found = kept.of(f"{arm} {density} {seed} {passes}", partial(task_arms.arm, arm, density, passes, seed))
                given.say(f"{arm}, density {density:g}, seed {seed}: {found['end']:.2f} %")
                rows.append({"arm": arm, "density": density, "seed": seed, **found})
    frame = pd.DataFrame(rows)
    by = frame.set_index(["arm", "density", "seed"])
    told = frame.groupby(["density", "arm"], sort=False)["end"].agg(["mean", "std"]).reset_index()
    text = ", ".join(f"{r.arm} {100 * r.density:g} % {r.mean:.1f} ± {r.std:.1f}" for r in told.itertuples())
    bars_of = pd.DataFrame(
        {"arm": [f"{r.arm} {100 * r.density:g} %" for r in told.itertuples()], "top-1 in %": told["mean"]}
    )

    def over(*densities: float) -> pd.Series:
        gains = [by["end"]["exclusive"][d] - by["end"]["supsup"][d] for d in densities]
        return pd.Series(sum(gains) / len(gains))

    def mean(values: pd.Series, aim: str = "", note: str = "", rows: pd.DataFrame | None = None) -> Figure:
        return Figure(float(values.mean()), float(values.std(ddof=1)), len(values), aim, note, rows)

    safe = frame[frame["arm"].isin(["supsup", "exclusive", "without transfer"])]
    worst = float("inf") if safe["changed"].any() else float(safe["forgetting"].abs().max())
    plain = frame[frame["arm"] == "plain"]["forgetting"]
    return {
        "tasks.forgetting": Figure(worst, n=len(safe), aim="= 0", note="the most of any run"),
        "tasks.over_supsup": mean(over(0.05, 0.1), "> 0", f"{passes} passes a task: {text}", bars_of),
        "tasks.over_supsup_25": mean(over(0.25)),
        "tasks.plain_forgetting": mean(plain, note="all weights, five tasks in turn"),
    }


@claim("tasks.storage_ratio")
def task_storage(given: Run) -> dict[str, Figure]:
    """A folder of 100 tasks, its bytes by the files' sizes."""
    found = task_arms.storage(given.folder / "tasks" / "storage", 100)
    note = f"100 tasks, {found['weights']:,} weights, {found['bytes']:,} bytes"
    return {"tasks.storage_ratio": Figure(found["ratio"], aim="<= 1.05", note=note)}


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
