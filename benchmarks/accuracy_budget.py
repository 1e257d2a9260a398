"""The accuracy budget's figures: image evaluations saved by the race for the front, and how often it errs.

    python -m benchmarks.accuracy_budget [--quick] [--json] [--folder DIR] [--answers DIR] [--subnets 300] [--seeds 20]
                                         [--many 500]

Evaluates subnets of the embedded supernet on its 5,000 held-out images (validation and test together) and keeps
each answer; evaluation is deterministic, so that a race can then be run again on the record, seed
by seed, and compared with the front of full evaluation. Costs are MACs, so that no timing takes part. Two sets:

- ``sampled``: half spread evenly over MACs, half with uniform genes, as a campaign profiles them
- ``near_front``: members of the front of ``sampled``, and mutations of these, as a late search proposes them

For each tolerance (points of top-1): the saving, the share of seeds with an error, and what the same budget gives
without the race: all subnets on one smaller subset, or successive halving without control of the error.
``paired_oracle`` is the saving of a test that no plain race can have: it knows from the start which member each
subnet is to be compared with and by how much it is behind, looks once, and compares their answers pairwise on
uniformly drawn images. ``resampled`` repeats the race with 50,000 images drawn with replacement from the 5,000, to
show what a data set of ImageNet's size changes: it is an extrapolation, not a measurement.
The figures of the summary are those of ``sampled`` with tolerance 0: the very same front.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.stats import norm

from benchmarks.frame import Benchmark, Result, Run, curves
from hwsearch.accuracy import calibrated_subnet, front_accuracy, race
from hwsearch.spaces import Architecture
from hwsearch.supernets import catalogue
from hwsearch.tasks.images import ImageData, ImageTask

ERROR = 0.05
TOLERANCES = (0.0, 0.5, 1.0, 2.0, 5.0)


# ---------------------------------------------------------------------- what is compared
class Bench:
    """The supernet, its images, and the record of answers."""

    def __init__(self, folder: Path) -> None:
        loaded = catalogue.entry("cifar10-mbv3").load()
        assert loaded.entry.data is not None
        shipped = loaded.entry.data()
        v, t = shipped["validation"], shipped["test"]
        labels = np.concatenate([v.labels, t.labels])
        self.net, self.space = loaded.net, loaded.net.space
        self.calibration: ImageData = shipped["calibration"]
        self.data = ImageData([*v.images, *t.images], labels, v.classes, v.preprocess, "validation+test")
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"answers-{loaded.digest}-{self.data.digest}.npz"
        self.bits: dict[str, np.ndarray] = {}
        self.seconds: dict[str, np.ndarray] = {}
        if self.path.exists():
            with np.load(self.path) as saved:
                self.bits = dict(zip(saved["ids"].tolist(), saved["bits"], strict=True))
                self.seconds = dict(zip(saved["ids"].tolist(), saved["seconds"], strict=True))

    def costs(self, archs: list[Architecture]) -> np.ndarray:
        return self.net.macs_array(self.space.to_array(archs))

    def answers(self, archs: list[Architecture]) -> np.ndarray:
        """Collect (n, N) bool: every subnet on every image, from the record where it has them."""
        for k, arch in enumerate(archs):
            if arch.id not in self.bits:
                started = time.perf_counter()
                net = calibrated_subnet(self.net, arch, self.calibration)
                calibrated = time.perf_counter()
                self.bits[arch.id] = np.packbits(
                    ImageTask().evaluate(net, self.data, self.net.input_size(arch)).correct
                )
                self.seconds[arch.id] = np.array([calibrated - started, time.perf_counter() - calibrated])
            if k % 25 == 24 or k == len(archs) - 1:
                self.save()
                print(f"{k + 1} of {len(archs)} subnets on {len(self.data)} images", file=sys.stderr)
        return np.stack([np.unpackbits(self.bits[a.id], count=len(self.data)) for a in archs]).astype(bool)

    def save(self) -> None:
        ids = list(self.bits)
        np.savez(
            self.path,
            ids=np.array(ids),
            bits=np.stack([self.bits[i] for i in ids]),
            seconds=np.stack([self.seconds[i] for i in ids]),
        )

    def sampled(self, n: int) -> list[Architecture]:
        rng = np.random.default_rng(0)
        balanced = self.space.sample_balanced(n // 2, rng, self.net.macs_array)
        return balanced + self.space.sample(n - n // 2, rng, exclude=balanced)

    def near(self, members: list[Architecture], n: int) -> list[Architecture]:
        rng, rows = np.random.default_rng(1), self.space.to_array(members)
        found = dict.fromkeys(members)
        while len(found) < n:
            found.update(dict.fromkeys(self.space.from_array(self.space.mutate_array(rows, rng))))
        return list(found)[:n]


@dataclass(frozen=True)
class Truth:
    """Full evaluation: answers (n, N), costs (n,), and the front by brute force."""

    correct: np.ndarray
    costs: np.ndarray

    @property
    def right(self) -> np.ndarray:
        return self.correct.sum(axis=1)

    def front(self, right: np.ndarray) -> set[int]:
        """Find the members for any right answers (n,): of subnets that are equal in both, the first."""
        best, members = -1.0, set()
        for i in np.lexsort((np.arange(len(right)), -right, self.costs)):
            if right[i] > best:
                best = right[i]
                members.add(int(i))
        return members

    def best_cheaper(self, members: set[int]) -> np.ndarray:
        """Find for each subnet (n,) the most accurate member that costs no more, itself left out; −1: none."""
        m = np.array(sorted(members))
        allowed = (self.costs[m][None] <= self.costs[:, None]) & (m[None] != np.arange(len(self.costs))[:, None])
        found = m[np.where(allowed, self.right[m][None], -1).argmax(axis=1)]
        return np.where(allowed.any(axis=1), found, -1)

    def shortfall(self, members: set[int]) -> float:
        """Compute the most points of top-1 by which a subnet is above the front of `members` at its cost."""
        m = np.array(sorted(members))
        at = np.where(self.costs[m][None] <= self.costs[:, None], self.right[m][None], 0).max(axis=1)
        return float(100 * (self.right - at).max() / self.correct.shape[1])


# ---------------------------------------------------------------------- the race and its rivals
def races(truth: Truth, tolerance: float, seeds: int) -> list[dict]:
    full = truth.front(truth.right)
    out = []
    for seed in range(seeds):
        result = race(
            lambda i, index: truth.correct[i, index],
            truth.costs,
            images=truth.correct.shape[1],
            rng=np.random.default_rng(seed),
            error=ERROR,
            tolerance=tolerance,
        )
        front = set(result.front.tolist())
        shortfall = truth.shortfall(front)
        out.append(
            {
                "evaluations": result.evaluations,
                "saving": result.saving,
                "differs": front != full,
                "error": shortfall > tolerance + 1e-9 if tolerance else front != full,
                "shortfall": shortfall,
                "front": len(front),
                "seen": np.median(result.seen),
                "finished": int((result.seen == result.images).sum()),
                "rounds": result.rounds,
            }
        )
    return out


def uniform_subset(truth: Truth, budget: float, rng: np.random.Generator) -> set[int]:
    """Show all subnets one random subset that spends the budget."""
    n, images = truth.correct.shape
    subset = rng.choice(images, min(images, int(budget / n)), replace=False)
    return truth.front(truth.correct[:, subset].sum(axis=1))


def halving(truth: Truth, budget: float, rng: np.random.Generator, halvings: int = 3) -> set[int]:
    """Halve successively: t, 2t, 4t images, each time the half with the smallest deficits stays, the rest is finished."""
    n, images = truth.correct.shape
    order, alive, seen = rng.permutation(images), np.arange(n), 0
    sizes = [-(-n // 2**k) for k in range(halvings + 1)]
    looks = [2**k for k in range(halvings)]
    weight = sum(s * (look - before) for s, look, before in zip(sizes, looks, [0, *looks], strict=False))
    t = (budget - sizes[-1] * images) / (weight - sizes[-1] * looks[-1])
    for size, look in zip(sizes[1:], looks, strict=True):
        seen = min(images, max(1, int(look * t)))
        right = truth.correct[np.ix_(alive, order[:seen])].sum(axis=1)
        cheaper = truth.costs[alive][None] <= truth.costs[alive][:, None]
        np.fill_diagonal(cheaper, False)
        deficit = np.where(cheaper, right[None], -1).max(axis=1) - right
        alive = alive[np.argsort(deficit, kind="stable")[:size]]
    right = np.full(n, -1)
    right[alive] = truth.right[alive]
    return truth.front(right)


def paired_oracle(truth: Truth, tolerance: float) -> float:
    n, images = truth.correct.shape
    members = truth.front(truth.right)
    versus = truth.best_cheaper(members)
    spent = 0.0
    for i in range(n):
        if versus[i] < 0 or (i in members and not tolerance):
            spent += images
            continue
        d = truth.correct[versus[i]].astype(float) - truth.correct[i]
        behind = d.mean() + tolerance / 100
        spent += images if behind <= 0 else 1 / (1 / images + (behind / norm.isf(ERROR / n)) ** 2 / d.var())
    return n * images / spent


def judged(truth: Truth, members: list[set[int]]) -> dict:
    full = truth.front(truth.right)
    return {
        "differs_rate": float(np.mean([m != full for m in members])),
        "members_lost": float(np.mean([len(full - m) for m in members])),
        "members_false": float(np.mean([len(m - full) for m in members])),
        "worst_shortfall_points": round(max(truth.shortfall(m) for m in members), 2),
    }


def figures(truth: Truth, tolerance: float, seeds: int) -> dict:
    runs = races(truth, tolerance, seeds)
    saving = [r["saving"] for r in runs]
    budget = float(np.mean([r["evaluations"] for r in runs]))
    rivals = [
        ("uniform_subset", uniform_subset),
        ("successive_halving", halving),
    ]
    return {
        "tolerance_points": tolerance,
        "saving": round(float(np.mean(saving)), 3),
        "saving_min": round(min(saving), 3),
        "error_rate": float(np.mean([r["error"] for r in runs])),
        "differs_rate": float(np.mean([r["differs"] for r in runs])),
        "worst_shortfall_points": round(max(r["shortfall"] for r in runs), 2),
        "evaluations": round(budget),
        "front_size": float(np.mean([r["front"] for r in runs])),
        "finished_subnets": float(np.mean([r["finished"] for r in runs])),
        "median_images_seen": float(np.mean([r["seen"] for r in runs])),
        "paired_oracle_saving": round(paired_oracle(truth, tolerance), 3),
        "same_budget": {
            name: judged(truth, [rival(truth, budget, np.random.default_rng([s, 9])) for s in range(seeds)])
            for name, rival in rivals
        },
        "rounds_seed_0": [[r.images, r.racing, r.finished, r.dropped] for r in runs[0]["rounds"]],
    }


def on_set(truth: Truth, seeds: int) -> dict:
    full = truth.front(truth.right)
    others = np.array([i for i in range(len(truth.costs)) if i not in full])
    versus = truth.best_cheaper(full)[others]
    behind = 100 * (truth.right[versus] - truth.right[others]) / truth.correct.shape[1]
    top1 = 100 * truth.correct.mean(axis=1)
    return {
        "subnets": len(truth.costs),
        "full_front_size": len(full),
        "top1_range": [round(float(top1.min()), 2), round(float(top1.max()), 2)],
        "points_behind_the_front_quartiles": np.round(np.quantile(behind, [0.25, 0.5, 0.75]), 2).tolist(),
        "by_tolerance": [figures(truth, tolerance, seeds) for tolerance in TOLERANCES],
    }


def fresh(bench: Bench, archs: list[Architecture], truth: Truth, count: int = 12) -> dict:
    """Race some subnets with real evaluations, and again on the record: all figures must be the same."""
    some = np.linspace(0, len(archs) - 1, count).astype(int)
    chosen = [archs[i] for i in some]
    for side in {bench.net.input_size(a) for a in chosen}:  # both sides find decoded images
        bench.data.keep(side)
        bench.calibration.keep(side)
    started = time.perf_counter()
    for arch in chosen:
        ImageTask().evaluate(
            calibrated_subnet(bench.net, arch, bench.calibration), bench.data, bench.net.input_size(arch)
        )
    full_seconds = time.perf_counter() - started
    started = time.perf_counter()
    live = front_accuracy(
        ImageTask(),
        bench.net,
        chosen,
        truth.costs[some],
        bench.calibration,
        bench.data,
        rng=np.random.default_rng(0),
        error=ERROR,
    )
    seconds = time.perf_counter() - started
    replay = race(
        lambda i, index: truth.correct[some[i], index],
        truth.costs[some],
        images=len(bench.data),
        rng=np.random.default_rng(0),
        error=ERROR,
    )
    same = all(np.array_equal(getattr(live, k), getattr(replay, k), True) for k in ("top1", "bound"))
    same &= all(np.array_equal(getattr(live, k), getattr(replay, k)) for k in ("front", "seen", "covered_by"))
    return {
        "subnets": count,
        "equals_replay": bool(same),
        "evaluations": live.evaluations,
        "calibration_images": live.calibration_images,
        "seconds": round(seconds, 1),
        "seconds_of_full_evaluation": round(full_seconds, 1),
    }


def options(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's own options."""
    parser.add_argument("--answers", type=Path, help="keep answers here for a second run")
    parser.add_argument("--subnets", type=int, help="of each set (default: 300; quick: 12)")
    parser.add_argument("--seeds", type=int, help="of each race (default: 20; quick: 3)")
    parser.add_argument(
        "--many", type=int, help="seeds of the finer estimate of the error rate (default: 500; quick: 20)"
    )


