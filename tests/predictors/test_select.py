from __future__ import annotations

import numpy as np
import pytest
from sklearn.dummy import DummyRegressor
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.svm import SVR

from predictors import CrossValidatedPredictor, PredictorError, RidgePredictor, TooFewRowsError, scores
from predictors.gp import GaussianProcessPredictor
from predictors.select import choose, default_candidates, replaces


def test_scores_are_those_of_scikit_learns_cross_validation(task) -> None:
    X, y = task(60, log=True)
    ours = CrossValidatedPredictor(seed=7, repeats=1).fit(X, y)
    assert list(ours.scores_) == ["gaussian-process", "ridge", "ridge-log", "xgboost"]
    splits = KFold(5, shuffle=True, random_state=7)
    for name, log in (("ridge", False), ("ridge-log", True)):
        expected = scores(y, cross_val_predict(RidgePredictor(log_target=log), X, y, cv=splits))
        assert ours.scores_[name] == pytest.approx(expected)


def test_oof_predictions_and_residuals_belong_to_the_winner(task) -> None:
    X, y = task(60, log=True)
    ours = CrossValidatedPredictor(quick(True), repeats=1).fit(X, y)
    assert scores(y, ours.oof_predictions_) == pytest.approx(ours.scores_[ours.best_])
    np.testing.assert_allclose(ours.residuals_, np.log(y / ours.oof_predictions_))


def quick(positive: bool):
    """The default candidates but the process."""
    return {k: c for k, c in default_candidates(positive).items() if k != "gaussian-process"}


def test_the_right_candidate_wins_where_there_is_no_process(task) -> None:
    X, y = task(120, log=True, interactions=0)
    assert CrossValidatedPredictor(quick(True)).fit(X, y).best_ == "ridge-log"
    X, y = task(120, interactions=0)
    assert CrossValidatedPredictor(quick(False)).fit(X, y - 75).best_ == "ridge"  # targets of both signs
    signs = np.random.default_rng(0).choice([-1.0, 1.0], size=(200, 5))
    assert CrossValidatedPredictor(quick(False)).fit(signs, signs[:, 0] * signs[:, 1]).best_ == "xgboost"


def test_the_process_is_the_default_and_gives_way_to_what_is_clearly_better(task) -> None:
    X, y = task(60)
    assert CrossValidatedPredictor().fit(X, y).best_ == "gaussian-process"

    class Knows(DummyRegressor):
        """Predicts what is true."""

        def fit(self, X, y):
            return super().fit(X, y)

        def predict(self, X):
            return np.array([table[row.tobytes()] for row in X])

    table = {row.tobytes(): value for row, value in zip(X, y, strict=True)}
    assert CrossValidatedPredictor({**default_candidates(True), "knows": Knows()}).fit(X, y).best_ == "knows"
    two = {"knows": Knows(), "process": GaussianProcessPredictor()}
    assert CrossValidatedPredictor(two).fit(X, y).best_ == "knows"
    assert CrossValidatedPredictor({"mean": DummyRegressor(), "process": GaussianProcessPredictor()}).fit(
        X, y
    ).best_ == ("process")


def test_a_candidate_replaces_the_default_by_more_than_one_standard_error() -> None:
    """Gains 1, 1, 1, -1 have the mean 0.5 and the standard error 0.5; with a little more the mean is larger."""
    default, gains = np.full(4, 5.0), np.array([1.0, 1.0, 1.0, -1.0])
    assert not replaces(default, default - gains)
    assert replaces(default, default - gains - 0.01)
    assert not replaces(default, default + gains)
    assert not replaces(np.array([1.0]), np.array([0.0]))  # one row says nothing of its error


def test_the_score_of_the_procedure_is_not_that_of_the_luckiest_candidate() -> None:
    """Sixty candidates guess at random: the winner's score flatters, that of the procedure does not."""
    rng = np.random.default_rng(0)
    X, y = rng.random((20, 2)), rng.standard_normal(20)

    class Guess(DummyRegressor):
        def __init__(self, seed: int = 0) -> None:
            super().__init__()
            self.seed = seed

        def predict(self, X):
            return np.random.default_rng([self.seed, int(1e6 * X[0, 0])]).standard_normal(len(X))

    ours = CrossValidatedPredictor({f"g{i}": Guess(i) for i in range(60)}, repeats=1).fit(X, y)
    best, mean = ours.scores_[ours.best_]["mae"], np.mean([row["mae"] for row in ours.scores_.values()])
    assert best < ours.procedure_scores_["mae"]
    assert abs(ours.procedure_scores_["mae"] - mean) < abs(best - mean)
    assert 0 < ours.mae_error_ < mean


def test_too_many_rows_for_a_process_are_said(task, monkeypatch, caplog) -> None:
    monkeypatch.setattr("predictors.select.MOST_ROWS", 30)
    X, y = task(40)
    ours = CrossValidatedPredictor().fit(X, y)
    assert "gaussian-process" not in ours.scores_
    assert "40 rows of 36 columns are too many for a Gaussian process; chosen among ridge" in caplog.text
    with pytest.raises(PredictorError, match="Add another candidate"):
        CrossValidatedPredictor({"process": GaussianProcessPredictor()}).fit(X, y)


def test_known_noise_reaches_the_process(task) -> None:
    X, y = task(30)
    noise = np.where(np.arange(30) % 2, 3.0, 0.0)
    ours = CrossValidatedPredictor().fit(X, y, noise)
    assert np.array_equal(ours.predict(X), GaussianProcessPredictor(noise="scaled").fit(X, y, noise).predict(X))
    assert not np.array_equal(ours.predict(X), CrossValidatedPredictor().fit(X, y).predict(X))


def test_targets_that_are_not_positive_get_no_log_candidate(task) -> None:
    X, y = task(30)
    assert list(CrossValidatedPredictor().fit(X, y - y.min()).scores_) == ["gaussian-process", "ridge", "xgboost"]


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
    halves = [CrossValidatedPredictor(seed=s, repeats=1).fit(X, y).scores_["ridge"]["mae"] for s in (3, 4)]
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
