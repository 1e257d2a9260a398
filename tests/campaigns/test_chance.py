"""Limits that hold with a probability: cases worked by hand, and picks against a known truth."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from hwsearch.campaigns.chance import (
    accepted,
    asked_probability,
    bounds,
    chance,
    confidence_level,
    fixed_sequence_test,
    standard_errors,
)
from hwsearch.campaigns.config import DeviceConfig
from hwsearch.campaigns.measured import WEIGHTED, WORST, MeasuredSet, shares
from hwsearch.campaigns.view import View
from hwsearch.objectives.limit import Limit
from hwsearch.objectives.objective import Objective

Z = 1.959963985  # of a 95 % interval


def made_up(*devices: str, weights: tuple[float, ...] = (), joint: bool = False) -> View:
    """A view of devices of no campaign, whose intervals have 95 %."""
    config = SimpleNamespace(device=[DeviceConfig(name=n, weight=w) for n, w in zip(devices, weights, strict=False)])
    campaign = SimpleNamespace(final_protocol=SimpleNamespace(confidence=0.95), config=config)
    targets = tuple(SimpleNamespace(name=n) for n in devices)
    objectives = (Objective("accuracy"), Objective("latency_ms", device=devices[0] if devices else "d"))
    deployment = "worst-case" if joint else "per-device"
    return View(campaign, "d", targets, objectives, deployment)  # type: ignore[arg-type]


def two_devices() -> tuple[View, MeasuredSet]:
    """Two subnets on two devices: latencies with standard errors of 0.1 and 0.2 ms, and scales of 2 and 4 ms."""
    columns = {"latency_ms@a": [1.0, 1.8], "latency_ms@b": [3.0, 2.0]}
    for name, error in (("a", 0.1), ("b", 0.2)):
        value = np.array(columns[f"latency_ms@{name}"])
        columns[f"latency_ms_low@{name}"] = list(value - Z * error)
        columns[f"latency_ms_high@{name}"] = list(value + Z * error)
    frame, scales, weights = pd.DataFrame(columns), np.array([2.0, 4.0]), np.array([1.0, 3.0])
    latency = frame[["latency_ms@a", "latency_ms@b"]].to_numpy()
    for name, share in shares(latency, scales, weights).items():
        frame[name] = share
    return made_up("a", "b", weights=(1.0, 3.0), joint=True), MeasuredSet(frame, {}, scales)


def test_the_worst_of_two_devices_is_bounded_by_bonferroni() -> None:
    """With 0.9 for both together each is bounded with 0.95, whose quantile is 1.6449."""
    view, measured = two_devices()
    z = 1.6448536
    expected = [max((1.0 + z * 0.1) / 2, (3.0 + z * 0.2) / 4), max((1.8 + z * 0.1) / 2, (2.0 + z * 0.2) / 4)]
    np.testing.assert_allclose(bounds(view, measured, WORST, Limit("<=", 1.0), 0.9), expected, rtol=1e-6)
    assert expected[1] == pytest.approx(0.9822, abs=1e-4)  # one device alone, with 0.9, would give 0.9641
    lower = [max((1.0 - z * 0.1) / 2, (3.0 - z * 0.2) / 4), max((1.8 - z * 0.1) / 2, (2.0 - z * 0.2) / 4)]
    np.testing.assert_allclose(bounds(view, measured, WORST, Limit(">=", 1.0), 0.9), lower, rtol=1e-6)


def test_bonferroni_holds_for_devices_that_err_independently() -> None:
    """The bound of the worst of two equally loaded devices is passed as seldom as it says, where one's alone is not."""
    view, measured = two_devices()
    frame = measured.frame.iloc[:1].assign(**{"latency_ms@a": 1.5, "latency_ms@b": 3.0})
    for name, error in (("a", 0.1), ("b", 0.2)):
        frame[f"latency_ms_high@{name}"] = frame[f"latency_ms@{name}"] + Z * error
    at = float(bounds(view, MeasuredSet(frame, {}, measured.scales), WORST, Limit("<=", 1.0), 0.9)[0])
    each = stats.norm.cdf((at * 2 - 1.5) / 0.1) * stats.norm.cdf((at * 4 - 3.0) / 0.2)
    assert each >= 0.9
    assert each == pytest.approx(0.95 * stats.norm.cdf((at * 4 - 3.0) / 0.2), rel=1e-6)


def test_the_weighted_share_adds_independent_errors() -> None:
    """Shares of 0.1 / 2 and 0.2 / 4, weighted by a quarter and three quarters."""
    view, measured = two_devices()
    expected = math.hypot(0.25 * 0.05, 0.75 * 0.05)
    np.testing.assert_allclose(standard_errors(view, measured, WEIGHTED, Limit("<=", 1.0)), [expected] * 2, rtol=1e-6)


