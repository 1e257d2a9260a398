"""Predicted fronts: which rows are on them, and how much being chosen flatters."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictors import GaussianProcessPredictor, PredictorError
from predictors.front import expected_front, front_flattery, front_of


@given(st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_the_front_is_that_of_brute_force(n: int, seed: int) -> None:
    costs = np.random.default_rng(seed).integers(0, 8, size=(n, 2)).astype(float)
    rows = {tuple(r) for r in costs.tolist()}
    true = {r for r in rows if not any(o != r and o[0] <= r[0] and o[1] <= r[1] for o in rows)}
    at = front_of(costs)
    assert [tuple(r) for r in costs[at].tolist()] == sorted(true)


def test_the_flattery_by_hand() -> None:
    # two rows alike: in either draw the front is the row whose errors are negative
    errors = np.array([[[1.0, 2.0], [-1.0, -2.0]], [[-3.0, -4.0], [3.0, 4.0]]])
    at, flattery = front_flattery(np.zeros((2, 2)), errors)
    assert at.tolist() == [0] and flattery.tolist() == [[-2.0, -3.0]]
    # a row that nothing can dominate has no flattery in the mean of errors that cancel
    _, alone = front_flattery(np.array([[0.0, 0.0], [99.0, 99.0]]), np.concatenate([errors, -errors]))
    assert alone.tolist() == [[0.0, 0.0]]


def test_corrected_fronts_are_right_in_the_mean() -> None:
    rng = np.random.default_rng(0)
    plain, corrected = [], []
    for _ in range(60):
        truth = rng.normal(scale=1.2, size=(150, 2))
        seen = truth + 0.7 * rng.normal(size=truth.shape)  # predictions whose errors are independent of the truth
        at, flattery = front_flattery(seen, 0.7 * rng.normal(size=(60, 150, 2)))
        plain.append((seen[at] - truth[at]).mean())
        corrected.append((seen[at] - flattery - truth[at]).mean())
    assert np.mean(plain) < -0.3 and abs(np.mean(corrected)) < 0.6 * abs(np.mean(plain))


def test_both_quantities_are_corrected_away_from_what_is_good(task) -> None:
    X, y = task(60, noise=1.0)
    _, latency = task(60, log=True, noise=1.0)
    models = [GaussianProcessPredictor(interval_folds=0).fit(X, v) for v in (y, latency)]
    new, _ = task(300, seed=1)
    found = expected_front(models, new, largest=(True, False))
    assert (np.diff(found.predicted[:, 0]) < 0).all() and (np.diff(found.predicted[:, 1]) < 0).all()
    np.testing.assert_allclose(found.predicted[:, 0], models[0].predict(new)[found.at], rtol=1e-9)
    gain = found.corrected - found.predicted
    assert gain[:, 0].mean() < 0 < gain[:, 1].mean()
    again = expected_front(models, new, largest=(True, False))
    np.testing.assert_array_equal(again.corrected, found.corrected)
    with pytest.raises(PredictorError, match="two quantities"):
        expected_front(models[:1], new, largest=(True, False))
