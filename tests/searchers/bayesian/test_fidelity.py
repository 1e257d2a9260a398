"""Gain of the front per second: by hand, by brute force, and where one level is plainly the right one."""

from __future__ import annotations

import numpy as np
import pytest

from hwsearch.errors import SearchError
from hwsearch.searchers.bayesian.fidelity import Beliefs, allocate, standard_draws
from hwsearch.searchers.bayesian.plumb import PlumbSearcher
from hwsearch.searchers.fidelities import Fidelities
from hwsearch.spaces import Choice, SearchSpace

REFERENCE = np.array([1.0, 1.0])
INF = np.inf


def beliefs(mean: list[list[float]], deviation: float, correlation: float = 0.0) -> Beliefs:
    """An uncertain first objective in units of its costs, and a second one that is computed."""
    k = len(mean)
    covariance = deviation**2 * (correlation + (1 - correlation) * np.eye(k))
    return Beliefs(np.array(mean), [covariance, None], np.array([1e-6, 0.0]), lambda t: t)


def fidelities(k: int, noise: list[float], seconds: list[float], reached: int = -1) -> Fidelities:
    """Nested levels; completing takes as long after a lower one as at once."""
    took = np.array(seconds)
    left = np.tile(np.where(np.arange(len(noise)) <= reached, INF, took), (k, 1))
    levels = np.column_stack([noise, np.zeros(len(noise))])
    rest = np.tile(np.where(np.arange(len(noise)) < len(noise) - 1, took[-1], 0.0), (k, 1))
    return Fidelities(levels, left, rest, np.full(k, reached))


def chosen(b: Beliefs, f: Fidelities, budget: float, price: float = 0.005) -> list[tuple[int, int]]:
    front = np.array([[0.9, 0.1]])
    return allocate(b, front, REFERENCE, f, budget, price, lambda c: np.ones(len(c), dtype=bool))


def test_draws_are_standard() -> None:
    drawn = standard_draws(64, 2)
    assert abs(drawn.mean(axis=0)).max() < 1e-12 and drawn.std(axis=0) == pytest.approx(1.0)
    assert abs(np.corrcoef(drawn.T)[0, 1]) < 0.15


def test_learning_conditions_as_a_normal_distribution_does() -> None:
    root = np.random.default_rng(0).standard_normal((4, 4))
    whole = root @ root.T
    b = Beliefs(np.zeros((4, 1)), [whole.copy()], np.zeros(1), lambda t: t)
    b.learn(2, np.array([0.5]))
    expected = whole - np.outer(whole[:, 2], whole[2]) / (whole[2, 2] + 0.5)
    assert b.covariance[0] == pytest.approx(expected)
    before = b.variance()
    b.learn(1, np.array([INF]))
    assert (b.variance() == before).all()


def test_few_images_first_where_they_tell_nearly_all_for_a_tenth_of_the_time() -> None:
    """And completing is worth its time only where they turn out well."""
    many = [[0.9 - 0.1 * i, 0.15 + 0.1 * i] for i in range(8)]
    picks = chosen(beliefs(many, 0.2), fidelities(8, [0.02, 0.0], [1.0, 10.0]), 5.0, price=0.004)
    assert picks == [(k, 0) for k in range(len(picks))] and len(picks) >= 3


def test_what_is_sure_to_be_completed_is_measured_at_once() -> None:
    b = beliefs([[0.2, 0.3]], 0.02)
    assert chosen(b, fidelities(1, [0.002, 0.0], [1.0, 10.0]), 10.0, price=1e-4) == [(0, 1)]


@pytest.mark.parametrize(
    ("noise", "seconds"),
    [
        ([3.0, 0.0], [1.0, 10.0]),  # tells next to nothing
        ([0.3, 0.0], [9.0, 10.0]),  # takes nearly as long: recalibration
        ([INF, 0.0], [0.1, 10.0]),  # tells nothing that is not known
    ],
)
def test_all_images_at_once_where_few_tell_too_little_for_their_time(noise, seconds) -> None:
    picks = chosen(beliefs([[0.8, 0.3], [0.8, 0.4]], 0.3), fidelities(2, noise, seconds), 20.0)
    assert picks == [(0, 1), (1, 1)]


@pytest.mark.parametrize(("mean", "deviation", "price"), [(0.8, 0.3, 0.02), (0.3, 0.1, 0.001), (0.8, 0.3, 0.0001)])
def test_the_worth_of_a_level_is_that_of_its_option(mean, deviation, price) -> None:
    """One objective is certain, the other told exactly by the lower level: the choice is that of a simulation."""
    drawn = mean + deviation * np.random.default_rng(0).standard_normal(200_000)
    gained = np.maximum(0.9 - drawn, 0.0) * 0.7  # left of the front at (0.9, 0.1), up to the reference
    few, every = np.maximum(gained - 10.0 * price, 0.0).mean() - price, gained.mean() - 10.0 * price
    assert abs(few - every) > 0.1 * price and max(few, every) > 0
    f = fidelities(1, [1e-6, 0.0], [1.0, 10.0])
    assert chosen(beliefs([[mean, 0.3]], deviation), f, 5.0, price) == [(0, 0 if few > every else 1)]


