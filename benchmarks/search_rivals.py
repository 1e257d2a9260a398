"""Rivals with other settings than their defaults, and what bounds each of them: the pool's ceiling, an oracle, one measurement of all."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

from benchmarks.search_task import Best, Task, ordinal_sum
from benchmarks.search_tasks import load
from hwsearch._typing import FloatArray, IntArray
from hwsearch.objectives.pareto import non_dominated
from hwsearch.searchers.gain import greedy_batch


def cost_of(task: Task) -> Callable[[IntArray], FloatArray]:
    """Return what a pool is balanced over: MACs, the first of what is known without measuring; else the sum of the genes' places."""
    known = task.known
    if known is None:
        return lambda rows: ordinal_sum(task.space, rows)
    return lambda rows: np.asarray(known(rows)[:, 0], dtype=np.float64)


#: names of the benchmark's own to a tactic and its options
VARIANTS: dict[str, tuple[str, Callable[[Task], dict[str, object]]]] = {
    # the pool is not limited to what uniform genes give: its ceiling on ofa is higher
    "weaknas-balanced": ("weaknas", lambda task: {"balance": cost_of(task)}),
    # the predictor that Wu et al. (2021) have on NAS-Bench-201: four layers of 1,000
    "weaknas-mlp": ("weaknas", lambda task: {"predictor": "mlp"}),
    # learned partitions with BoTorch's acquisition within the region; needs the package botorch
    "lamoo-qnehvi": ("lamoo", lambda task: {"sampler": "qnehvi"}),
    # a population that fits a few hundred evaluations
    "nsga2-20": ("nsga2", lambda task: {"population": 20, "mutation": 1.5 / len(task.space.choices)}),
}


def tactic_of(name: str) -> str:
    """Return the tactic behind a name of the benchmark, such as ``nsga2`` behind ``nsga2-20+start``."""
    bare = name.partition("+")[0]
    return VARIANTS[bare][0] if bare in VARIANTS else bare


def options_of(name: str, task: Task) -> dict[str, object]:
    """Return the options that a name of the benchmark stands for."""
    bare = name.partition("+")[0]
    return VARIANTS[bare][1](task) if bare in VARIANTS else {}


def share(task: Task, true: FloatArray, measured: FloatArray, best: Best) -> float:
    """Compute the share of the best known hypervolume that the true values (n, m) of what is non-dominated as measured have."""
    return task.volume(true[non_dominated(measured, task.parsed)]) / best.volume


def pool_volume(task: Task, pool: IntArray) -> float:
    """Compute the hypervolume that a pool would have, were each member measured without noise: no tactic on it can have more."""
    true = task.true(pool)
    return task.volume(true[non_dominated(true, task.parsed)])


@cache
def all_once(name: str, seed: int) -> float:
    """Compute the hypervolume of the true values of what is non-dominated when all of a listed space is measured once."""
    task = load(name)
    rows = task.space.enumerate_array()
    true = task.true(rows)
    return task.volume(true[non_dominated(task.measure(rows, seed), task.parsed)])


def oracle(task: Task, best: Best, counts: tuple[int, ...], seed: int) -> dict[int, float]:
    """Return the share of one that knows the true front and measures its best members once.

    Members are taken by the largest joint hypervolume; the noise of measuring them once is what it loses. A run that
    finds nothing better than the best known front cannot be expected to have more.

    Parameters
    ----------
    task : Task
        With two objectives.
    best : Best
        Its best known front.
    counts : tuple of int
        After how many measurements.
    seed : int
        Of the noise.

    Returns
    -------
    dict of int to float
        Count to share; fewer members than a count are measured each once.
    """
    assert task.reference is not None
    nothing = np.empty((0, best.values.shape[1]))
    order, _ = greedy_batch(task.costs(best.values), nothing, task.costs(task.reference[None])[0], max(counts))
    measured = task.measure(best.rows[order], seed)
    true = best.values[order]
    return {n: share(task, true[:n], measured[:n], best) for n in counts}
