"""The predictor with other devices as sources: what it learns, what it keeps, and when it is not worth having."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

import predictors
from predictors import CrossValidatedPredictor, PredictorError
from predictors.sourced import SourcedPredictor, no_worse


def devices(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features (80, 6), latencies of a device, and of one that is three times as fast with another weight of one feature.

    Both share a bend that no straight line tells.
    """
    rng = np.random.default_rng(seed)
    X = rng.uniform(0.0, 1.0, (80, 6))
    weights = np.array([1.0, 2.0, 0.5, 3.0, 1.5, 0.2])
    bend = 0.3 * np.sin(5.0 * X[:, 3]) * X[:, 1]
    old = np.exp(X @ weights / 3.0 + bend)
    return X, old, np.exp(X @ (weights + [0, 0, 0, 0, 0, 0.4]) / 3.0 + bend) / 3.0


def test_a_like_device_helps_and_an_unlike_one_is_found_out() -> None:
    X, old, new = devices()
    few, rest = np.arange(9), np.arange(9, 80)
    model = SourcedPredictor(sources={"old": (X, old)}).fit(X[few], new[few])
    alone = CrossValidatedPredictor().fit(X[few], new[few])
    error = np.abs(model.predict(X[rest]) / new[rest] - 1).mean()
    assert error < 0.05 and error < np.abs(alone.predict(X[rest]) / new[rest] - 1).mean()
    assert no_worse(model.oof_predictions_, alone.oof_predictions_, new[few])
    assert not no_worse(alone.oof_predictions_, model.oof_predictions_, new[few])
    assert "most like old" in model.trusted_ and abs(sum(model.shares_.values()) - 1) < 1e-9
    noise = np.random.default_rng(1).lognormal(size=80)
    unlike = SourcedPredictor(sources={"noise": (X, noise)}).fit(X[:40], new[:40])
    assert np.abs(unlike.predict(X[40:]) / new[40:] - 1).mean() < 0.05  # no worse than without


def test_intervals_hold_new_measurements() -> None:
    X, old, new = devices(3)
    y = new * np.exp(0.03 * np.random.default_rng(2).standard_normal(80))
    model = SourcedPredictor(sources={"old": (X, old)}).fit(X[:20], y[:20])
    low, high = model.predict_interval(X[20:], 0.9)
    assert ((low <= y[20:]) & (y[20:] <= high)).mean() >= 0.75
    mean, std = model.predict(X[20:], return_std=True)
    assert (low < mean).all() and (mean < high).all() and (std > 0).all()


def test_it_is_saved_with_its_sources(tmp_path) -> None:
    X, old, new = devices()
    model = SourcedPredictor(sources={"old": (X, old)}).fit(X[:9], new[:9])
    predictors.save(model, tmp_path / "it.zip")
    again = predictors.load(tmp_path / "it.zip")
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    assert again.trusted_ == model.trusted_


def test_without_sources_it_predicts_after_loading_as_before(tmp_path) -> None:
    X, _, new = devices()
    model = SourcedPredictor().fit(X[:9], new[:9])
    predictors.save(model, tmp_path / "it.zip")
    again = predictors.load(tmp_path / "it.zip")
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    np.testing.assert_array_equal(again.predict_interval(X), model.predict_interval(X))


def test_bad_input() -> None:
    X, old, new = devices()
    model = SourcedPredictor(sources={"old": (X, old)})
    with pytest.raises(PredictorError, match="positive"):
        model.fit(X[:9], new[:9] - new[:9].max())
    with pytest.raises(PredictorError, match="cannot be fitted"):
        model.fit(X[:4], new[:4])
    with pytest.raises(PredictorError, match="columns"):
        SourcedPredictor(sources={"old": (X[:, :5], old)}).fit(X[:9], new[:9])
    with pytest.raises(PredictorError, match="coverage"):
        model.fit(X[:9], new[:9]).predict_interval(X, 1.0)
    with pytest.raises(NotFittedError):
        SourcedPredictor().predict_interval(X)


def test_what_is_learnt_from_sources_is_shared_and_not_changed() -> None:
    X, old, new = devices()
    first = SourcedPredictor(sources={"old": (X, old)}).fit(X[:9], new[:9])
    before = first.predict(X)
    SourcedPredictor(sources={"old": (X, old)}).fit(X[:12], 5.0 * new[:12])
    np.testing.assert_array_equal(first.predict(X), before)
