"""Intervals of sums and maxima, by hand and by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hwsearch.campaigns.ensembles.latency import Interval, max_interval, sum_interval

Z = 1.959964


def test_a_sum_by_hand() -> None:
    found = sum_interval([Interval(3.0, 2.5, 3.6, 2.7, 3.3), Interval(4.0, 3.5, 4.5, 3.6, 4.4)])
    assert found.value == 7.0
    assert (found.ratio_low, found.ratio_high) == pytest.approx((6.5, 7.5))
    common_low, common_high = 0.4 + 0.3, math.sqrt(0.36 - 0.09) + 0.3
    assert found.low == pytest.approx(7 - math.hypot(0.5, common_low))
    assert found.high == pytest.approx(7 + math.hypot(0.5, common_high))


def test_one_part_keeps_its_interval_and_what_is_not_known_is_common() -> None:
    one = Interval(3.0, 2.5, 3.6, 2.7, 3.3)
    assert sum_interval([one]).low == pytest.approx(2.5)
    assert sum_interval([one]).high == pytest.approx(3.6) and sum_interval([one]).ratio_high == pytest.approx(3.3)
    bare = Interval(3.0, 2.5, 3.6)
    found = sum_interval([bare, bare])
    assert (found.low, found.high) == pytest.approx((5.0, 7.2))  # ends add up: nothing is taken to cancel
    odd = Interval(3.0, 2.5, 3.6, 2.4, 2.9)  # a ratio that is wider, or does not hold the value
    found = sum_interval([odd, odd])
    assert (found.low, found.high) == pytest.approx((5.0, 7.2))


def test_intervals_of_sums_hold_what_they_say() -> None:
    """Three latencies with errors of their own and of a common level: the sum's interval covers it as often as theirs do."""
    rng, truth = np.random.default_rng(0), np.array([1.0, 2.0, 4.0])
    own, level, held = 0.02, 0.03, {True: 0, False: 0}
    for _ in range(4000):
        ratio = truth * (1 + own * rng.normal(size=3))
        seen = ratio * (1 + level * rng.normal())
        half = Z * seen * own, Z * seen * math.hypot(own, level)
        parts = [Interval(v, v - w, v + w, v - r, v + r) for v, r, w in zip(seen, *half, strict=True)]
        for common in (True, False):
            used = parts if common else [Interval(p.value, p.low, p.high, p.low, p.high) for p in parts]
            found = sum_interval(used)
            held[common] += found.low <= truth.sum() <= found.high
    assert 0.935 < held[True] / 4000 < 0.965
    assert held[False] / 4000 < 0.9  # errors of one host's level taken as independent would promise too much


def test_a_maximum_by_hand_and_by_simulation() -> None:
    found = max_interval([Interval(3.0, 2.5, 3.2), Interval(2.9, 2.6, 3.9)], 0.95)
    assert found.value == 3.0 and found.low == 2.6
    assert found.high == pytest.approx(2.9 + 1.0 * 2.2414027 / Z)
    assert max_interval([Interval(3.0, 2.5, 3.2)], 0.95).high == pytest.approx(3.2)
    rng, held = np.random.default_rng(1), 0
    for _ in range(2000):
        seen = 1 + 0.05 * rng.normal(size=5)
        one = max_interval([Interval(v, v - Z * 0.05, v + Z * 0.05) for v in seen], 0.95)
        held += one.high >= 1.0
    assert held / 2000 > 0.975
