from __future__ import annotations

import numpy as np
import pytest
from xgboost import XGBRegressor

from predictors import PredictorError, RidgePredictor, XGBoostPredictor


def test_predictions_are_xgboosts_own(task) -> None:
    X, y = task(80)
    ours = XGBoostPredictor(interval_folds=0).fit(X, y)
    reference = XGBRegressor(
        n_estimators=100, max_depth=3, learning_rate=0.1, subsample=0.8, colsample_bytree=0.5, max_bin=64,
        tree_method="hist", base_score=0.0, random_state=0, n_jobs=1,
    ).fit(X, (y - y.mean()) / y.std())  # fmt: skip
    np.testing.assert_allclose(ours.predict(X), reference.predict(X) * y.std() + y.mean(), rtol=1e-6)


def test_one_seed_gives_the_same_bits_and_another_does_not(task) -> None:
    X, y = task(60)
    first = XGBoostPredictor(seed=1).fit(X, y)
    again = XGBoostPredictor(seed=1, n_jobs=2).fit(X, y)
    assert np.array_equal(first.predict(X), again.predict(X))
    assert np.array_equal(first.residuals_, again.residuals_)
    assert not np.array_equal(first.predict(X), XGBoostPredictor(seed=2).fit(X, y).predict(X))


def test_it_learns_an_interaction_that_ridge_cannot() -> None:
    rng = np.random.default_rng(0)
    X = rng.choice([-1.0, 1.0], size=(300, 6))
    y = X[:, 0] * X[:, 1] + X[:, 2]
    trees = XGBoostPredictor(colsample_bytree=1.0).fit(X[:200], y[:200]).score(X[200:], y[200:])
    assert trees > 0.95
    assert RidgePredictor().fit(X[:200], y[:200]).score(X[200:], y[200:]) < 0.7


def test_large_targets_keep_their_digits(task) -> None:
    X, y = task(60)
    plain, large = XGBoostPredictor().fit(X, y), XGBoostPredictor().fit(X, 3e8 + 1e3 * y)
    np.testing.assert_allclose((large.predict(X) - 3e8) / 1e3, plain.predict(X), rtol=1e-3)


def test_residuals_are_out_of_fold(task) -> None:
    """Noise that no feature explains cannot be predicted out of fold, though the trees fit it in part."""
    X, _ = task(100)
    y = np.random.default_rng(5).normal(size=100)
    ours = XGBoostPredictor(interval_folds=5).fit(X, y)
    assert np.mean(ours.residuals_**2) > 0.9 * y.var()
    assert np.mean((y - ours.predict(X)) ** 2) < 0.7 * y.var()
    for fold, booster in enumerate(ours.fold_boosters_):
        rows = ours.group_ == fold
        np.testing.assert_allclose(ours.residuals_[rows], (y - ours._run(booster, X))[rows])


def test_deviation_grows_with_the_noise(task) -> None:
    quiet = XGBoostPredictor().fit(*task(120, noise=0.1)).predict(task(5, seed=1)[0], return_std=True)[1]
    loud = XGBoostPredictor().fit(*task(120, noise=4.0)).predict(task(5, seed=1)[0], return_std=True)[1]
    assert (loud > quiet).all()


def test_log_target_never_predicts_below_zero(task) -> None:
    X, y = task(60, log=True)
    assert (XGBoostPredictor(log_target=True).fit(X, y).predict(X) > 0).all()


def test_constant_target_is_predicted() -> None:
    np.testing.assert_allclose(XGBoostPredictor().fit(np.eye(6), np.full(6, 3.25)).predict(np.eye(6)), 3.25)


def test_without_interval_folds_it_says_so(task) -> None:
    X, y = task(30)
    ours = XGBoostPredictor(interval_folds=0).fit(X, y)
    with pytest.raises(PredictorError, match="interval_folds=0"):
        ours.predict_interval(X)
    with pytest.raises(PredictorError, match="interval_folds=0"):
        ours.predict(X, return_std=True)


@pytest.mark.parametrize("settings", [{"learning_rate": -1.0}, {"max_depth": -2}, {"interval_folds": 1}])
def test_wrong_settings_are_refused(task, settings) -> None:
    with pytest.raises(PredictorError):
        XGBoostPredictor(**settings).fit(*task(20))
