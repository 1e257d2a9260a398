"""Intervals of measured values, and several measurements pooled into one."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from hwsearch.campaigns.intervals import log_standard_error, pool, ratio_ends
from hwsearch.store import Measurement


def row(value: float, half: float, processes: int = 4, purpose: str = "validate") -> Measurement:
    """An energy whose interval is ± half of its logarithm."""
    return Measurement("a", "energy_mj", "d", "p", purpose, value, "mJ", low=value * math.exp(-half),
                       high=value * math.exp(half), repeats=10, details={"processes": processes})  # fmt: skip


def test_pooled_values_are_unbiased_and_their_intervals_hold_the_truth() -> None:
    """Of many subnets measured one to four times with known noise, as many intervals hold the truth as they say."""
    rng = np.random.default_rng(0)
    z, sigma, truth = 1.959964, 0.02, 3.0
    for times in (2, 4):
        held, logs = [], []
        for _ in range(2000):
            rows = [row(truth * math.exp(sigma * rng.normal()), z * math.sqrt(2) * sigma) for _ in range(times)]
            found = pool(rows, 0.95)
            error = log_standard_error(found.low, found.high, 0.95)
            held.append(abs(math.log(found.value / truth)) <= z * error)
            logs.append(math.log(found.value / truth))
        assert np.std(logs) == pytest.approx(sigma / math.sqrt(times), rel=0.06)
        assert abs(np.mean(logs)) < 4 * np.std(logs) / math.sqrt(2000)
        assert 0.94 < np.mean(held) < 0.995  # wider where the values differ by more than they should


def test_pooling_counts_processes_and_widens_what_disagrees() -> None:
    found = pool([row(1.0, 0.02, 2), row(math.e**0.03, 0.02, 6, "validate:2")], 0.95)
    assert found.value == pytest.approx(math.exp(0.03 * 6 / 8)) and found.repeats == 20
    assert found.details["rounds"] == 2
    error = 0.02 / 1.959964 / math.sqrt(2)
    chi = (0.0225 / error) ** 2 + (0.0075 / error) ** 2
    expected = error * math.hypot(2 / 8, 6 / 8) * math.sqrt(chi)
    assert log_standard_error(found.low, found.high, 0.95) == pytest.approx(expected)

    plain = [Measurement("a", "energy_mj", "d", "p", "validate", v, "mJ") for v in (1.0, 4.0)]
    assert pool(plain, 0.95).value == 2.5


def test_the_error_of_a_value_is_smaller_than_its_interval_says_by_the_root_of_two() -> None:
    """A 95 % interval of ±3.92 % is where a repeated campaign finds it: 2 % for the difference, 1.414 % for the value."""
    error = log_standard_error(math.exp(-0.0392), math.exp(0.0392), 0.95)
    assert error == pytest.approx(0.02 / math.sqrt(2), rel=1e-3)


def test_measurements_that_agree_are_as_sure_as_their_processes_make_them() -> None:
    """Two of the same value with 3 and 1 processes: weights of three quarters and a quarter, no widening."""
    half = 1.959964 * math.sqrt(2) * 0.02
    found = pool([row(2.0, half, 3), row(2.0, half, 1)], 0.95)
    assert found.value == pytest.approx(2.0)
    assert log_standard_error(found.low, found.high, 0.95) == pytest.approx(0.02 * math.hypot(0.75, 0.25), rel=1e-5)
    assert found.low < 2.0 < found.high and found.spread == pytest.approx((found.high - found.low) / 2)


def test_what_is_pooled_is_of_the_first_measurement_and_of_the_run_of_the_last() -> None:
    """The intervals agree, so the run of the last, by which a report says when it was known, is all that tells them apart."""
    rows = [
        replace(row(2.0, 0.1), purpose=f"validate:{k}", run=k, ended_at=f"2026-01-0{4 - k}T00:00:00+00:00")
        for k in (1, 2, 3)
    ]
    found = pool(rows, 0.95)
    assert (found.purpose, found.run, found.ended_at) == ("validate:1", 3, "2026-01-03T00:00:00.000000Z")
    assert found.repeats == 30 and found.details["rounds"] == 3


def test_one_measurement_stays_as_it_is() -> None:
    one = row(2.0, 0.01)
    assert pool([one], 0.95) is one


def test_a_latency_is_compared_by_its_ratio_and_any_other_metric_by_its_own_interval() -> None:
    own = row(2.0, 0.1)
    assert ratio_ends(own) == (own.low, own.high)
    latency = Measurement("a", "latency_ms", "d", "p", "search", 2.0, "ms", low=1.0, high=4.0, details={"ratio_low": 1.9, "ratio_high": 2.1})  # fmt: skip
    assert ratio_ends(latency) == (1.9, 2.1)
