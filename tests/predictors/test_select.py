from __future__ import annotations

import numpy as np
import pytest
from sklearn.dummy import DummyRegressor
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.svm import SVR

from predictors import CrossValidatedPredictor, PredictorError, RidgePredictor, TooFewRowsError, scores
from predictors.select import choose


def test_scores_are_those_of_scikit_learns_cross_validation(task) -> None:
    X, y = task(60, log=True)
    ours = CrossValidatedPredictor(seed=7).fit(X, y)
    assert list(ours.scores_) == ["ridge", "ridge-log", "xgboost", "xgboost-log"]
    splits = KFold(5, shuffle=True, random_state=7)
    for name, log in (("ridge", False), ("ridge-log", True)):
        expected = scores(y, cross_val_predict(RidgePredictor(log_target=log), X, y, cv=splits))
        assert ours.scores_[name] == pytest.approx(expected)


def test_oof_predictions_and_residuals_belong_to_the_winner(task) -> None:
    X, y = task(60, log=True)
    ours = CrossValidatedPredictor().fit(X, y)
    assert scores(y, ours.oof_predictions_) == pytest.approx(ours.scores_[ours.best_])
    np.testing.assert_allclose(ours.residuals_, np.log(y / ours.oof_predictions_))


def test_the_right_candidate_wins(task) -> None:
    X, y = task(120, log=True, interactions=0)
    assert CrossValidatedPredictor().fit(X, y).best_ == "ridge-log"
    X, y = task(120, interactions=0)
    assert CrossValidatedPredictor().fit(X, y - 75).best_ == "ridge"  # targets of both signs
    signs = np.random.default_rng(0).choice([-1.0, 1.0], size=(200, 5))
    assert CrossValidatedPredictor().fit(signs, signs[:, 0] * signs[:, 1]).best_ == "xgboost"


def test_targets_that_are_not_positive_get_no_log_candidate(task) -> None:
    X, y = task(30)
    assert list(CrossValidatedPredictor().fit(X, y - y.min()).scores_) == ["ridge", "xgboost"]


def test_winner_is_fitted_again_on_all_rows(task) -> None:
    X, y = task(50)
    ours = CrossValidatedPredictor(candidates={"ridge": RidgePredictor()}).fit(X, y)
    assert np.array_equal(ours.predict(X), RidgePredictor().fit(X, y).predict(X))
    for got, expected in zip(
        ours.predict(X, return_std=True), RidgePredictor().fit(X, y).predict(X, return_std=True), strict=True
    ):
        assert np.array_equal(got, expected)


@pytest.mark.parametrize(
    "table, winner",
    [
        ({"a": (1.0, 0.5), "b": (0.9, 0.1)}, "b"),  # clearly smaller error
        ({"a": (1.005, 0.5), "b": (1.0, 0.4)}, "a"),  # tied: better order
        ({"a": (1.0, 0.5), "b": (1.0, 0.5)}, "a"),  # tied in both: the first
        ({"a": (1.0, np.nan), "b": (1.0, -0.3)}, "b"),
        ({"a": (np.nan, 0.9), "b": (5.0, 0.0)}, "b"),
    ],
)
def test_choice(table, winner) -> None:
    assert choose({name: {"mae": mae, "spearman": rho} for name, (mae, rho) in table.items()}) == winner


def test_choice_without_any_finite_score_is_refused() -> None:
    with pytest.raises(PredictorError, match="a, b"):
        choose({"a": {"mae": np.nan, "spearman": 0.0}, "b": {"mae": np.inf, "spearman": 0.0}})


def test_any_scikit_learn_regressor_can_stand(task) -> None:
    X, y = task(80)
    ours = CrossValidatedPredictor(candidates={"mean": DummyRegressor(), "svr": SVR(C=10.0)}).fit(X, y)
    assert ours.best_ == "svr"
    lower, upper = ours.predict_interval(X)
    assert (lower <= ours.predict(X)).all() and (ours.predict(X) <= upper).all()
    assert np.isnan(ours.scores_["mean"]["kendall"]) or ours.scores_["mean"]["kendall"] < 0.2


def test_threads_do_not_change_the_result_and_repeats_average(task) -> None:
    X, y = task(40)
    one = CrossValidatedPredictor(repeats=2, seed=3).fit(X, y)
    two = CrossValidatedPredictor(repeats=2, seed=3, n_jobs=2).fit(X, y)
    assert one.scores_ == two.scores_ and np.array_equal(one.predict(X), two.predict(X))
    halves = [CrossValidatedPredictor(seed=s).fit(X, y).scores_["ridge"]["mae"] for s in (3, 4)]
    assert one.scores_["ridge"]["mae"] == pytest.approx(np.mean(halves))


@pytest.mark.parametrize("n", [4, 5, 6, 7])
def test_few_rows_are_enough(task, n) -> None:
    X, y = task(n)
    ours = CrossValidatedPredictor().fit(X, y)
    mean, std = ours.predict(X, return_std=True)
    assert np.isfinite(mean).all() and (std > 0).all()


def test_fewer_rows_are_refused(task) -> None:
    with pytest.raises(TooFewRowsError, match=r"n_samples = 3.*at least 4"):
        CrossValidatedPredictor().fit(*task(3))


@pytest.mark.parametrize("settings", [{"folds": 1}, {"repeats": 0}, {"candidates": {}}])
def test_wrong_settings_are_refused(task, settings) -> None:
    with pytest.raises(PredictorError):
        CrossValidatedPredictor(**settings).fit(*task(20))


def test_it_beats_each_of_its_weaker_candidates_on_new_rows(task) -> None:
    X, y = task(300, log=True)
    ours = CrossValidatedPredictor().fit(X[:100], y[:100])
    assert scores(y[100:], ours.predict(X[100:]))["kendall"] > 0.85
