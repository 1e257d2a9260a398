"""The lazy greedy batch against the plain greedy batch computed with `hwsearch.front.hypervolume`."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from hwsearch.front import hypervolume
from hwsearch.objective import Objective
from hwsearch.search.gain import greedy_batch

FloatArray = NDArray[np.float64]


def plain(
    costs: FloatArray, front: FloatArray, reference: FloatArray, n: int, allowed: NDArray[np.bool_]
) -> list[float]:
    """Gains of the plain greedy choice, all candidates tried each time."""
    objectives = [Objective(f"c{j}", "min") for j in range(costs.shape[1])]
    current, gains = front, []
    for _ in range(n):
        volume = hypervolume(current, objectives, reference)
        tried = [
            hypervolume(np.vstack([current, c]), objectives, reference) - volume if ok else 0.0
            for c, ok in zip(costs, allowed, strict=True)
        ]
        if max(tried) <= 1e-12 * volume:
            break
        gains.append(max(tried))
        current = np.vstack([current, costs[int(np.argmax(tried))]])
    return gains


@pytest.mark.parametrize("m", [1, 2, 3, 4])
def test_lazy_choice_is_the_plain_greedy_choice(m: int) -> None:
    rng = np.random.default_rng(m)
    for size in (0, 12):
        costs, front = rng.random((30, m)) ** 2, 0.2 + rng.random((size, m))
        allowed = rng.random(30) < 0.8
        reference = np.full(m, 0.9)
        chosen, gains = greedy_batch(costs, front, reference, 8, allowed)
        assert gains == pytest.approx(plain(costs, front, reference, 8, allowed), rel=1e-9)
        assert len(set(chosen)) == len(chosen) == len(gains)
        assert allowed[chosen].all()
        objectives = [Objective(f"c{j}", "min") for j in range(m)]
        total = hypervolume(np.vstack([front, costs[chosen]]), objectives, reference)
        before = hypervolume(front, objectives, reference)
        assert sum(gains) == pytest.approx(total - before)


def test_rows_without_gain_are_not_chosen() -> None:
    costs = np.array([[0.5, 0.5], [0.6, 0.6], [2.0, 0.1], [0.5, 0.5]])
    assert greedy_batch(costs, np.empty((0, 2)), np.ones(2), 4)[0] == [0]
    assert greedy_batch(costs, np.array([[0.4, 0.4]]), np.ones(2), 4) == ([], [])
