"""Predicted fronts: which rows are on them, and how much being chosen flatters."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictors import GaussianProcessPredictor, PredictorError
from predictors.front import expected_front, front_flattery, front_of, log_errors, near_front
from predictors.schema import Schema
from predictors.sources import Source
from predictors.transfer import DeviceTransferPredictor


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


@given(st.integers(1, 30), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_rows_near_the_front_are_of_its_first_layers(n: int, most: int, seed: int) -> None:
    costs = np.random.default_rng(seed).normal(size=(n, 2))
    near = near_front(costs, most)
    assert len(near) == min(n, most) and (np.diff(near) > 0).all()
    layer, left, depth = np.zeros(n, dtype=int), set(range(n)), 0
    while left:  # peel off what nothing that is left dominates
        front = {k for k in left if not any((costs[j] < costs[k]).all() for j in left)}
        layer[list(front)], left, depth = depth, left - front, depth + 1
    others = np.setdiff1d(np.arange(n), near)
    assert not len(others) or layer[near].max() <= layer[others].min()


@pytest.mark.parametrize("n", [5, 20, 36])
def test_errors_of_a_new_device_have_the_spread_of_its_intervals(n: int) -> None:
    rng = np.random.default_rng(0)
    X = rng.uniform(1.0, 2.0, (150, 3))
    device = X[:, 0] + 0.5 * X[:, 1] * X[:, 2]
    sources = {"old": Source(X, X.sum(axis=1)), "older": Source(X, X[:, 0] + 2 * X[:, 1])}
    model = DeviceTransferPredictor(Schema.of_facts(3), sources).fit(X[:n], device[:n])
    whole = model.with_sources(X[60:])
    errors = log_errors(model, whole, 4000, np.random.default_rng(1))
    assert errors.shape == (4000, 90) and abs(errors.mean()) < 0.02
    _, variance, _ = model._posterior(whole)
    spread = errors.std(axis=0)
    assert (spread <= 1.1 * np.sqrt(variance) + 1e-3).all()  # an interval has the noise, too
    seen = log_errors(model, model.with_sources(X[:n]), 2000, np.random.default_rng(1)).std(axis=0)
    assert seen.mean() < spread.mean()  # what was measured is known better
    np.testing.assert_array_equal(model.predict_interval(X[60:], 0.8), model.predict_interval_with_sources(whole, 0.8))