def run(given: Run) -> Result:
    """Evaluate both sets in full, then race on the record."""
    args, quick = given.args, given.quick
    subnets, seeds = args.subnets or (12 if quick else 300), args.seeds or (3 if quick else 20)
    repeats = args.many or (20 if quick else 500)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="hwsearch-bench-") as place:
        bench = Bench(args.answers or Path(place))
        archs = bench.sampled(subnets)
        truth = Truth(bench.answers(archs), bench.costs(archs))
        members = [archs[i] for i in sorted(truth.front(truth.right))]
        nearby = bench.near(members, subnets)
        near = Truth(bench.answers(nearby), bench.costs(nearby))
    columns = np.random.default_rng(2).integers(0, len(bench.data), 10 * len(bench.data))
    large = Truth(truth.correct[:, columns], truth.costs)

    sampled = on_set(truth, seeds)
    headline = sampled["by_tolerance"][0]
    many = races(truth, 0.0, repeats)
    seconds = np.array([bench.seconds[a.id] for a in archs]).sum(axis=0)
    summary = {
        "saving": headline["saving"],
        "saving_min": headline["saving_min"],
        "error_rate": headline["error_rate"],
        "stated_error_rate": ERROR,
        f"error_rate_{repeats}": float(np.mean([r["error"] for r in many])),
        f"saving_min_{repeats}": round(min(r["saving"] for r in many), 3),
        "full_evaluations": truth.correct.size,
        "full_evaluation_seconds": round(float(seconds[1]), 1),
        "calibration_images": len(archs) * len(bench.calibration),
        "calibration_seconds": round(float(seconds[0]), 1),
    }
    details = {
        "saving_by_tolerance": {str(f["tolerance_points"]): f["saving"] for f in sampled["by_tolerance"]},
        "error_rate_by_tolerance": {str(f["tolerance_points"]): f["error_rate"] for f in sampled["by_tolerance"]},
        "fresh": fresh(bench, archs, truth, 4 if quick else 12),
        "sampled": sampled,
        "near_front": on_set(near, seeds),
        "resampled": {
            "images": large.correct.shape[1],
            "by_tolerance": [
                {k: v for k, v in figures(large, t, 3).items() if k != "rounds_seed_0"} for t in TOLERANCES[:3]
            ],
        },
    }
    columns_shown = ("tolerance_points", "saving", "saving_min", "error_rate", "front_size", "paired_oracle_saving")
    table = pd.DataFrame(
        [
            {"set": name} | {k: row[k] for k in columns_shown}
            for name in ("sampled", "near_front", "resampled")
            for row in details[name]["by_tolerance"]
        ]
    )
    title = BENCHMARK.title
    return Result(
        summary,
        table,
        details,
        lambda folder: curves(table, folder, "accuracy_budget", title, x="tolerance_points", y="saving", by="set"),
    )


BENCHMARK = Benchmark(
    "accuracy_budget", "Image evaluations saved by the race for the front", "16 subnets, 3 seeds", run, options
)


if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
