"""The base of predictors, on one whose fit is a mean: the log target, deviations, intervals, checks."""

from __future__ import annotations

import logging
import math
from typing import ClassVar

import numpy as np
import pytest

from predictors.base import BLOCK, REGISTRY, BasePredictor, register
from predictors.errors import PredictorError, TooFewRowsError


class Mean(BasePredictor):
    """The mean of the rows; without a row the mean of the others."""

    _learned: ClassVar[tuple[str, ...]] = ("mean_", "others_", "residuals_")

    def __init__(self, log_target: bool = False) -> None:
        self.log_target = log_target

    def _fit(self, X, y) -> None:
        self.mean_ = float(y.mean())
        self.others_ = (y.sum() - y) / (len(y) - 1)
        self.residuals_ = y - self.others_

    def _mean(self, X):
        return np.full(len(X), self.mean_)

    def _held_out(self, X):
        return np.tile(self.others_, (len(X), 1)), np.arange(len(self.residuals_))


X = np.arange(4.0)[:, None]
Y = np.array([1.0, 2.0, 3.0, 6.0])  # without each row: 11/3, 10/3, 3, 2


def test_deviation_is_of_the_residuals_and_of_the_models_without_a_row() -> None:
    mean, std = Mean().fit(X, Y).predict(X[:2], return_std=True)
    residuals = Y - np.array([11, 10, 9, 6]) / 3
    assert mean.tolist() == [3.0, 3.0]
    np.testing.assert_allclose(std**2, np.mean(residuals**2) + np.var([11 / 3, 10 / 3, 3, 2]))


def test_a_log_target_predicts_the_median_and_the_deviation_of_a_lognormal() -> None:
    found = Mean(log_target=True).fit(X, np.exp(Y))
    mean, std = found.predict(X[:1], return_std=True)
    plain = Mean().fit(X, Y).predict(X[:1], return_std=True)[1]
    assert mean[0] == pytest.approx(math.exp(3.0)) == found.predict(X[:1])[0]
    assert std[0] == pytest.approx(math.exp(3.0 + plain[0] ** 2 / 2) * math.sqrt(math.exp(plain[0] ** 2) - 1))


def test_intervals_are_the_jackknife_plus_widened_to_hold_the_prediction() -> None:
    low, high = Mean().fit(X, Y).predict_interval(X[:1], 0.6)
    # held out 11/3, 10/3, 3, 2 with residuals of size 8/3, 4/3, 0, 4; rank ceil(0.6 · 5) = 3 above and 2 below
    below = sorted([11 / 3 - 8 / 3, 10 / 3 - 4 / 3, 3.0, 2 - 4.0])[2 - 1]
    above = sorted([11 / 3 + 8 / 3, 10 / 3 + 4 / 3, 3.0, 2 + 4.0])[3 - 1]
    assert (low[0], high[0]) == pytest.approx((below, above))
    logs = Mean(log_target=True).fit(X, np.exp(Y)).predict_interval(X[:1], 0.6)
    assert (logs[0][0], logs[1][0]) == pytest.approx((math.exp(below), math.exp(above)))

    class Off(Mean):
        def _mean(self, X):
            return np.full(len(X), 9.0)

    assert Off().fit(X, Y).predict_interval(X[:1], 0.6)[1][0] == 9.0


def test_too_few_rows_for_a_coverage_give_infinite_intervals_and_say_so(caplog) -> None:
    with caplog.at_level(logging.WARNING, "predictors"):
        low, high = Mean().fit(X, Y).predict_interval(X[:1], 0.9)
    assert (low[0], high[0]) == (-math.inf, math.inf)
    assert "coverage 0.9 needs 9 rows, the fit had 4" in caplog.text
    low, high = Mean(log_target=True).fit(X, np.exp(Y)).predict_interval(X[:1], 0.9)
    assert (low[0], high[0]) == (0.0, math.inf)
    caplog.clear()
    nine = np.arange(9.0)[:, None]
    assert np.isfinite(Mean().fit(nine, nine[:, 0]).predict_interval(X[:1], 0.9)).all() and not caplog.text


def test_many_rows_are_taken_in_blocks_with_the_same_result() -> None:
    found = Mean().fit(X, Y)
    low, high = found.predict_interval(np.zeros((BLOCK + 3, 1)), 0.6)
    assert len(low) == BLOCK + 3 and len(np.unique(low)) == len(np.unique(high)) == 1


@pytest.mark.parametrize(
    ("given", "kind", "words"),
    [
        ((X, None), PredictorError, "the target y is None"),
        ((X[:1], Y[:1]), TooFewRowsError, "n_samples = 1.*at least 2"),
        ((X, [1.0, np.nan, 2.0, 3.0]), PredictorError, "NaN"),
        ((np.full((4, 1), np.inf), Y), PredictorError, "infinity"),
        ((X, Y[:3]), PredictorError, "inconsistent"),
    ],
)
def test_what_cannot_be_fitted_is_refused(given, kind, words: str) -> None:
    with pytest.raises(kind, match=words):
        Mean().fit(*given)


def test_a_log_needs_positive_targets_and_zero_is_none() -> None:
    Mean(log_target=True).fit(X, [1e-9, 1.0, 1.0, 2.0])
    with pytest.raises(PredictorError, match=r"needs positive targets, but the smallest is 0\."):
        Mean(log_target=True).fit(X, [0.0, 1.0, 1.0, 2.0])


@pytest.mark.parametrize("coverage", [0.0, 1.0, -0.1])
def test_a_coverage_is_a_share(coverage: float) -> None:
    with pytest.raises(PredictorError, match=r"coverage must be in \(0, 1\)"):
        Mean().fit(X, Y).predict_interval(X, coverage)


def test_a_predictor_of_ones_own_is_told_what_it_has_not_learnt() -> None:
    class Forgetful(Mean):
        def _fit(self, X, y) -> None:
            self.mean_ = 0.0

    class Column(Mean):
        def _mean(self, X):
            return np.zeros((len(X), 1))

    class Narrow(Mean):
        def _held_out(self, X):
            return np.zeros((len(X), 2)), np.zeros(3, int)

    for cls, words in (
        (Forgetful, "_fit of Forgetful has not set residuals_, others_"),
        (Column, r"_mean of Column must return shape \(2,\) for 2 rows, got \(2, 1\)"),
        (Narrow, r"_held_out of Narrow must return predictions.*got \(2, 2\) and \(3,\) for m = 2 and n = 4"),
    ):
        with pytest.raises(PredictorError, match=words):
            cls().fit(X, Y)


def test_a_registered_class_is_known_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("predictors.base.REGISTRY", dict(REGISTRY))
    import predictors.base as base

    assert register(Mean) is Mean and base.REGISTRY["Mean"] is Mean
