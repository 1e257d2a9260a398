"""Sums of operators, against exact ones."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hwsearch.devices.timing.operator_sums import agreement, sums


def test_sums_look_operators_up():
    found = sums({"a": 0.5, "b": 2.0}, [{"a": 3}, {"a": 1, "b": 2}, {"c": 1}])
    np.testing.assert_array_equal(found, [1.5, 4.5, math.nan])


def test_agreement_of_a_line_is_perfect_and_of_noise_is_not():
    rng = np.random.default_rng(0)
    x = rng.uniform(1, 9, 100)
    exact = agreement(x, 0.3 + 1.2 * x, rng)
    assert exact["rank"] == pytest.approx(1) and exact["mape_pct"] < 1e-9 and exact["fitted"] == 30
    assert (exact["offset_ms"], exact["slope"]) == (pytest.approx(0.3), pytest.approx(1.2))
    noisy = agreement(x, (0.3 + 1.2 * x) * np.exp(rng.normal(0, 0.1, 100)), rng)
    assert noisy["rank"] < 1 and 5 < noisy["mape_pct"] < 12
    assert agreement(x[:20], x[:20], rng)["fitted"] == 10
    assert agreement(x[:5], x[:5], rng)["mape_pct"] is None
