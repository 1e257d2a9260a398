"""The first sample by hand: what a plan takes from a pool with known costs and a known prior."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hwsearch._typing import FloatArray, IntArray
from hwsearch.searchers.bayesian import planning as module
from hwsearch.searchers.bayesian.planning import MaxVariancePlan, plan_first_sample
from hwsearch.spaces import Choice, SearchSpace


class KnownPrior:
    """A prior of one gene: covariances of its values by hand, besides the unit variance of the mean."""

    def __init__(self, covariance: FloatArray) -> None:
        self._covariance = covariance

    def row_features(self, rows: IntArray) -> IntArray:
        return rows[:, 0]

    def average(self, values: IntArray) -> FloatArray:
        return self._covariance[np.ix_(values, values)]


def plan(logs: list[float], covariance: Any, size: int, seed: int = 0) -> list[int]:
    """What is chosen of one gene's values, whose costs are given by their logarithms."""
    space = SearchSpace("one", [Choice("a", tuple(range(len(logs))))])
    prior: Any = KnownPrior(np.asarray(covariance, dtype=np.float64))
    cost = lambda rows: np.exp(np.array(logs)[rows[:, 0]])  # noqa: E731
    rows = plan_first_sample(space, prior, cost, size, np.random.default_rng(seed), space.enumerate_array())
    assert rows.shape[1:] == (1,)
    return rows[:, 0].tolist()


def test_each_variance_is_that_given_what_was_taken() -> None:
    """Two of correlation 0.9: 1 - 0.9^2 / 1.02 is left, and 1 - 1 / 1.02 of the one that was measured itself."""
    taken = MaxVariancePlan(np.array([[1.0, 0.9, 0.0], [0.9, 1.0, 0.0], [0.0, 0.0, 1.0]]))
    taken.take(0)
    assert taken.variance == pytest.approx([1.0 - 1.0 / 1.02, 1.0 - 0.81 / 1.02, 1.0]) and taken.taken == [0]


def test_variances_given_several_are_those_of_linear_algebra() -> None:
    root = np.random.default_rng(0).standard_normal((6, 4))
    kernel, taken = root @ root.T, [4, 1, 3, 4]
    found = MaxVariancePlan(kernel)
    for k in taken:
        found.take(k)
    cross = kernel[:, taken]
    seen = kernel[np.ix_(taken, taken)] + 0.02 * np.eye(len(taken))
    assert found.variance == pytest.approx(np.diag(kernel - cross @ np.linalg.solve(seen, cross.T)))
    assert found.taken == taken


def test_near_a_goal_the_least_known_is_taken() -> None:
    """Logarithms of cost 3 to 11, three to choose: both ends, and near the middle goal of 7, at most 2 away from it.

    Of 5.1, 7 and 8.9 the last is known least. What is known less still lies 3 away, nearer to an end.
    """
    logs = [3.0, 4.0, 5.1, 7.0, 8.9, 10.0, 11.0]
    assert plan(logs, np.diag([1.0, 9.0, 2.0, 1.0, 3.0, 9.0, 1.0]), 3) == [0, 6, 4]
    assert plan(logs, np.diag([1.0, 9.0, 3.0, 1.0, 2.0, 9.0, 1.0]), 3) == [0, 6, 2]


def test_without_any_near_a_goal_the_nearest_is_taken() -> None:
    """Goals 0, 5 and 10 with nothing from 2.5 to 7.5; the nearest to 5 is 2.4, though 1 is known less."""
    assert plan([0.0, 1.0, 2.4, 10.0], np.diag([1.0, 9.0, 1.0, 1.0]), 3) == [0, 3, 2]


def test_goals_lie_evenly_between_the_ends() -> None:
    """Goals 0, 3, 6, 9 and nothing but one more subnet near each; two far from any are left out."""
    for seed in range(4):
        found = plan([0.0, 1.45, 3.0, 4.49, 6.0, 9.0], np.diag([1.0, 1.0, 2.0, 1.0, 2.0, 1.0]), 4, seed)
        assert found[:2] == [0, 5] and sorted(found[2:]) == [2, 4]


def test_none_comes_twice_even_if_it_is_known_least() -> None:
    """With a prior of the mean alone all are known alike, measured or not."""
    for seed in range(4):
        found = plan([0.0, 2.0, 2.1, 2.2, 2.3, 8.0], np.zeros((6, 6)), 5, seed)
        assert len(set(found)) == 5
    # the first end lies on the goal of 5; near it is only the mean of both ends, with half an end's variance
    ends = [[1.0, 0.0, 0.5, 0.0], [0.0, 1.0, 0.0, 0.0], [0.5, 0.0, 0.5, 0.5], [0.0, 0.0, 0.5, 1.0]]
    assert plan([5.0, 0.0, 4.0, 10.0], ends, 3) == [0, 3, 2]