def test_what_promises_nothing_is_left_out_and_time_goes_to_the_next() -> None:
    b = beliefs([[0.5, 0.3], [0.99, 0.4], [0.6, 0.2]], 0.02)
    assert chosen(b, fidelities(3, [0.0], [10.0]), 20.0, price=0.001) == [(0, 0), (2, 0)]


def test_what_one_tells_of_another_is_not_asked_again() -> None:
    """Two candidates that are one: after the first the second promises nothing beyond it."""
    b = beliefs([[0.8, 0.3], [0.8, 0.3], [0.8, 0.2]], 0.2)
    covariance = b.covariance[0]
    assert covariance is not None
    covariance[0, 1] = covariance[1, 0] = 0.04
    assert chosen(b, fidelities(3, [0.0], [1.0]), 2.0) == [(0, 0), (2, 0)]


def test_what_was_seen_on_the_way_is_not_counted_twice() -> None:
    """Level 1 has nothing to add to level 0, which has the same error."""
    f = Fidelities(
        np.array([[0.2, 0.0], [0.2, 0.0], [0.0, 0.0]]),
        np.array([[INF, 0.1, 9.0]]),
        np.array([[9.0, 9.0, 0.0]]),
        np.array([0]),
    )
    assert chosen(beliefs([[0.8, 0.3]], 0.2), f, 1.0, price=0.02) == [(0, 2)]


@pytest.mark.parametrize(
    ("noise", "seconds"), [([[-1.0]], [[1.0]]), ([[np.nan]], [[1.0]]), ([[0.0]], [[0.0]]), ([[0.0]], [[1.0, 2.0]])]
)
def test_bad_levels_are_refused(noise, seconds) -> None:
    with pytest.raises(SearchError):
        Fidelities(np.array(noise), np.array(seconds), np.zeros((1, 1)), np.array([-1]))


# ---------------------------------------------------------------------- through the tactic
def searcher(told: int, **options) -> PlumbSearcher:
    space = SearchSpace("chain", [Choice(f"w[{i}]", (1, 2, 3, 4)) for i in range(8)])
    made = PlumbSearcher(space, ["max accuracy", "min latency_ms"], seed=0, inner_evaluations=2000, **options)
    archs = made.ask(told)
    made.tell(archs, [truth(a) for a in archs])
    return made


def truth(arch) -> list[float]:
    w = np.array([arch.integer(f"w[{i}]") for i in range(8)])
    return [60 + 10 * np.log(w * np.arange(1, 9)).sum() / 8, float(1 + w.sum())]


def levels(cheap: float):
    def of(archs) -> Fidelities:
        k = len(archs)
        noise = np.array([[0.05, 0.0], [0.0, 0.0]])
        return Fidelities(noise, np.tile([cheap, 10.0], (k, 1)), np.full((k, 2), [10.0, 0.0]), np.full(k, -1))

    return of


def test_the_tactic_spends_its_budget_on_new_architectures() -> None:
    made = searcher(12)
    picks = made.allocate([], levels(1.0), 40.0)
    took = sum(1.0 if level == 0 else 10.0 for _, level in picks)
    assert 0.0 < took <= 45.0 and not any(made.is_known(a) for a, _ in picks)
    assert len({a.id for a, _ in picks}) == len(picks)
    assert made.info.round == 1 and made.info.expected_gain is not None and made.info.expected_gain > 0
    again = searcher(12).allocate([], levels(1.0), 40.0)
    assert [(a.id, k) for a, k in again] == [(a.id, k) for a, k in picks]


def test_before_anything_is_predicted_all_is_measured_completely() -> None:
    made = searcher(2)
    begun = made.space.sample(3, np.random.default_rng(5))
    picks = made.allocate(begun, levels(1.0), 45.0)
    assert [a.id for a, _ in picks[:3]] == [a.id for a in begun] and {k for _, k in picks} == {-1} and len(picks) == 5


def test_a_budget_of_nothing_is_refused() -> None:
    with pytest.raises(SearchError, match="budget of a round must be positive, got 0"):
        searcher(8).allocate([], levels(1.0), 0.0)


def test_limits_that_nothing_meets_lead_to_what_comes_nearest() -> None:
    space = SearchSpace("chain", [Choice(f"w[{i}]", (1, 2, 3, 4)) for i in range(8)])
    made = PlumbSearcher(space, ["max accuracy", "latency_ms <= 2"], seed=0, inner_evaluations=2000)
    archs = made.ask(12)
    made.tell(archs, [truth(a) for a in archs])
    picks = made.allocate([], levels(1.0), 20.0)
    assert len(picks) == 2 and {k for _, k in picks} == {1}