def test_the_chance_of_the_worst_device_is_the_product() -> None:
    view, measured = two_devices()
    one = measured.where(np.array([True, False]))
    found = chance(view, one, WORST, Limit("<=", 0.76))
    assert found == pytest.approx(stats.norm.cdf((0.76 * 2 - 1.0) / 0.1) * stats.norm.cdf((0.76 * 4 - 3.0) / 0.2))


def test_upper_limits_are_met_from_below_and_lower_ones_from_above() -> None:
    """A latency of 2 ± 0.1 meets <= 2.1645 and not <= 2.16 with 0.95; an accuracy of 80 ± 1 meets >= 78.35."""
    frame = pd.DataFrame({"latency_ms": [2.0], "latency_ms_low": [2.0 - Z * 0.1], "latency_ms_high": [2.0 + Z * 0.1]})
    frame = frame.assign(accuracy=80.0, accuracy_low=80.0 - Z, accuracy_high=80.0 + Z)
    view, measured = made_up("d"), MeasuredSet(frame)
    upper = bounds(view, measured, "latency_ms", Limit("<=", 2.0), 0.95)
    lower = bounds(view, measured, "accuracy", Limit(">=", 80.0), 0.95)
    assert upper[0] == pytest.approx(2.16449, abs=1e-5) and lower[0] == pytest.approx(78.3551, abs=1e-3)
    assert chance(view, measured, "latency_ms", Limit("<=", 2.1)) == pytest.approx(0.8413, abs=1e-4)
    assert chance(view, measured, "latency_ms", Limit("<=", 1.9)) == pytest.approx(0.1587, abs=1e-4)
    assert chance(view, measured, "accuracy", Limit(">=", 79.0)) == pytest.approx(0.8413, abs=1e-3)


def test_the_sequence_goes_by_the_value_with_its_margin() -> None:
    """A subnet with the smaller value and a wide interval is tested after one that is known better.

    By plain values the first of each pair would be tested first, fail, and end the test before the second.
    """
    value, bounded, limit = np.array([9.0, 9.5]), np.array([11.0, 9.6]), Limit("<=", 10.0)
    assert accepted(value, bounded, np.array([9.1, 9.4]), limit).tolist() == [False, True]
    value, bounded, limit = np.array([81.0, 80.5]), np.array([79.0, 80.4]), Limit(">=", 80.0)
    assert accepted(value, bounded, np.array([81.2, 80.6]), limit).tolist() == [False, True]


def test_what_was_not_measured_before_is_tested_last() -> None:
    value, bounded, limit = np.array([1.0, 9.0]), np.array([1.1, 10.5]), Limit("<=", 10.0)
    assert accepted(value, bounded, np.array([np.nan, 9.0]), limit).tolist() == [False, False]


def test_a_probability_is_that_of_the_objective_of_the_column() -> None:
    limited = (Objective("accuracy"), Objective("latency_ms", device="a", limit=Limit("<=", 1.0), probability=0.9))
    campaign = SimpleNamespace(objectives=lambda device: list(limited))
    single = View(campaign, "a", (), limited)  # type: ignore[arg-type]
    assert asked_probability(campaign, single, "latency_ms") == 0.9  # type: ignore[arg-type]
    assert asked_probability(campaign, single, "accuracy") is None  # type: ignore[arg-type]
    joint = View(campaign, "all", (), (Objective("accuracy"),), "weighted")  # type: ignore[arg-type]
    assert asked_probability(campaign, joint, "latency_ms@a") == 0.9  # type: ignore[arg-type]


def test_the_probability_of_one_device_of_several_is_that_of_its_metric() -> None:
    """By the metric's name alone, too, where each device has an objective of that name; never another metric's."""
    limited = (Objective("accuracy"), Objective("_".join(["latency", "ms"]), limit=Limit("<=", 1.0), probability=0.8))
    campaign = SimpleNamespace(objectives=lambda device: {"a": list(limited)}[device])
    joint = View(campaign, "all", (), (Objective("accuracy"),), "weighted")  # type: ignore[arg-type]
    assert asked_probability(campaign, joint, "latency_ms@a") == 0.8  # type: ignore[arg-type]
    assert asked_probability(campaign, joint, "energy_mj@a") is None  # type: ignore[arg-type]
    assert asked_probability(campaign, joint, "latency_share_worst") is None  # type: ignore[arg-type]


