"""Choosing a batch by its joint hypervolume improvement."""

from __future__ import annotations

import heapq

import numpy as np
from numpy.typing import NDArray

from hwsearch._typing import FloatArray
from hwsearch.objectives.pareto import cost_hypervolume, reference_point
from hwsearch.searchers.base import Searcher


def search_reference(searcher: Searcher, margin: float = 0.05) -> FloatArray:
    """The reference point of a search in costs (m,): a little worse than the worst measured, and than each limit."""
    values = searcher.values
    point: FloatArray = searcher.costs(reference_point(values, searcher.objectives, margin)[None, :])[0]
    costs = searcher.costs(values)
    for j, objective in enumerate(searcher.objectives):
        if objective.limit is not None and (objective.limit.op == "<=") == (objective.direction == "min"):
            edge = objective.sign * objective.limit.value
            point[j] = min(point[j], edge + margin * max(edge - np.nanmin(costs[:, j]), abs(edge) * margin))
    return point


def greedy_batch(
    costs: FloatArray, front: FloatArray, reference: FloatArray, n: int, allowed: NDArray[np.bool_] | None = None
) -> tuple[list[int], list[float]]:
    """Positions of up to n rows of costs (k, m), one by one those with the largest joint improvement, and their gains.

    front : (f, m) costs that are there already
    reference : (m,) the reference point, in costs
    allowed : (k,) which rows may be chosen for their gain

    The greedy choice has at least 1 - 1/e of the best batch's gain, since hypervolume is submodular (Nemhauser,
    Wolsey, Fisher 1978). For the same reason gains only shrink, so that most need no second look (Minoux 1978).
    Rows without any gain are never chosen.
    """
    current = front[(front < reference).all(axis=1)]
    volume = cost_hypervolume(current, reference)
    inside = (costs < reference).all(axis=1)
    if allowed is not None:
        inside &= allowed
    heap = [(-np.inf, int(i), -1) for i in np.flatnonzero(inside)]  # (minus the gain at most, row, size when computed)
    heapq.heapify(heap)
    chosen: list[int] = []
    gains: list[float] = []
    while heap and len(chosen) < n:
        bound, i, when = heapq.heappop(heap)
        if when != len(chosen):
            with_row = cost_hypervolume(np.concatenate([current, costs[i : i + 1]]), reference)
            heapq.heappush(heap, (volume - with_row, i, len(chosen)))
            continue
        if -bound <= 1e-12 * max(volume, 1e-300):
            break
        chosen.append(i)
        gains.append(-bound)
        current = np.concatenate([current, costs[i : i + 1]])
        volume -= bound
    return chosen, gains


def improvements(front: FloatArray, costs: FloatArray, reference: FloatArray) -> FloatArray:
    """By how much each row of costs (k, m) alone would enlarge the hypervolume of a front (f, m); (k,).

    With one and two objectives for all rows at once, in O(k f); otherwise row by row.
    """
    front = front[(front < reference).all(axis=1)]
    if costs.shape[1] == 1:
        best = min(float(front.min(initial=np.inf)), float(reference[0]))
        return np.asarray(np.maximum(best - costs[:, 0], 0.0))
    if costs.shape[1] == 2:
        front = front[np.lexsort((front[:, 1], front[:, 0]))]
        if len(front):
            front = front[np.r_[True, front[1:, 1] < np.minimum.accumulate(front[:, 1])[:-1]]]
        left, right = np.r_[-np.inf, front[:, 0]], np.r_[front[:, 0], reference[0]]
        ceiling = np.r_[reference[1], front[:, 1]]
        width = np.maximum(right - np.maximum(left, costs[:, :1]), 0.0)
        return np.asarray((width * np.maximum(ceiling - costs[:, 1:], 0.0)).sum(axis=1))
    volume = cost_hypervolume(front, reference)
    out = np.zeros(len(costs))
    for i in np.flatnonzero((costs < reference).all(axis=1)):
        out[i] = cost_hypervolume(np.concatenate([front, costs[i : i + 1]]), reference) - volume
    return out


def expected_batch(
    candidates: FloatArray, fronts: FloatArray, reference: FloatArray, n: int, allowed: NDArray[np.bool_]
) -> tuple[list[int], list[float]]:
    """Positions of up to n candidates, one by one those with the largest mean joint improvement, and these means.

    candidates : (s, k, m) costs of k candidates in s samples
    fronts : (s, f, m) costs of what is there already, in the same samples; infinite ones count for nothing
    allowed : (k,) which candidates may be chosen

    As `greedy_batch`, on samples; none without any gain is chosen.
    """
    there = list(fronts)
    gain = np.where(allowed, 0.0, -1.0)
    chosen: list[int] = []
    gains: list[float] = []

    def measure(places: NDArray[np.intp]) -> None:
        gain[places] = sum(
            improvements(front, sample[places], reference) for front, sample in zip(there, candidates, strict=True)
        ) / len(there)

    vectorised = candidates.shape[2] <= 2
    measure(np.flatnonzero(allowed))
    exact = allowed.copy()  # otherwise the gain is an upper bound, since gains only shrink
    while len(chosen) < n:
        best = int(np.argmax(gain))
        if gain[best] <= 0.0:
            break
        if not exact[best]:
            measure(np.array([best]))
            exact[best] = True
            continue
        chosen.append(best)
        gains.append(float(gain[best]))
        gain[best] = -1.0
        there = [np.concatenate([f, s[best : best + 1]]) for f, s in zip(there, candidates, strict=True)]
        left = np.flatnonzero(gain > 0.0)
        exact[left] = vectorised
        if vectorised:
            measure(left)
    return chosen, gains
