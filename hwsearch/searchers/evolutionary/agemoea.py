"""AGE-MOEA: selection by an estimate of the front's shape."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting

from hwsearch._typing import FloatArray, IntArray
from hwsearch.searchers.evolutionary.evolution import survive
from hwsearch.searchers.evolutionary.population import PopulationSearcher, unit_costs

TINY = 1e-9


class AgeMoeaSearcher(PopulationSearcher):
    """AGE-MOEA: survival by proximity and diversity in the norm that fits the front; needs no reference directions.

    Parents compete by rank and crowding. What does not meet the limits follows what does, the least violating first;
    failed measurements come last. The survival is our own, since pymoo's needs numba. Options: `PopulationOptions`.

    References
    ----------
    Panichella 2019, "An adaptive evolutionary algorithm based on non-Euclidean geometry for many-objective
    optimization", doi 10.1145/3321707.3321839.
    """

    name: ClassVar[str] = "age-moea"

    def _select(self, pool: list[int], n: int) -> list[int]:
        values = self.values[pool]
        costs, violation = self.costs(values), self.violation(values)
        feasible = np.flatnonzero(violation == 0)
        if len(feasible) <= n or costs.shape[1] == 1:
            chosen = survive(costs, violation, n, self.rng)
        else:
            chosen = feasible[geometric_survivors(unit_costs(costs[feasible]), n)]
        return [pool[i] for i in chosen]


def geometric_survivors(costs: FloatArray, n: int) -> IntArray:
    """Choose the rows that AGE-MOEA keeps: whole fronts, then the best scores of the front that is cut.

    In the first front a score is diversity over proximity, the extremes first; in later ones it is the inverse
    distance to the ideal point.

    Parameters
    ----------
    costs : ndarray (k, m)
        Smaller is better; m >= 2, finite.
    n : int
        How many to keep, at most k.

    Returns
    -------
    ndarray of int (n,)
        Positions of the rows kept.
    """
    fronts = NonDominatedSorting().do(costs, n_stop_if_ranked=n)
    ideal = costs[fronts[0]].min(axis=0)
    first = costs[fronts[0]] - ideal
    extremes = _extremes(first)
    scale = _intercepts(first, extremes)
    power = _power(first / scale, extremes)
    kept = np.concatenate(fronts[:-1]).astype(np.int64) if len(fronts) > 1 else np.empty(0, dtype=np.int64)
    last = (costs[fronts[-1]] - ideal) / scale
    if len(fronts) == 1:
        order = _diverse(last, extremes, power)
    else:
        order = np.argsort(_norm(last, power), kind="stable")
    return np.concatenate([kept, fronts[-1][order[: n - len(kept)]]])


def _norm(vectors: FloatArray, power: float) -> FloatArray:
    return np.asarray((np.abs(vectors) ** power).sum(axis=-1) ** (1.0 / power))


def _extremes(front: FloatArray) -> IntArray:
    """Find for each axis the row nearest to it; a row once."""
    found: list[int] = []
    for axis in range(front.shape[1]):
        off = np.delete(front, axis, axis=1)
        distance = (off**2).sum(axis=1)
        distance[found] = np.inf
        if np.isfinite(distance).any():
            found.append(int(np.argmin(distance)))
    return np.array(found, dtype=np.int64)


def _intercepts(front: FloatArray, extremes: IntArray) -> FloatArray:
    """Find where the plane through the extremes meets the axes; the largest costs where there is no such plane."""
    largest = np.maximum(front.max(axis=0), TINY)
    corners = front[extremes]
    if len(corners) < front.shape[1] or np.linalg.cond(corners) > 1 / TINY:
        return largest
    plane = np.linalg.solve(corners, np.ones(len(corners)))
    return np.asarray(1.0 / plane) if (plane > TINY).all() else largest


def _power(front: FloatArray, extremes: IntArray) -> float:
    """Find the exponent p for which the row nearest to the diagonal has a p-norm of one."""
    middle = np.delete(front, extremes, axis=0)
    if not len(middle):
        return 1.0
    off = ((middle - middle.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
    mean = float(middle[int(np.argmin(off))].mean())
    if not TINY < mean < 1.0 - TINY:
        return 1.0
    return float(np.clip(np.log(front.shape[1]) / -np.log(mean), 0.1, 20.0))


def _diverse(front: FloatArray, extremes: IntArray, power: float) -> IntArray:
    """Order rows by selection: the extremes, then always the one farthest from those selected.

    Farthest is the one whose two nearest selected rows are farthest away, in units of its own distance to the ideal point.
    """
    proximity = np.maximum(_norm(front, power), TINY)
    near = np.full((len(front), 2), np.inf)  # distances to the two nearest selected rows
    order: list[int] = []
    free = np.ones(len(front), dtype=bool)
    while len(order) < len(front):
        if len(order) < len(extremes):
            best = int(extremes[len(order)])
        else:
            total = np.where(np.isfinite(near), near, 0.0).sum(axis=1) / proximity
            best = int(np.argmax(np.where(free, total, -1.0)))
        order.append(best)
        free[best] = False
        near = np.sort(np.column_stack([near, _norm(front - front[best], power)]), axis=1)[:, :2]
    return np.array(order, dtype=np.int64)
