"""Choose a batch by its joint hypervolume improvement."""

from __future__ import annotations

import heapq

import numpy as np
from numpy.typing import NDArray

from hwsearch._typing import FloatArray
from hwsearch.objectives.pareto import cost_hypervolume, reference_point
from hwsearch.searchers.base import Searcher


def search_reference(searcher: Searcher, values: FloatArray | None = None, margin: float = 0.05) -> FloatArray:
    """Compute the reference point of a search: a little worse than the worst measured, and than each limit.

    Parameters
    ----------
    searcher : Searcher
        What was told.
    values : ndarray (n, m), optional
        Natural units, in place of the told ones.
    margin : float
        How much worse, as a share of the range.

    Returns
    -------
    ndarray (m,)
        In costs (smaller is better).
    """
    values = searcher.values if values is None else values
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
    """Choose rows one by one by the largest joint hypervolume improvement.

    The greedy choice has at least 1 - 1/e of the best batch's gain, since hypervolume is submodular. For the same
    reason gains only shrink, so that most need no second look. Rows without any gain are never chosen.

    Parameters
    ----------
    costs : ndarray (k, m)
        Smaller is better.
    front : ndarray (f, m)
        Costs that are there already.
    reference : ndarray (m,)
        Reference point, in costs.
    n : int
        How many at most.
    allowed : ndarray of bool (k,), optional
        Which rows may be chosen; default: all.

    Returns
    -------
    chosen : list of int
        Positions of up to n rows.
    gains : list of float
        Their shares of the improvement.

    References
    ----------
    Nemhauser, Wolsey, Fisher 1978, "An analysis of approximations for maximizing submodular set functions".
    Minoux 1978, "Accelerated greedy algorithms for maximizing submodular set functions".

    Examples
    --------
    >>> costs = np.array([[0.5, 0.5], [0.9, 0.1], [0.6, 0.6]])
    >>> greedy_batch(costs, np.empty((0, 2)), np.ones(2), 3)[0]
    [0, 1]
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
    """Compute by how much each row alone would enlarge the hypervolume of a front.

    With one and two objectives for all rows at once, in O(k f); otherwise row by row.

    Parameters
    ----------
    front : ndarray (f, m)
        Costs that are there already; infinite ones count for nothing.
    costs : ndarray (k, m)
        Costs of the rows.
    reference : ndarray (m,)
        Reference point, in costs.

    Returns
    -------
    ndarray (k,)
        Improvements, 0 where there is none.

    Examples
    --------
    >>> improvements(np.array([[0.5, 0.5]]), np.array([[0.25, 0.75], [0.6, 0.6]]), np.ones(2)).tolist()
    [0.0625, 0.0]
    """
    front = front[(front < reference).all(axis=1)]
    if costs.shape[1] == 1:
        best = min(float(front.min(initial=np.inf)), float(reference[0]))
        return np.asarray(np.maximum(best - costs[:, 0], 0.0))
    if costs.shape[1] == 2:
        front = front[np.lexsort((front[:, 1], front[:, 0]))]
        if len(front):
            lowest = np.minimum.accumulate(front[:, 1])
            front = front[np.concatenate(([True], lowest[1:] < lowest[:-1]))]
        left, right = np.concatenate(([-np.inf], front[:, 0])), np.concatenate((front[:, 0], reference[:1]))
        ceiling = np.concatenate((reference[1:], front[:, 1]))
        width = np.maximum(right - np.maximum(left, costs[:, :1]), 0.0)
        return np.asarray((width * np.maximum(ceiling - costs[:, 1:], 0.0)).sum(axis=1))
    volume = cost_hypervolume(front, reference)
    out = np.zeros(len(costs))
    for i in np.flatnonzero((costs < reference).all(axis=1)):
        out[i] = cost_hypervolume(np.concatenate([front, costs[i : i + 1]]), reference) - volume
    return out


def expected_batch(
    candidates: FloatArray,
    fronts: FloatArray,
    reference: FloatArray,
    n: int,
    allowed: NDArray[np.bool_],
    seconds: FloatArray | None = None,
) -> tuple[list[int], list[float]]:
    """Choose candidates one by one by the largest mean joint improvement over posterior samples.

    As `greedy_batch`, on samples; none without any gain is chosen.

    Parameters
    ----------
    candidates : ndarray (s, k, m)
        Costs of k candidates in s samples; infinite ones improve nothing.
    fronts : ndarray (s, f, m)
        Costs of what is there already, in the same samples; infinite ones count for nothing.
    reference : ndarray (m,)
        Reference point, in costs.
    n : int
        How many at most.
    allowed : ndarray of bool (k,)
        Which candidates may be chosen.
    seconds : ndarray (k,), optional
        What each takes: the gain per second decides in place of the gain.

    Returns
    -------
    chosen : list of int
        Positions of up to n candidates.
    gains : list of float
        Their shares of the expected improvement.

    References
    ----------
    Daulton, Balandat, Bakshy 2021, "Parallel Bayesian optimization of multiple noisy objectives with expected
    hypervolume improvement", arXiv 2105.08195.
    """
    there = list(fronts)
    gain = np.zeros(len(allowed))  # what may not be chosen gains nothing
    chosen: list[int] = []
    gains: list[float] = []

    def measure(places: NDArray[np.intp]) -> None:
        gain[places] = sum(
            improvements(front, sample[places], reference) for front, sample in zip(there, candidates, strict=True)
        ) / len(there)

    together = 32 if candidates.shape[2] <= 2 else 1  # as many cost about as much as one
    measure(np.flatnonzero(allowed))
    exact = allowed.copy()  # otherwise the gain is an upper bound, since gains only shrink
    while len(chosen) < n:
        best = int(np.argmax(gain if seconds is None else gain / seconds))
        if gain[best] <= 0.0:
            break
        if not exact[best]:
            doubtful = np.flatnonzero(~exact & (gain > 0.0))
            order = gain if seconds is None else gain / seconds
            doubtful = doubtful[np.argsort(-order[doubtful], kind="stable")[:together]]
            measure(doubtful)
            exact[doubtful] = True
            continue
        chosen.append(best)
        gains.append(float(gain[best]))
        gain[best] = 0.0
        there = [np.concatenate([f, s[best : best + 1]]) for f, s in zip(there, candidates, strict=True)]
        exact[gain > 0.0] = False
    return chosen, gains
