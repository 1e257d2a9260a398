"""Factors of intervals by hand: the quantile of errors, shrunk towards the normal distribution's."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from predictors.errors import PredictorError
from predictors.interval_factor import NARROWING, WIDENING, factors_without_own, interval_factor

Z = norm.ppf(0.9)  # of a coverage of .8


def test_large_errors_count_for_more_than_small_ones() -> None:
    for scale, weight in ((1.0, WIDENING), (0.1, NARROWING)):
        errors = scale * np.arange(1.0, 10.0)  # the ceil(.8 * 10) = 8th of nine
        assert interval_factor(errors, 0.8) == pytest.approx((weight * Z + 9 * scale * 8) / (weight + 9))
    assert interval_factor(np.empty(0), 0.8) == pytest.approx(Z)
    assert interval_factor(np.array([3.0]), 0.99) == pytest.approx((WIDENING * norm.ppf(0.995) + 3.0) / 21)
    with pytest.raises(PredictorError, match="coverage"):
        interval_factor(np.empty(0), 0.0)


def test_the_own_error_of_a_row_is_left_out() -> None:
    """Of errors 1 to 9 the ceil(.8 * 9) = 8th of the eight others: 9, but 8 for the row that has the 9."""
    errors = np.array([2.0, 9.0, 1.0, 3.0, 8.0, 4.0, 7.0, 5.0, 6.0])
    found = factors_without_own(np.sort(errors), errors, 0.8)
    largest = np.where(errors == 9.0, 8.0, 9.0)
    assert found == pytest.approx((WIDENING * Z + 8 * largest) / (WIDENING + 8))


@pytest.mark.parametrize("left_out", [np.empty(0), np.array([2.0])])
def test_without_others_all_rows_have_the_same_factor(left_out: np.ndarray) -> None:
    found = factors_without_own(left_out, np.array([1.0, 5.0]), 0.8)
    assert found == pytest.approx([interval_factor(left_out, 0.8)] * 2)
