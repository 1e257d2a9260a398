"""Choosing a batch by its joint hypervolume improvement."""

from __future__ import annotations

import heapq

import numpy as np
from numpy.typing import NDArray

from hwsearch.front import cost_hypervolume

FloatArray = NDArray[np.float64]


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
