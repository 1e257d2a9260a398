"""Gain of fidelity-aware acquisition, by a simulated clock.

    python -m benchmarks.search_fidelity [--quick] [--json] [--folder DIR] [--seeds 5] [--own 0.05]

Searches on OFA MobileNetV3 of which each complete evaluation sees 50,000 images: every subnet on all of them (``all``),
screening by latency, screening by latency and 2,000 images (the settings ``[search] screening_…``), and ``[search]
fidelities``. Latencies, accuracies and their noise are those of the search benchmark; the clock counts the images that
networks are shown, 2,000 for recalibration at every evaluation, and the latencies. The accuracy on the first n images
is simulated: all subnets share how hard these are, and each differs from that by an error of its own, a Brownian bridge
over the images whose variance an image is ``--own``: half of the share of images that two subnets answer differently,
about the same number more rightly than the other. The figure is the share of the best known hypervolume of what was measured completely, at equal
seconds, told in complete evaluations that they would have paid for.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.frame import Benchmark, Result, Run, curves
from benchmarks.search_runs import bests, volumes
from benchmarks.search_task import Task
from benchmarks.search_tasks import load
from hwsearch.searchers import create
from hwsearch.searchers.bayesian.plumb import PlumbSearcher
from hwsearch.searchers.evolutionary.evolution import row_keys
from hwsearch.searchers.fidelities import Fidelities
from hwsearch.spaces import Architecture

TASKS = ("ofa/v100-b64", "ofa/2080ti-b1")
#: images of a complete evaluation, of a recalibration, and of the fidelities (0: its latency alone)
EVERY, CALIBRATION, IMAGES = 50_000, 2_000, (0, 2_000, 10_000)
#: seconds of an image, and of a latency
IMAGE_S, LATENCY_S = 0.001, 5.0
#: variance an image by which a subnet's answers differ from what they share; of what they share
OWN, SHARED = 0.05, 0.1
#: subnets of the first sample and of a round; candidates a screening compares for each
START, ROUND, FACTOR = 20, 8, 4
FEW = 2_000
FORMS = ("all", "screening latency", "screening latency and images", "fidelities")
#: seconds at which forms are compared, in complete evaluations
AT = (20, 28, 36, 50, 75, 100, 150)


class Ground:
    """A task with a clock: what is measured costs time."""

    def __init__(self, task: Task, seed: int, own: float = OWN) -> None:
        self.task, self.seed, self.seconds, self._own = task, seed, 0.0, own
        self.seen: dict[Architecture, int] = {}  # images; 0: timed
        self.complete: list[Architecture] = []
        self.clock: list[float] = []
        self._shared = self._bridge(np.random.default_rng([seed, 0x5EA]), SHARED)

    @staticmethod
    def _bridge(rng: np.random.Generator, variance: float) -> dict[int, float]:
        """Draw by how many points the mean of the first n images exceeds that of all, by n."""
        levels = [n for n in sorted({FEW, *IMAGES}) if n] + [EVERY]
        steps = np.diff([0, *levels])
        sums = np.cumsum(rng.standard_normal(len(levels)) * np.sqrt(variance * steps))
        return {n: 100.0 * float(s / n - sums[-1] / EVERY) for n, s in zip(levels, sums, strict=True)}

    def measured(self, archs: Sequence[Architecture]) -> np.ndarray:
        """Return what complete measurements say (k, m)."""
        return self.task.measure(self.task.space.to_array(archs), self.seed)

    def few(self, archs: Sequence[Architecture], images: int) -> np.ndarray:
        """Return the accuracies (k,) on the first images."""
        keys = row_keys(self.task.space.to_array(archs)).tolist()
        own = [
            self._bridge(np.random.default_rng([self.seed, k & 0xFFFFFFFF, k >> 32 & 0xFFFFFFFF, 1]), self._own)[images]
            for k in keys
        ]
        return self.measured(archs)[:, 0] + np.array(own) + self._shared[images]

    def cost(self, seen: int | None, images: int) -> float:
        """Return the seconds from what was seen (None: nothing) to so many images."""
        seconds = LATENCY_S if seen is None else 0.0
        return seconds + (IMAGE_S * (images - (seen or 0) + CALIBRATION) if images else 0.0)

    def measure(self, arch: Architecture, images: int) -> None:
        """Spend the time, and note what has been seen."""
        self.seconds += self.cost(self.seen.get(arch), images)
        self.seen[arch] = images
        if images == EVERY:
            self.complete.append(arch)
            self.clock.append(self.seconds)


def searched(task: Task, form: str, seed: int, seconds: float, own: float = OWN) -> Ground:
    """Search for so many seconds of the clock."""
    ground, r = Ground(task, seed, own), 0
    rng_seed = seed * 1000
    searcher = _searcher(task, rng_seed)
    for arch in searcher.ask(START):
        ground.measure(arch, EVERY)
    while ground.seconds < seconds:
        r += 1
        searcher = _searcher(task, rng_seed + r)
        error = _tell(ground, searcher)
        begun = [a for a, n in ground.seen.items() if n < EVERY]
        if form == "all":
            picks = [(a, EVERY) for a in searcher.ask(ROUND)]
        elif form == "fidelities":
            picks = _allocated(ground, searcher, begun, error)
        else:
            images = FEW if "images" in form else 0
            new = searcher.ask(ROUND * FACTOR)
            for arch in new:
                ground.measure(arch, images)
            searcher = _searcher(task, rng_seed + r)
            _tell(ground, searcher)
            picks = [(a, EVERY) for a in searcher.choose([*begun, *new], ROUND)]
        for arch, images in picks:
            ground.measure(arch, images)
    return ground


def _searcher(task: Task, seed: int) -> PlumbSearcher:
    known = {"known": task.known} if task.known else {}
    searcher = create("default", task.space, task.objectives, seed=seed, **known)
    assert isinstance(searcher, PlumbSearcher)
    return searcher


def _tell(ground: Ground, searcher: PlumbSearcher) -> dict[int, float]:
    """Tell all that is known, and return the error of each number of images, as a campaign finds it."""
    complete = ground.complete
    searcher.tell(complete, ground.measured(complete))
    errors = {0: np.inf}
    begun = [a for a, n in ground.seen.items() if n < EVERY]
    if begun:
        values = ground.measured(begun)
        values[:, 0] = np.nan
        searcher.tell(begun, values)
    full = ground.measured(complete)[:, 0]
    for images in sorted({FEW, *IMAGES} - {0}):
        pairs = full - ground.few(complete, images)
        errors[images] = float(pairs.std(ddof=1))
        some = [a for a in begun if ground.seen[a] == images]
        if some:
            guesses = np.column_stack([ground.few(some, images) + pairs.mean(), np.full(len(some), np.nan)])
            searcher.hint(some, guesses, np.where(np.isnan(guesses), np.nan, errors[images]))
    return errors


def _allocated(
    ground: Ground, searcher: PlumbSearcher, begun: list[Architecture], errors: dict[int, float]
) -> list[tuple[Architecture, int]]:
    levels = [*IMAGES, EVERY]
    noise = np.array([[errors.get(n, 0.0), 0.0] for n in levels])

    def fidelities(archs: Sequence[Architecture]) -> Fidelities:
        seen = [ground.seen.get(a) for a in archs]
        seconds = [[ground.cost(s, n) if s is None or n > s else np.inf for n in levels] for s in seen]
        rest = [[ground.cost(n, EVERY) if n < EVERY else 0.0 for n in levels]] * len(archs)
        reached = [-1 if s is None else levels.index(s) for s in seen]
        return Fidelities(noise, np.array(seconds), np.array(rest), np.array(reached))

    picks = searcher.allocate(begun, fidelities, ROUND * ground.cost(None, EVERY))
    return [(a, levels[k]) for a, k in picks]


def shares(ground: Ground, best: float, at: Sequence[float]) -> list[float]:
    """Return the shares of the best hypervolume after so many seconds."""
    values = ground.measured(ground.complete)
    found = volumes(ground.task, ground.task.true(ground.task.space.to_array(ground.complete)), values) / best
    places = np.searchsorted(ground.clock, at, side="right") - 1
    return [round(float(found[k]), 4) for k in places]


def options(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's own options."""
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--own", type=float, default=OWN, help="variance an image of what a subnet does not share")
    parser.add_argument("--tasks", nargs="+", default=list(TASKS))
    parser.add_argument(
        "--evaluations", type=int, default=AT[-1], help="complete evaluations whose seconds are searched for"
    )


