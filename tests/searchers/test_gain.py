"""The lazy greedy batch against the plain greedy batch computed with `hwsearch.objectives.pareto.hypervolume`."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from hwsearch._typing import FloatArray
from hwsearch.objectives.objective import Objective
from hwsearch.objectives.pareto import cost_hypervolume, hypervolume
from hwsearch.searchers.gain import expected_batch, greedy_batch, improvements, search_reference
from hwsearch.searchers.random import RandomSearcher
from hwsearch.testing.toy_spaces import small_space


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


@pytest.mark.parametrize("unit", [1e-9, 1e-160, 1e9])
def test_the_choice_does_not_depend_on_the_unit(unit: float) -> None:
    """Volumes of 1e-18, of less than can be written, and of 1e18: what gains nothing is so by its share of the volume."""
    costs = np.array([[0.5, 0.5], [0.9, 0.1], [0.6, 0.6]])
    front = np.array([[0.7, 0.7]])
    chosen, gains = greedy_batch(costs * unit, front * unit, np.full(2, unit), 3)
    assert chosen == ([0, 1] if unit > 1e-100 else [])
    assert gains == pytest.approx([0.16 * unit**2, 0.04 * unit**2][: len(chosen)])


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


def reference(objectives: list[str], values: list[list[float]]) -> list[float]:
    """The reference point, in costs, of a search that was told these values."""
    searcher = RandomSearcher(small_space(), objectives)
    searcher.tell(searcher.ask(len(values)), values)
    return search_reference(searcher).tolist()


def test_the_reference_is_a_little_worse_than_the_worst_and_than_each_limit() -> None:
    """Worked by hand, with a margin of 0.05 of the range from the best to the worst, or to the limit.

    Latency 5 to 20: 20 + 0.05 * 15; limit 10: 10 + 0.05 * (10 - 5). Accuracy 60 to 80, as costs: -60 + 0.05 * 20; limit 70:
    -70 + 0.05 * (80 - 70).
    """
    told = [[5.0, 60.0], [20.0, 80.0], [15.0, 72.0]]
    assert reference(["latency_ms", "accuracy"], told) == pytest.approx([20.75, -59.0])
    assert reference(["latency_ms <= 10", "accuracy"], told) == pytest.approx([10.25, -59.0])
    assert reference(["latency_ms", "accuracy >= 70"], told) == pytest.approx([20.75, -69.5])
    # a limit on the other side is no edge of what is sought
    assert reference(["min latency_ms >= 10", "accuracy"], told) == pytest.approx([20.75, -59.0])
    assert reference(["latency_ms", "max accuracy <= 70"], told) == pytest.approx([20.75, -59.0])
    # a limit beyond the worst changes nothing
    assert reference(["latency_ms <= 100", "accuracy >= 10"], told) == pytest.approx([20.75, -59.0])


def test_the_margin_of_a_limit_that_hardly_anything_meets_is_a_share_of_the_limit() -> None:
    """Best 9.9, limit 10: not 0.05 * 0.1 beyond it, but 0.05 * 0.05 * 10."""
    told = [[9.9, 60.0], [20.0, 80.0]]
    assert reference(["latency_ms <= 10", "accuracy"], told)[0] == pytest.approx(10.025)
    assert reference(["latency_ms <= 4", "accuracy"], told)[0] == pytest.approx(4.01)


def test_what_lies_on_the_reference_gains_nothing() -> None:
    on_it = np.array([[1.0, 0.2, 0.2], [0.2, 0.2, 0.2]])
    assert improvements(np.empty((0, 3)), on_it, np.ones(3)) == pytest.approx([0.0, 0.8**3])
    assert expected_batch(on_it[None, :1], np.empty((1, 0, 3)), np.ones(3), 1, np.array([True])) == ([], [])
    everything = expected_batch(on_it[None], np.empty((1, 0, 3)), np.ones(3), 2, np.array([True, False]))
    assert everything == ([], [])  # what may not be chosen is not, and what gains nothing neither
