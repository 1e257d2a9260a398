"""Diagnoses: intervals of rows left out, their coverage, and learning curves."""

from __future__ import annotations

import json

import numpy as np
import pytest

from predictors import (
    CrossValidatedPredictor,
    GaussianProcessPredictor,
    PredictorError,
    RidgePredictor,
    XGBoostPredictor,
    card_of,
    read_card,
    save,
)
from predictors.diagnosis import ASKED, diagnose, learning_curve, left_out_intervals, share_held
from predictors.metrics import scores


@pytest.fixture(scope="module")
def rows() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = rng.uniform(size=(120, 3))
    return X, 20.0 + 5.0 * X[:, 0] + X[:, 1] ** 2 + 0.3 * rng.standard_normal(120)


@pytest.mark.parametrize("model", ["gp", "ridge", "ridge-log"])
def test_intervals_of_rows_left_out_hold_what_is_asked(rows, model: str) -> None:
    X, y = rows
    made = {"gp": GaussianProcessPredictor(), "ridge": RidgePredictor(), "ridge-log": RidgePredictor(log_target=True)}
    predictor = CrossValidatedPredictor({model: made[model]}).fit(X, y)
    for asked in (0.5, 0.8, 0.95):
        low, high = left_out_intervals(predictor, y, asked)
        told = predictor.oof_predictions_
        told = predictor.best_estimator_.oof_predictions_ if model == "gp" else told
        assert (low < told).all() and (told < high).all()
        assert share_held(y, low, high) == pytest.approx(asked, abs=0.1)


def test_each_interval_is_the_quantile_of_the_others_errors_by_hand() -> None:
    X = np.arange(12.0)[:, None] % 5
    y = np.array([1.0, 4.0, 2.0, 8.0, 5.0, 7.0, 3.0, 9.0, 6.0, 2.5, 4.5, 5.5])
    predictor = CrossValidatedPredictor({"ridge": RidgePredictor()}).fit(X, y)
    told = predictor.oof_predictions_
    error = np.abs(y - told)
    low, high = left_out_intervals(predictor, y, 0.7)
    for k in range(12):  # 11 others: the ceil(.7 * 12) = 9th smallest
        half = np.sort(np.delete(error, k))[8]
        assert (low[k], high[k]) == pytest.approx((told[k] - half, told[k] + half))
    low, high = left_out_intervals(predictor, y, 0.99)
    assert np.isinf(low).all() and np.isinf(high).all()  # 11 errors say nothing of that


def test_the_factor_of_a_process_is_left_as_it_was(rows) -> None:
    X, y = rows
    model = GaussianProcessPredictor().fit(X, y)
    before = model.left_out_.copy()
    low, high = left_out_intervals(model, y, 0.9)
    np.testing.assert_array_equal(model.left_out_, before)
    own = model.predict_interval(X, 0.9)
    assert np.median(high - low) == pytest.approx(np.median(own[1] - own[0]), rel=0.15)


def test_a_learning_curve_is_of_rows_that_were_not_learnt_from(rows) -> None:
    X, y = rows
    predictor = CrossValidatedPredictor({"ridge": RidgePredictor()}).fit(X, y)
    curve = learning_curve(predictor, X, y, seed=3)
    assert curve["rows"] == [15, 30, 60, 96]
    found = []
    for k in range(3):  # the third point again, by hand
        order = np.random.default_rng([3, k]).permutation(120)
        model = RidgePredictor(refit_alpha=predictor.best_estimator_.refit_alpha).fit(X[order[:60]], y[order[:60]])
        found.append(scores(y[order[60:]], model.predict(X[order[60:]]))["mae"])
    assert curve["mae"][2] == pytest.approx(np.mean(found), rel=1e-6)
    assert curve["mae_error"][2] == pytest.approx(np.std(found, ddof=1) / np.sqrt(3), rel=1e-6)
    assert curve["mae"][3] == pytest.approx(np.abs(predictor.oof_predictions_ - y).mean())
    assert curve["mae"][0] > curve["mae"][3]  # more rows, smaller error
    assert curve == learning_curve(predictor, X, y, seed=3)


def test_few_rows_have_a_short_curve_and_no_exception() -> None:
    X, y = np.arange(6.0)[:, None], np.array([1.0, 1.0, 1.0, 1.0, 1.0, 1.0])
    predictor = CrossValidatedPredictor().fit(X, y)
    found = diagnose(predictor, X, y)
    assert found["learning_curve"]["rows"] == [4]
    zero = diagnose(CrossValidatedPredictor({"ridge": RidgePredictor()}).fit(X, 0 * y), X, 0 * y)
    assert zero["learning_curve"]["mape"] == [None]  # no relative error of nothing


def test_a_diagnosis_travels_in_a_card(rows, tmp_path) -> None:
    X, y = rows
    for predictor in (
        CrossValidatedPredictor().fit(X, y),
        CrossValidatedPredictor({"xgboost": XGBoostPredictor(interval_folds=0)}).fit(X[:6], y[:6]),
    ):
        n = len(predictor.residuals_)
        card = card_of(predictor, metric="latency_ms", unit="ms") | diagnose(predictor, X[:n], y[:n])
        json.dumps(card, allow_nan=False)
        save(predictor, tmp_path / "p.zip", card)
        assert read_card(tmp_path / "p.zip") == card
        assert card["left_out_coverage"]["asked"] == list(ASKED) and card["left_out_coverage"]["n"] == n
        assert sorted(card["left_out"]["measured"]) == pytest.approx(sorted(y[:n]))


def test_a_predictor_without_rows_left_out_is_refused(rows) -> None:
    X, y = rows
    with pytest.raises(PredictorError, match="keeps no predictions"):
        left_out_intervals(RidgePredictor().fit(X, y), y, 0.9)