def run(given: Run) -> Result:
    """Search in all forms and compare them at equal seconds."""
    seeds, tasks, most = given.args.seeds, list(given.args.tasks), int(given.args.evaluations)
    if given.quick:
        seeds, tasks, most = 1, tasks[:1], 28
    at = [n for n in AT if n <= most]
    best = bests(tasks, given.folder, 1)
    rows: list[dict[str, Any]] = []
    for name in tasks:
        task = load(name)
        one = Ground(task, 0).cost(None, EVERY)
        for seed in range(seeds):
            for form in FORMS:
                ground = searched(task, form, seed, at[-1] * one, given.args.own)
                found = shares(ground, best[name].volume, [n * one for n in at])
                seen = Counter(ground.seen.values())
                given.say(f"{name} seed {seed} {form}: {found[-1]:.4f} after {at[-1] * one:,.0f} s")
                rows += [
                    {"task": name, "form": form, "seed": seed, "evaluations": n, "share": s, "complete": seen[EVERY]}
                    for n, s in zip(at, found, strict=True)
                ]
    every = pd.DataFrame(rows)
    table = every.groupby(["form", "evaluations"], sort=False)["share"].mean().round(4).reset_index()
    wide = table.pivot_table(index="form", columns="evaluations", values="share", sort=False)
    lead = every.pivot_table(index=["task", "seed"], columns="form", values="share", aggfunc="last")
    gain = lead["fidelities"] - lead["all"]
    summary: dict[str, Any] = {f"share_{form}": float(wide.loc[form].iloc[-1]) for form in FORMS}
    summary["fidelities_less_all"] = round(float(gain.mean()), 4)
    if len(gain) > 1:
        summary["fidelities_less_all_error"] = round(float(gain.std(ddof=1) / len(gain) ** 0.5), 4)
    return Result(
        summary,
        table,
        {"runs": rows, "seeds": seeds, "tasks": tasks},
        lambda folder: curves(table, folder, "search_fidelity", BENCHMARK.title, x="evaluations", y="share", by="form"),
    )


BENCHMARK = Benchmark(
    "search_fidelity", "What fidelity-aware acquisition brings", "one task, one seed, 28", run, options
)


if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
