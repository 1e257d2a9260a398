"""Intervals against scipy's tests and cases worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from hwsearch.training.assessment.estimates import difference, mean_of, rank_correlation


def test_the_interval_of_a_mean_is_students() -> None:
    x = np.array([3.0, 5.0, 4.0, 8.0])
    found, expected = mean_of(x), stats.ttest_1samp(x, 0).confidence_interval(0.95)
    assert (found.value, found.n) == (5.0, 4)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_a_common_error_adds_in_squares_and_stands_alone_for_one_value() -> None:
    one = mean_of([7.0], common_error=0.5)
    assert (one.low, one.high) == pytest.approx((7 - 0.98, 7 + 0.98), abs=1e-3)
    assert math.isnan(mean_of([7.0]).low)
    plain, wider = mean_of([1.0, 2.0, 3.0]), mean_of([1.0, 2.0, 3.0], common_error=1.0)
    assert wider.high - 2 == pytest.approx(math.hypot(plain.high - 2, 1.959964))


def test_a_difference_has_welchs_interval_and_the_sign_of_first_minus_second() -> None:
    a, b = [9.0, 11.0, 10.0, 12.0], [4.0, 8.0, 3.0]
    found = difference(a, b)
    expected = stats.ttest_ind(a, b, equal_var=False).confidence_interval(0.95)
    assert found.value == pytest.approx(5.5)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    wider = difference(a, b, level=0.99)
    assert wider.low < found.low < found.high < wider.high
    assert math.isnan(difference([1.0], [2.0, 3.0]).low)
    assert difference([2.0, 2.0], [1.0, 1.0]).low == 1.0


def test_tau_is_scipys_and_its_interval_fiellers() -> None:
    rng = np.random.default_rng(0)
    a = rng.normal(size=12)
    b = a + rng.normal(size=12)
    found = rank_correlation(a, b)
    assert found.value == pytest.approx(stats.kendalltau(a, b).statistic)
    half = 1.959964 * math.sqrt(0.437 / 8)
    assert math.atanh(found.high) - math.atanh(found.value) == pytest.approx(half)
    assert math.atanh(found.value) - math.atanh(found.low) == pytest.approx(half)
    turned = rank_correlation(a, -b)
    assert (turned.value, turned.low) == pytest.approx((-found.value, -found.high))


def test_few_pairs_that_all_agree_are_not_certainty() -> None:
    found = rank_correlation(range(6), range(6))
    assert found.value == found.high == pytest.approx(1) and 0.3 < found.low < 0.95
    assert math.isnan(rank_correlation(range(4), range(4)).low)
    assert math.isnan(rank_correlation([1, 1, 1, 1, 1], range(5)).value)


def test_fiellers_interval_covers_where_ranks_are_of_normal_pairs() -> None:
    """Tau of a bivariate normal distribution is 2/π asin(ρ); 95 % of the intervals should hold it."""
    rng, rho = np.random.default_rng(1), 0.7
    truth = 2 / math.pi * math.asin(rho)
    held = 0
    for _ in range(300):
        a = rng.normal(size=15)
        found = rank_correlation(a, rho * a + math.sqrt(1 - rho**2) * rng.normal(size=15))
        held += found.low <= truth <= found.high
    assert 0.91 < held / 300 <= 1