def test_without_an_interval_a_limit_is_met_or_not() -> None:
    view, measured = made_up(), MeasuredSet(pd.DataFrame({"macs": [5.0], "accuracy": [80.0], "accuracy_low": [np.nan]}))
    for column, limit, met in (
        ("macs", Limit("<=", 5.0), 1.0),
        ("macs", Limit("<=", 4.9), 0.0),
        ("accuracy", Limit(">=", 80.0), 1.0),
        ("accuracy", Limit(">=", 80.1), 0.0),
    ):
        assert chance(view, measured, column, limit) == met


def test_an_interval_of_the_device_itself_counts_before_one_of_no_device() -> None:
    columns = {"latency_ms@d": 2.0, "latency_ms_high@d": 2.0 + Z * 0.1, "latency_ms_high": 2.0 + Z * 0.5}
    measured = MeasuredSet(pd.DataFrame({k: [v] for k, v in columns.items()}))
    found = standard_errors(made_up(), measured, "latency_ms@d", Limit("<=", 1.0))
    assert found == pytest.approx([0.1], rel=1e-6)
    assert standard_errors(made_up(), measured, "latency_ms@d", Limit(">=", 1.0)) == pytest.approx([0.0])


def test_intervals_of_scores_have_ninety_per_cent_and_others_what_the_protocol_says() -> None:
    campaign = made_up().campaign
    assert confidence_level(campaign, "accuracy") == pytest.approx(0.95, abs=1e-4)
    assert confidence_level(campaign, "latency_ms") == confidence_level(campaign, "energy_mj") == 0.95


def test_the_best_of_many_that_pass_still_meets_the_limit() -> None:
    """Dense candidates around a limit, the most accurate chosen: with p = 0.9 at most a tenth of the picks may break it.

    Testing each for itself is not enough, which is shown beside it.
    """
    rng = np.random.default_rng(0)
    limit, sigma, p, runs = Limit("<=", 10.0), 0.2, 0.9, 1500
    broken = broken_each = picked = 0
    for _ in range(runs):
        latency = np.sort(rng.uniform(8.5, 11.5, 300))  # the slower the more accurate
        before = latency + rng.normal(0, sigma, 300)
        bounded = latency + rng.normal(0, sigma, 300) + sigma * stats.norm.ppf(p)
        mask = fixed_sequence_test(bounded, limit, before)
        if mask.any():
            picked += 1
            broken += latency[np.flatnonzero(mask)[-1]] > limit.value
        each = bounded <= limit.value
        broken_each += latency[np.flatnonzero(each)[-1]] > limit.value
    slack = 3 * math.sqrt(0.09 / runs)
    assert picked > 0.9 * runs
    assert broken / runs <= 1 - p + slack
    assert broken_each / runs > 0.2  # what the naive rule would do


def test_fixed_sequence_test_by_hand() -> None:
    order = np.array([3.0, 1.0, 2.0, np.nan])
    low = fixed_sequence_test(np.array([4.0, 5.0, 5.1, 1.0]), Limit("<=", 5.0), order)
    assert low.tolist() == [False, True, False, False]  # the second in order fails, and ends it
    high = fixed_sequence_test(np.array([4.0, 5.0, 5.1, 9.0]), Limit(">=", 4.0), order)
    assert high.tolist() == [True, True, True, True]


def test_bounds_are_the_quantiles_of_what_a_repeated_campaign_finds() -> None:
    view = made_up()
    measured = MeasuredSet(
        pd.DataFrame(
            {
                "latency_ms": [2.0, 3.0],
                "latency_ms@d": [2.0, 3.0],
                "latency_ms_low": [1.9, np.nan],
                "latency_ms_high": [2.2, np.nan],
                "accuracy": [80.0, 70.0],
                "accuracy_low": [79.0, 68.0],
                "macs": [5.0, 6.0],
            }
        )
    )
    at_most = Limit("<=", 1.0)
    expected = stats.norm.ppf(0.99, loc=2.0, scale=0.2 / stats.norm.ppf(0.975))
    for column in ("latency_ms", "latency_ms@d"):
        np.testing.assert_allclose(bounds(view, measured, column, at_most, 0.99), [expected, 3.0])
    np.testing.assert_allclose(
        bounds(view, measured, "accuracy", Limit(">=", 1.0), 0.95),
        [80 - 1.6448536 / Z, 70 - 2 * 1.6448536 / Z],
        rtol=1e-4,
    )
    np.testing.assert_allclose(bounds(view, measured, "macs", at_most, 0.99), [5.0, 6.0])
    room = chance(view, measured.where(np.array([True, False])), "latency_ms", Limit("<=", 2.1))
    assert room == pytest.approx(stats.norm.cdf(2.1, loc=2.0, scale=0.2 / stats.norm.ppf(0.975)))
