"""A task of the search benchmark: what is measured, with which noise, and the best front known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from hwsearch._typing import FloatArray, IntArray
from hwsearch.objectives.objective import Objective, signs
from hwsearch.objectives.pareto import cost_hypervolume, non_dominated
from hwsearch.searchers.evolutionary.evolution import Mating, evolve, row_keys
from hwsearch.spaces import SearchSpace, TableSpace

DATA = Path(__file__).parent / "data"
OFA_DEVICES = ("v100-b64", "2080ti-b1", "titan-rtx-b32", "v100-b1")
NB201_DEVICES = ("pixel3", "gold-6226", "2080ti-b32", "raspi4")
DATASETS = {"cifar10": "cifar10", "cifar100": "cifar100", "imagenet16": "imagenet16"}
#: input size (px) of the accuracy rows; the latency table has others, too
SIDE = 224
#: noise of one measurement: points of top-1 on ImageNet's validation images; log latency
OFA_NOISE, LATENCY_NOISE = 0.03, 0.01
FOLDS = 5


@dataclass(frozen=True)
class Task:
    """Task of a search: the space, what is true, and what a measurement says.

    true : rows (n, genes) to the noiseless objectives (n, m) in natural units, accuracy in percent first
    spread : rows to the standard deviation (n, m) of a measurement
    reference : of the hypervolume, natural units (m,); None with one objective
    limit : latency (ms) at which accuracies are compared
    known : rows to what a supernet knows of its subnets without measuring, as a campaign has it (costs); for our
        tactic. None: nothing is known beyond the space
    facts : what is known about the data, by name; may take seconds
    """

    name: str
    space: SearchSpace
    objectives: tuple[str, ...]
    true: Callable[[IntArray], FloatArray]
    spread: Callable[[IntArray], FloatArray]
    reference: FloatArray | None = None
    limit: float | None = None
    facts: Callable[[], dict[str, float]] = field(default=dict)
    known: Callable[[IntArray], FloatArray] | None = None

    @property
    def parsed(self) -> list[Objective]:
        return [Objective.parse(text) for text in self.objectives]

    def costs(self, values: FloatArray) -> FloatArray:
        """Turn values (n, m) so that smaller is better."""
        return values * signs(self.parsed)

    def measure(self, rows: IntArray, seed: int) -> FloatArray:
        """Measure each architecture once, (n, m). An architecture has the same value in all runs with this seed."""
        true = self.true(rows)
        noise = [
            np.random.default_rng([seed, int(key) & 0xFFFFFFFF, int(key) >> 32 & 0xFFFFFFFF]).standard_normal(
                true.shape[1]
            )
            for key in row_keys(rows)
        ]
        return np.asarray(true + self.spread(rows) * np.array(noise).reshape(true.shape))

    def volume(self, values: FloatArray) -> float:
        """Compute the hypervolume of values (n, m) against `reference`."""
        assert self.reference is not None
        return cost_hypervolume(self.costs(values), self.costs(self.reference[None])[0])


@dataclass(frozen=True)
class Best:
    """The best that is known of a task: rows on the front, their true values, and their hypervolume or best value."""

    rows: IntArray
    values: FloatArray
    volume: float


def cut_down(task: Task, size: int) -> Task:
    """Restrict the task to a table of `size` of its architectures, uniformly drawn."""
    rng = np.random.default_rng(0)
    if task.space.cardinality <= 1_000_000:
        rows = rng.permutation(task.space.enumerate_array())[:size]
    else:
        rows = task.space.sample_array(size, rng)
    space = TableSpace(f"{task.space.name}#{size}", task.space.choices, rows)
    return Task(
        f"{task.name}#{size}",
        space,
        task.objectives,
        task.true,
        task.spread,
        task.reference,
        task.limit,
        lambda: {**task.facts(), "architectures": space.cardinality},
        task.known,
    )


def best_known(task: Task, seeds: int = 4, population: int = 400, generations: int = 400) -> Best:
    """Find the exact front of a space that can be listed; else the union of long noiseless evolutions and a local search.

    The local search measures all neighbours of all front members until none enters the front.
    """
    if task.space.cardinality <= 1_000_000:
        return _best_of(task, task.space.enumerate_array())

    def score(rows: IntArray) -> tuple[FloatArray, FloatArray]:
        return task.costs(task.true(rows)), np.zeros(len(rows))

    best: Best | None = None
    for seed in range(seeds):
        rng = np.random.default_rng([seed, 0xBE57])
        start = task.space.sample_balanced_array(population, rng, lambda rows: ordinal_sum(task.space, rows))
        rows, _, _ = evolve(
            task.space,
            score,
            start,
            population=population,
            evaluations=population * generations,
            mating=Mating(),
            rng=rng,
        )
        best = _best_of(task, rows if best is None else np.concatenate([best.rows, rows]))
    assert best is not None
    done: set[bytes] = set()
    while True:
        new = [row for row in best.rows if row.tobytes() not in done]
        if not new:
            return best
        done |= {row.tobytes() for row in new}
        around = np.concatenate([task.space.neighbours_array(row) for row in new])
        best = _best_of(task, np.concatenate([best.rows, around]))


def _best_of(task: Task, rows: IntArray) -> Best:
    values = task.true(rows)
    keep = non_dominated(values, task.parsed)
    rows, values = rows[keep], values[keep]
    return Best(rows, values, task.volume(values) if task.reference is not None else float(values.max()))


def ordinal_sum(space: SearchSpace, rows: IntArray) -> FloatArray:
    """Return the sum of the genes' places, as a cost (n,): what a start is balanced over where nothing is known."""
    return np.asarray(space.encode_array(rows, "ordinal").sum(axis=1))
