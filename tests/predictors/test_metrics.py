from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from predictors import PredictorError, scores

values = arrays(np.float64, 12, elements=st.integers(-4, 4).map(float))
distinct = arrays(np.float64, 9, elements=st.floats(-9, 9), unique=True)


@settings(deadline=None)
@given(values, values)
def test_rank_correlations_are_scipys(truth: np.ndarray, predicted: np.ndarray) -> None:
    table = scores(truth, predicted)
    if np.ptp(truth) == 0 or np.ptp(predicted) == 0:
        assert math.isnan(table["spearman"]) and math.isnan(table["kendall"])
        return
    assert table["spearman"] == pytest.approx(stats.spearmanr(truth, predicted)[0])
    assert table["kendall"] == pytest.approx(stats.kendalltau(truth, predicted)[0])


@settings(deadline=None)
@given(distinct, distinct)
def test_kendall_counts_pairs(truth: np.ndarray, predicted: np.ndarray) -> None:
    pairs = itertools.combinations(range(9), 2)
    signs = [np.sign(truth[i] - truth[j]) * np.sign(predicted[i] - predicted[j]) for i, j in pairs]
    assert scores(truth, predicted)["kendall"] == pytest.approx(np.mean(signs))


def test_errors_by_hand() -> None:
    table = scores([1.0, 2.0, 4.0], [2.0, 2.0, 2.0])
    assert table["mae"] == 1.0
    assert table["rmse"] == pytest.approx(math.sqrt(5 / 3))
    assert table["mape"] == pytest.approx(50.0)


def test_failed_measurements_are_left_out_and_failed_predictions_are_not() -> None:
    assert scores([1.0, np.nan, 3.0, 2.0], [1.5, 9.0, 2.0, 2.0]) == scores([1.0, 3.0, 2.0], [1.5, 2.0, 2.0])
    assert all(math.isnan(v) for v in scores([1.0, 2.0], [1.0, np.nan]).values())
    assert all(math.isnan(v) for v in scores([np.nan], [1.0]).values())


def test_zero_truth_is_left_out_of_mape() -> None:
    assert scores([0.0, 2.0], [5.0, 1.0])["mape"] == pytest.approx(50.0)
    assert math.isnan(scores([0.0, 0.0], [1.0, 1.0])["mape"])


def test_unequal_lengths_are_refused() -> None:
    with pytest.raises(PredictorError, match=r"\(2,\).*\(3,\)"):
        scores([1, 2], [1, 2, 3])
