"""Running coverage: what is counted, when intervals are widened, and by how much."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from predictors import PredictorError
from predictors.coverage import WEIGHT, running_coverage


@given(st.integers(1, 200), st.integers(0, 2**32 - 1), st.sampled_from([0.68, 0.9, 0.95]))
def test_intervals_are_widened_where_the_exact_test_rejects_what_was_asked(n: int, seed: int, asked: float) -> None:
    rng = np.random.default_rng(seed)
    y = rng.normal(scale=rng.uniform(0.3, 3.0), size=n)
    found = running_coverage(y, np.zeros(n), np.full(n, -1.0), np.full(n, 1.0), asked=asked)
    inside = int((np.abs(y) <= 1.0).sum())
    exact = binomtest(inside, n).proportion_ci(0.95, method="exact")
    assert found.report.inside == inside
    assert (found.report.low, found.report.high) == pytest.approx((exact.low, exact.high), abs=1e-12)
    assert (found.factor > 1.0) == (exact.high < asked) == (found.warning is not None)


def test_too_wide_intervals_stay_as_they_are() -> None:
    y = np.random.default_rng(0).normal(scale=0.1, size=500)
    found = running_coverage(y, np.zeros(500), np.full(500, -1.0), np.full(500, 1.0), asked=0.5)
    assert found.report.too_wide and found.factor == 1.0 and found.warning is None


def test_the_factor_by_hand() -> None:
    # 10 rows, 2 inside; rank ceil(.7 * 11) = 8 of the ratios 0, 1, 2, ..., 9 is 7
    y = np.arange(10.0)
    found = running_coverage(y, np.zeros(10), np.full(10, -5.0), np.full(10, 1.0), asked=0.7)
    assert found.report.inside == 2 and found.factor == pytest.approx((WEIGHT + 10 * 7.0) / (WEIGHT + 10))
    low, high = found.widen([4.0], [3.0], [6.0])
    assert low[0] == pytest.approx(4 - found.factor) and high[0] == pytest.approx(4 + 2 * found.factor)
    # the same below the prediction needs the lower arm
    mirrored = running_coverage(-y, np.zeros(10), np.full(10, -1.0), np.full(10, 5.0), asked=0.7)
    assert mirrored.factor == found.factor and mirrored.report.below == 8 and mirrored.report.above == 0


def test_widened_intervals_hold_what_was_asked_of_new_values() -> None:
    rng = np.random.default_rng(0)
    shares = []
    for _ in range(200):
        y, new = rng.normal(scale=2.0, size=(2, 100))
        found = running_coverage(y, np.zeros(100), np.full(100, -1.645), np.full(100, 1.645), asked=0.9)
        low, high = found.widen(np.zeros(100), np.full(100, -1.645), np.full(100, 1.645))
        shares.append(((low <= new) & (new <= high)).mean())
    assert 0.85 < np.mean(shares) < 0.9  # 0.59 unwidened; shrunk towards the fit's own


def test_latencies_stay_positive_and_degenerate_intervals_finite() -> None:
    found = running_coverage(np.full(20, 9.0), np.ones(20), np.full(20, 0.5), np.full(20, 1.5))
    low, high = found.widen([1.0, -1.0], [0.5, -2.0], [1.5, 1.0])
    assert low[0] == 0.0 and low[1] < -2.0 and high[0] > 1.5
    flat = running_coverage(np.full(20, 9.0), np.ones(20), np.ones(20), np.ones(20))
    assert np.isfinite(flat.factor) and np.isfinite(flat.widen([1.0], [1.0], [1.0])).all()
    open_ended = running_coverage(np.full(20, 9.0), np.ones(20), np.full(20, -np.inf), np.full(20, np.inf))
    assert open_ended.factor == 1.0


def test_what_a_card_says() -> None:
    found = running_coverage(np.arange(10.0), np.zeros(10), np.full(10, -1.0), np.ones(10))
    assert found.to_dict()["inside"] == 2 and found.to_dict()["factor"] == found.factor
    assert found.warning is not None and "held 2 of 10" in found.warning and "90 %" in found.warning


def test_what_is_refused() -> None:
    with pytest.raises(PredictorError, match="inside of each"):
        running_coverage([1.0], [3.0], [0.0], [2.0])
    with pytest.raises(PredictorError):
        running_coverage([], [], [], [])
