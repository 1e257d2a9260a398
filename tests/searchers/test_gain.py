"""The lazy greedy batch against the plain greedy batch computed with `hwsearch.objectives.pareto.hypervolume`."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from hwsearch._typing import FloatArray
from hwsearch.objectives.objective import Objective
from hwsearch.objectives.pareto import cost_hypervolume, hypervolume
from hwsearch.searchers.gain import expected_batch, greedy_batch, improvements


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


@pytest.mark.parametrize("objectives", [1, 2, 3])
def test_improvements_are_differences_of_hypervolume(objectives: int) -> None:
    rng = np.random.default_rng(objectives)
    reference = np.full(objectives, 1.0)
    for size in (0, 1, 12):
        front, costs = rng.random((size, objectives)) * 1.2, rng.random((30, objectives)) * 1.2
        before = cost_hypervolume(front, reference)
        expected = [cost_hypervolume(np.concatenate([front, c[None]]), reference) - before for c in costs]
        assert improvements(front, costs, reference) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("objectives", [1, 2, 3])
def test_expected_batch_is_the_greedy_one(objectives: int) -> None:
    rng = np.random.default_rng(10 + objectives)
    candidates, fronts = rng.random((5, 20, objectives)), rng.random((5, 6, objectives))
    candidates[0, 3] = np.inf
    reference = np.full(objectives, 1.1)
    allowed = np.arange(20) != 7
    chosen, gains = expected_batch(candidates, fronts, reference, 4, allowed)
    assert 7 not in chosen and len(set(chosen)) == len(chosen)
    taken: list[int] = []
    for k, gain in zip(chosen, gains, strict=True):

        def volume(more: list[int]) -> float:
            rows = [*taken, *more]
            return float(
                np.mean(
                    [
                        cost_hypervolume(np.concatenate([f, c[rows]]), reference)
                        for f, c in zip(fronts, candidates, strict=True)
                    ]
                )
            )

        best = max(volume([j]) - volume([]) for j in range(20) if j not in taken and j != 7)
        assert gain == pytest.approx(best, abs=1e-12)
        assert volume([k]) - volume([]) == pytest.approx(best, abs=1e-12)
        taken.append(k)
