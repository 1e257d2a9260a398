"""The race for the front: always the brute-force front, up to the stated probability, from fewer evaluations."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from hwsearch.accuracy import front_accuracy, race, racing, subnet_score
from hwsearch.errors import DataError, MeasurementError
from hwsearch.supernets.families.mobilenetv3.supernet import ElasticMobileNetV3
from hwsearch.tasks.images import ImageData, ImageTask, Preprocess, from_arrays


def lookup(correct: np.ndarray) -> Callable[[int, np.ndarray], np.ndarray]:
    return lambda i, index: correct[i, index]


def brute_force(costs: np.ndarray, right: np.ndarray) -> list[int]:
    """Members by the definition: nothing is as good in all and better in one; of equals the first."""
    rows = [(*np.atleast_1d(c), -r) for c, r in zip(costs, right, strict=True)]

    def dominates(b: int, a: int) -> bool:
        as_good = all(x <= y for x, y in zip(rows[b], rows[a], strict=True))
        return as_good and (rows[b] != rows[a] or b < a)

    n = len(rows)
    return [a for a in range(n) if not any(dominates(b, a) for b in range(n) if b != a)]


def population(top1: np.ndarray, images: int, rng: np.random.Generator, shared: float = 0.7) -> np.ndarray:
    """Answers (n, N) with exactly these shares right (n,); images are as hard for one subnet as for another."""
    ease = rng.normal(size=images) * shared
    score = ease + rng.normal(size=(len(top1), images)) * np.sqrt(1 - shared**2)
    rank = score.argsort(axis=1).argsort(axis=1)
    return rank >= (images - np.round(top1 * images).astype(int))[:, None]


# ---------------------------------------------------------------------- right
@settings(max_examples=80, deadline=None)
@given(st.data())
def test_without_room_for_error_it_is_the_brute_force_front(data: st.DataObject) -> None:
    n, images, k = (data.draw(st.integers(1, m)) for m in (8, 40, 2))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    correct = rng.random((n, images)) < rng.choice([0.0, 0.3, 0.5, 0.9, 1.0], size=(n, 1))
    correct[rng.integers(n)] = correct[0]
    costs = rng.integers(1, 5, size=(n, k)).astype(float)
    before = costs.copy()
    first = data.draw(st.integers(1, 45))
    result = race(lookup(correct), costs, images=images, rng=rng, error=1e-300, first=first)
    right = correct.sum(axis=1)
    assert sorted(result.front.tolist()) == brute_force(costs, right)
    assert np.array_equal(np.sort(right[result.front]), right[result.front])
    finished = result.seen == images
    assert np.array_equal(result.top1[finished], 100 * right[finished] / images) and finished[result.front].all()
    assert np.isnan(result.top1[result.covered_by >= 0]).all() and np.array_equal(costs, before)


@pytest.mark.parametrize("tolerance", [0.0, 2.0])
@pytest.mark.parametrize("shared", [0.0, 0.8])
def test_the_stated_probability_holds_where_all_subnets_are_nearly_equal(tolerance: float, shared: float) -> None:
    """A ladder of members, each better than the one before by a single image, and as many copies just below."""
    images, error, runs = 250, 0.3, 25
    steps = np.arange(10)
    top1 = 0.6 + np.concatenate([steps, steps - 1]) / images
    costs = np.concatenate([steps, steps + 0.5])
    wrong = 0
    for seed in range(runs):
        rng = np.random.default_rng(seed)
        correct = population(top1, images, rng, shared)
        right = correct.sum(axis=1)
        result = race(
            lookup(correct), costs, images=images, rng=rng, error=error, tolerance=tolerance, first=20, growth=1.3
        )
        front = result.front.tolist()
        ahead = [right[a] - max(right[b] for b in front if costs[b] <= costs[a]) for a in range(len(costs))]
        bounded = (100 * right / images <= result.bound + 1e-9).all()
        same = tolerance > 0 or sorted(front) == brute_force(costs, right)
        wrong += not (bounded and same and max(ahead) <= tolerance * images / 100)
    assert wrong <= stats.binom(runs, error).ppf(0.999)


@pytest.mark.parametrize("shared", [0.0, 0.9])
def test_the_capital_against_a_true_hypothesis_is_a_martingale(shared: float) -> None:
    """At the boundary, where the subnet reaches the goal exactly, the expected capital stays 1 at every round.

    The first images are such that the subnet seems better than it is: predictions may be wrong, the capital not.
    """
    images, runs = 60, 1500
    correct = population(np.array([0.6, 0.5, 37 / 60]), images, np.random.default_rng(3), shared)
    costs = np.array([[1.0], [2.0], [3.0]])
    capital = np.empty((runs, 2))
    for seed in range(runs):
        one = racing._Race(lookup(correct), costs, images, np.random.default_rng(seed), 1e-300, 0.0)
        one._look(np.flatnonzero(correct[2])[:10])
        one._finish(np.array([0, 1]))
        for k, size in enumerate((18, 5)):
            one._play_round(size)
            capital[seed, k] = np.exp(np.logaddexp.reduce(one.log_capital[2]))
    error = capital.std(axis=0) / np.sqrt(runs)
    assert (error < 0.1).all() and (capital.std(axis=0) > 0.2).all()
    np.testing.assert_array_less(np.abs(capital.mean(axis=0) - 1), 4 * error)


def test_with_tolerance_every_subnet_is_covered_and_every_bound_holds() -> None:
    rng = np.random.default_rng(0)
    top1 = np.clip(np.linspace(0.5, 0.8, 60) + rng.normal(size=60) * 0.02, 0, 1)
    correct, costs = population(top1, 2000, rng), np.arange(60.0)
    right = correct.sum(axis=1)
    exact = race(lookup(correct), costs, images=2000, rng=np.random.default_rng(1))
    loose = race(lookup(correct), costs, images=2000, rng=np.random.default_rng(1), tolerance=3.0)
    assert loose.evaluations < exact.evaluations and len(loose.front) < len(exact.front)
    assert sorted(exact.front.tolist()) == brute_force(costs, right)
    for result in (exact, loose):
        dropped = np.flatnonzero(result.covered_by >= 0)
        by = result.covered_by[dropped]
        assert len(dropped) > 15 and (costs[by] <= costs[dropped]).all() and (result.seen[by] == 2000).all()
        assert (result.bound[dropped] <= result.top1[by] + result.tolerance + 1e-9).all()
        assert (100 * right / 2000 <= result.bound + 1e-9).all()
        assert all(
            right[a] <= max(right[b] for b in result.front if costs[b] <= costs[a]) + 20 * result.tolerance
            for a in range(60)
        )


# ---------------------------------------------------------------------- cheap
def test_clearly_dominated_subnets_see_few_images_and_no_image_twice() -> None:
    rng = np.random.default_rng(0)
    top1 = np.concatenate([[0.7, 0.75, 0.8], np.full(57, 0.5)])
    costs = np.concatenate([[1.0, 2.0, 3.0], np.full(57, 4.0)])
    correct = population(top1, 4000, rng)
    looked = np.zeros(correct.shape, dtype=int)

    def answers(i: int, index: np.ndarray) -> np.ndarray:
        looked[i, index] += 1
        return correct[i, index]

    result = race(answers, costs, images=4000, rng=rng)
    assert sorted(result.front.tolist()) == [0, 1, 2] == sorted(np.flatnonzero(result.seen == 4000).tolist())[:3]
    assert looked.max() == 1 and np.array_equal(looked.sum(axis=1), result.seen)
    assert result.evaluations == looked.sum() and result.saving == correct.size / looked.sum()
    assert np.median(result.seen) < 600 and result.saving > 5
    images = [r.images for r in result.rounds]
    assert images == sorted(images) and all(r.racing + r.finished + r.dropped == 60 for r in result.rounds)
    again = race(lookup(correct), costs, images=4000, rng=np.random.default_rng(5))
    repeat = race(lookup(correct), costs, images=4000, rng=np.random.default_rng(5))
    assert np.array_equal(again.seen, repeat.seen) and again.rounds == repeat.rounds


# ---------------------------------------------------------------------- failures
def test_a_subnet_that_cannot_be_evaluated_is_set_aside() -> None:
    rng = np.random.default_rng(0)
    correct = population(np.array([0.6, 0.9, 0.7, 0.95, 0.65]), 500, rng)
    calls = {3: 0, 1: 0}

    def answers(i: int, index: np.ndarray) -> np.ndarray:
        if i in calls:
            calls[i] += 1
            if calls[i] == (1 if i == 3 else 2):
                raise MeasurementError(f"outputs of {i} are not finite.")
        return correct[i, index]

    result = race(answers, np.arange(5), images=500, rng=rng)
    assert result.failures == {i: f"outputs of {i} are not finite." for i in (1, 3)}
    assert result.front.tolist() == [0, 2]
    assert np.isnan(result.bound[[1, 3]]).all() and (result.covered_by[[1, 3]] == -1).all()


def test_when_nothing_can_be_evaluated_the_reason_is_given() -> None:
    def answers(i: int, index: np.ndarray) -> np.ndarray:
        raise MeasurementError("no memory.")

    with pytest.raises(MeasurementError, match="none of 3 subnets could be evaluated: no memory"):
        race(answers, np.arange(3), images=10, rng=np.random.default_rng(0))


@pytest.mark.parametrize(
    ("costs", "changed", "message"),
    [
        ([1.0, np.nan], {}, "cost of subnet 1 is"),
        ([[1.0, 2.0], [np.inf, 1.0]], {}, "cost of subnet 1 is"),
        ([], {}, r"costs of shape \(0,\)"),
        (np.ones((2, 2, 2)), {}, r"costs of shape \(2, 2, 2\)"),
        ([1.0, 2.0], {"error": 0.0}, "error 0.0 is not a probability"),
        ([1.0, 2.0], {"error": 1.0}, "error 1.0 is not a probability"),
        ([1.0, 2.0], {"error": np.nan}, "error nan is not a probability"),
        ([1.0, 2.0], {"tolerance": -1.0}, "tolerance -1.0 is not"),
        ([1.0, 2.0], {"tolerance": np.nan}, "tolerance nan is not"),
        ([1.0, 2.0], {"growth": 1.0}, "growth 1.0 is not"),
        ([1.0, 2.0], {"images": 0}, "images 0"),
        ([1.0, 2.0], {"first": 0}, "first 0"),
    ],
)
def test_what_makes_no_race_is_refused(costs: object, changed: dict, message: str) -> None:
    arguments = {"images": 10, "rng": np.random.default_rng(0), **changed}
    with pytest.raises(DataError, match=message):
        race(lookup(np.ones((2, 10), bool)), costs, **arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("answer", [np.ones(3, bool), np.ones(10), np.ones((10, 1), bool)])
def test_answers_of_another_form_are_refused(answer: np.ndarray) -> None:
    with pytest.raises(DataError, match="evaluation of subnet 0 on 10 images gave"):
        race(lambda i, index: answer, [1.0, 2.0], images=10, rng=np.random.default_rng(0))


# ---------------------------------------------------------------------- with real subnets
PLAIN = Preprocess((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


def pictures(n: int, seed: int) -> ImageData:
    rng = np.random.default_rng(seed)
    return from_arrays(rng.integers(0, 256, (n, 16, 16, 3), np.uint8), rng.integers(0, 4, n), tuple("abcd"), PLAIN)


def test_the_front_of_subnets_is_that_of_full_evaluation(small_supernet: ElasticMobileNetV3) -> None:
    archs = small_supernet.space.sample(6, np.random.default_rng(0))
    costs = small_supernet.macs_array(small_supernet.space.to_array(archs))
    calibration, validation = pictures(24, 0), pictures(230, 1)
    result = front_accuracy(
        ImageTask(), small_supernet, archs, costs, calibration, validation, rng=np.random.default_rng(0), error=1e-9
    )
    full = [subnet_score(ImageTask(), small_supernet, a, calibration, validation) for a in archs]
    assert sorted(result.front.tolist()) == brute_force(costs, np.array([f.correct.sum() for f in full]))
    finished = np.flatnonzero(result.seen == 230)
    assert result.top1[finished].tolist() == pytest.approx([full[i].value for i in finished])
    assert len(result.rounds) > 1 and result.calibration_images == 6 * 24
    with pytest.raises(DataError, match="6 architectures, but costs of shape"):
        front_accuracy(
            ImageTask(), small_supernet, archs, costs[:5], calibration, validation, rng=np.random.default_rng(0)
        )


def test_images_taken_are_those_asked_for_and_are_not_decoded_again(monkeypatch: pytest.MonkeyPatch) -> None:
    data = pictures(9, 0)
    index = np.array([7, 0, 3])
    expected = np.stack([data.pixels(20)[i] for i in index])
    assert np.array_equal(data.take(index).pixels(12), data.pixels(12)[index])
    monkeypatch.setattr(ImageData, "_decode", lambda self, i: pytest.fail("decoded again"))
    taken = data.take(index)
    assert np.array_equal(taken.pixels(20), expected) and taken.labels.tolist() == data.labels[index].tolist()
    assert taken.classes == data.classes and taken.name == data.name and len(data) == 9


def test_a_subnet_is_dropped_when_its_capital_reaches_subnets_over_error() -> None:
    correct = population(np.array([0.9, 0.5, 0.5, 0.5]), 100, np.random.default_rng(0))
    one = racing._Race(lookup(correct), np.arange(4.0)[:, None], 100, np.random.default_rng(0), 0.1, 0.0)
    one._look(np.arange(10))
    one._finish(np.array([0]))
    one.log_capital[1:] = np.log(np.array([[39.9], [40.1], [80.0]]) / len(racing.DEFICITS))
    one._drop(np.array([1, 2, 3]), one._needed(np.array([1, 2, 3])))
    assert one.racing.tolist() == [False, True, False, False]
    assert one.covered_by.tolist() == [-1, -1, 0, 0] and one.bound[2:].tolist() == [90.0, 90.0]