def test_the_mean_has_a_variance_of_one() -> None:
    """What covaries with the ends is known better the more the mean is unknown, what is opposed to them worse.

    Both ends have unit variance. With c, that of the mean, and covariances r of the second and -r of the third with each
    end, the ends tell 2 (c + r)^2 / (2 c + 1.02) of the second and 2 (c - r)^2 / (2 c + 1.02) of the third. For r = 0.3
    the difference, 2.4 c / (2 c + 1.02), is 0 for c = 0, 0.79 for c = 1 and 0.96 for c = 2; so the third is known less
    where the second's own variance is larger by 0.7, and the second where it is larger by 0.9.
    """
    r = 0.3
    covariance = np.array([[1.0, r, -r, 0.0], [r, 1.7, 0.0, r], [-r, 0.0, 1.0, -r], [0.0, r, -r, 1.0]])
    assert plan([0.0, 5.0, 5.1, 10.0], covariance, 3) == [0, 3, 2]
    covariance[1, 1] = 1.9
    assert plan([0.0, 5.0, 5.1, 10.0], covariance, 3) == [0, 3, 1]


def test_costs_below_one_and_of_nothing_are_spread_on_a_log_scale() -> None:
    logs = [-9.0, -8.0, -5.1, -2.9, -1.0]
    assert plan(logs, np.diag([1.0, 9.0, 1.0, 9.0, 1.0]), 3) == [0, 4, 2]
    with np.errstate(all="raise"):  # a cost of 0 counts as 1e-12, whose logarithm is -27.6
        assert plan([-np.inf, -26.0, -13.0, -1.0, 0.0], np.diag([1.0, 9.0, 1.0, 9.0, 1.0]), 3) == [0, 4, 2]


def test_the_smallest_samples_are_the_ends() -> None:
    """And nothing is drawn for them: the random numbers stay as they were."""
    space = SearchSpace("chain", [Choice(f"w[{i}]", (1, 2, 3)) for i in range(3)])
    prior: Any = None  # not asked for
    rng = np.random.default_rng(0)
    before = rng.bit_generator.state
    for size in (1, 2):
        for whole in (None, space.enumerate_array()):
            found = plan_first_sample(space, prior, lambda rows: rows.sum(axis=1) + 1.0, size, rng, whole)
            assert found.tolist() == [[0, 0, 0], [2, 2, 2]][:size]
    assert rng.bit_generator.state == before


def test_a_sample_of_a_small_space_is_the_whole_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a pool would be smaller; the ends come first."""
    monkeypatch.setattr(module, "POOL", 4)
    for size in (9, 10):
        found = plan([float(k) for k in range(9)], np.eye(9), size)
        assert found[:2] == [0, 8] and sorted(found) == list(range(9))


def test_a_sample_of_a_listed_space_comes_from_a_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a hundred, the ends and at most five others, however many are asked for; which ones is drawn."""
    monkeypatch.setattr(module, "POOL", 5)
    found = [plan([float(k) for k in range(100)], np.eye(100), 50, seed) for seed in range(3)]
    assert all(f[:2] == [0, 99] and len(set(f)) == len(f) and 6 <= len(f) <= 7 for f in found)
    assert len({tuple(sorted(f)) for f in found}) == 3


def test_the_pool_of_a_large_space_is_drawn_in_five_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 10^64 architectures: parts of 100, each with the two ends, which count once; few others come twice."""
    monkeypatch.setattr(module, "POOL", 500)
    space = SearchSpace("chain", [Choice(f"w[{i}]", tuple(range(10))) for i in range(64)])
    priced: list[int] = []

    class Alike:
        def row_features(self, rows: IntArray) -> IntArray:
            return rows

        def average(self, rows: IntArray) -> FloatArray:
            return np.zeros((len(rows), len(rows)))

    def cost(rows: IntArray) -> FloatArray:
        priced.append(len(rows))
        return np.asarray(rows.sum(axis=1) + 100.0)

    prior: Any = Alike()
    found = plan_first_sample(space, prior, cost, 20, np.random.default_rng(0), None)
    assert 440 < priced[-1] <= 2 + 5 * 98
    assert len(found) == 20 and (found[0] == 0).all() and (found[1] == 9).all()
