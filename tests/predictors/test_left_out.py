"""Bases of predictors that keep rows left out, on one whose latencies are all predicted by their geometric mean."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest
from sklearn.base import clone

from predictors.errors import PredictorError, TooFewRowsError
from predictors.left_out import LatencyPredictor


class Typical(LatencyPredictor):
    """The geometric mean of the rows, and of the others for a row left out."""

    _learned: ClassVar[tuple[str, ...]] = ("rows_", "target_", "given_noise_", "oof_predictions_", "residuals_")

    def _learn(self, X, y, given) -> None:
        self.rows_, self.target_, self.given_noise_ = X, y, given
        logs = np.log(y)
        self.oof_predictions_ = np.exp((logs.sum() - logs) / (len(y) - 1))
        self.residuals_ = np.log(y / self.oof_predictions_)

    def _mean(self, X):
        return np.full(len(X), np.log(self.target_).mean())


X, Y = np.arange(3.0)[:, None], np.array([1.0, 2.0, 4.0])


def test_noise_that_is_unknown_is_none() -> None:
    assert Typical().fit(X, Y).given_noise_.tolist() == [0.0, 0.0, 0.0]
    assert Typical().fit(X, Y, [0.1, np.nan, 0.2]).given_noise_.tolist() == [0.1, 0.0, 0.2]


def test_predictions_are_medians_and_scores_are_those_of_rows_left_out() -> None:
    model = Typical().fit(X, Y)
    assert model.predict(X) == pytest.approx([2.0, 2.0, 2.0]) and model.log_scale_
    # without each row: sqrt(8), 2, sqrt(2)
    assert model.oof_predictions_ == pytest.approx([8**0.5, 2.0, 2**0.5])
    assert model.procedure_scores_["mae"] == pytest.approx(((8**0.5 - 1) + 0 + (4 - 2**0.5)) / 3)
    held_out, group = model._held_out(X[:2])
    assert np.exp(held_out) == pytest.approx(np.full((2, 1), 2.0)) and group.tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("given", "kind", "words"),
    [
        ((X, Y - 1.0), PredictorError, "latencies are positive, but the smallest is 0"),
        ((X, Y, [0.1, -0.1, 0.0]), PredictorError, "noise of row 1 is -0.1"),
        ((X, Y, [0.1]), PredictorError, r"shape \(3,\)"),
        ((X[:1], Y[:1]), TooFewRowsError, "n_samples = 1"),
        ((X, None), PredictorError, "the target y is None"),
    ],
)
def test_what_cannot_be_fitted_is_refused(given, kind, words: str) -> None:
    with pytest.raises(kind, match=words):
        Typical().fit(*given)


def test_it_says_that_targets_are_positive_and_can_be_copied() -> None:
    assert Typical().__sklearn_tags__().target_tags.positive_only
    assert clone(Typical()).get_params() == {}
