from __future__ import annotations

import math

import numpy as np
import pytest

from hwsearch.devices import Timing, TimingProtocol
from hwsearch.devices.timing.estimate import at_level, combine, not_converged
from hwsearch.devices.timing.level import HostLevel, Visit, host_level
from hwsearch.devices.timing.sample import Sample
from hwsearch.devices.timing.sensitivity import Sensitivity
from hwsearch.devices.timing.statistics import Margin


def plain_sample(log_ratio):
    one = np.ones(1)
    return Sample(np.exp([log_ratio - 0.001, log_ratio + 0.001]), 1.0, 0.002, 0.0, 0.0, one, one, one, one)


def test_a_process_of_one_candidate_tells_of_it_and_not_of_all() -> None:
    """What deviates there is not taken for the error of the reference: it counts for the value and for its variance."""
    both = [[plain_sample(0.0) for _ in range(6)] for _ in range(2)]
    lone = [plain_sample(0.06), *[None] * 5]
    found = combine([*both, lone], TimingProtocol())
    assert found[0].value == pytest.approx(math.exp(0.02)) and found[1].value == pytest.approx(1.0)
    assert found[0].ratio_low < 1.0 and math.log(found[0].ratio_high / found[0].value) > 0.02


def test_the_value_is_the_ratio_at_the_typical_level_and_the_interval_holds_both_errors() -> None:
    """The reference took 2 ms in three processes: ratios of 1.5 are 3 ms, whatever the reference takes in one of them."""
    one = np.ones(1)
    rows = [[Sample(np.array([1.5, 1.5]), ms, 0.0, 0.0, 0.0, ms * one, one, one, one)] for ms in (2.0, 1.98, 2.02)]
    (timing,) = combine(rows, TimingProtocol())
    level = host_level([Visit(15.0 * k, ms) for k, ms in enumerate((2.0, 1.98, 2.02))])
    assert timing.typical == pytest.approx(level.typical_ms) and timing.value == pytest.approx(1.5 * level.typical_ms)
    ratio, both = math.log(timing.ratio_high / timing.value), math.log(timing.high / timing.value)
    assert both == pytest.approx(math.hypot(ratio, math.log1p(level.half_width)), rel=1e-9)
    assert timing.low == pytest.approx(timing.value * math.exp(-both))
    (elsewhere,) = combine(rows, TimingProtocol(), level=HostLevel(4.0, 0.0, 0.0, 4.0, 9, 99.0))
    assert elsewhere.value == pytest.approx(6.0) and elsewhere.high == pytest.approx(elsewhere.ratio_high)


def test_a_sensitive_model_moves_further_with_the_host_and_its_ratio_moves_too() -> None:
    """A host that another campaign may find 10 % slower makes a model of sensitivity 0.5 15 % slower, and its ratio 5 %.

    Undisturbed, the reference takes half its typical time, so the model takes its own times 0.5 to the power of 1.5.
    """
    level = HostLevel(2.0, math.expm1(0.1), 0.05, 1.0, 9, 99.0)
    own = at_level(0.0, Margin(0.0), level, Sensitivity(0.5, 0.0))
    assert own.value == pytest.approx(2.0) and own.undisturbed == pytest.approx(2.0 * 0.5**1.5)
    assert math.log(own.high / 2.0) == pytest.approx(0.15) == math.log(2.0 / own.low)
    assert math.log(own.ratio_high / 2.0) == pytest.approx(0.05) == math.log(2.0 / own.ratio_low)
    sturdy = at_level(0.0, Margin(0.0), level, Sensitivity(-0.5, 0.0))  # slows down half as much as the reference
    assert math.log(sturdy.high / 2.0) == pytest.approx(0.05) and sturdy.undisturbed == pytest.approx(2.0 * 0.5**0.5)
    unknown = at_level(
        0.0, Margin(0.03), level, Sensitivity(0.0, 0.4)
    )  # its error counts in both, beside that of the ratio
    assert math.log(unknown.ratio_high / 2.0) == pytest.approx(math.hypot(0.03, 0.04))
    assert math.log(unknown.high / 2.0) == pytest.approx(math.hypot(0.03, 0.04, 0.1))
    even = at_level(0.0, Margin(0.0), level)
    assert math.log(even.high / 2.0) == pytest.approx(0.1) and even.ratio_high == even.value


def test_two_errors_of_few_degrees_of_freedom_are_not_at_their_worst_at_once() -> None:
    """Both of four degrees and equal: a sum of eight, whose quantile is 2.306 and not 2.776."""
    level = HostLevel(2.0, math.expm1(0.1), 0.2, math.nan, 9, 99.0, freedom=4.0)
    found = at_level(0.0, Margin(0.1, 4.0), level)
    assert math.log(found.high / 2.0) == pytest.approx(0.1 * math.sqrt(2) * 2.306 / 2.7764, rel=1e-4)
    assert math.log(found.ratio_high / 2.0) == pytest.approx(0.1)


def test_an_interval_reaches_the_speeds_at_which_another_campaign_may_find_the_host() -> None:
    """At 2 ms typically, perhaps at 3: at the value times 1.5, times what is unknown there; and no lower than by the width."""
    level = HostLevel(2.0, math.expm1(0.1), 0.2, math.nan, 9, 99.0, 2.0, 3.0)
    even = at_level(0.0, Margin(0.05), level)
    both = math.hypot(0.1, 0.05)
    assert even.high == pytest.approx(3.0 * math.exp(both)) and even.low == pytest.approx(2.0 * math.exp(-both))
    assert even.ratio_high == pytest.approx(2.0 * math.exp(0.05)) and even.ratio_low == pytest.approx(
        2.0 * math.exp(-0.05)
    )
    own = at_level(0.0, Margin(0.0), level, Sensitivity(0.5, 0.0))
    assert own.high == pytest.approx(2.0 * 1.5**1.5 * math.exp(0.15)) and own.ratio_high == pytest.approx(
        2.0 * 1.5**0.5 * math.exp(0.05)
    )
    sturdy = at_level(
        0.0, Margin(0.0), level, Sensitivity(-0.5, 0.0)
    )  # its ratio to the reference falls at the slower speed
    assert sturdy.ratio_low == pytest.approx(2.0 * 1.5**-0.5 * math.exp(-0.05)) and sturdy.ratio_high == pytest.approx(
        2.0 * math.exp(0.05)
    )
    unsure = at_level(0.0, Margin(0.0), level, Sensitivity(0.0, 0.2))
    assert unsure.ratio_high == pytest.approx(2.0 * math.exp(0.2 * (0.1 + math.log(1.5))))


def test_a_candidate_that_failed_once_has_failed_and_one_that_was_never_timed_has_no_value() -> None:
    rows = [[plain_sample(0.0), Sample(failure="it hung"), None], [plain_sample(0.1), plain_sample(0.0), None]]
    good, failed, never = combine(rows, TimingProtocol())
    assert good.failure is None and len(good.looks) == 2 and good.looks[1].log_ratio == pytest.approx(0.1)
    assert failed.failure == "it hung" and math.isnan(failed.value)
    assert never.failure is None and math.isnan(never.value) and never.looks == ()
    assert combine([], TimingProtocol()) == []
    assert [t.failure for t in combine([[Sample(failure="no")]], TimingProtocol())] == ["no"]


def test_a_look_has_the_mean_of_its_loads_and_the_variance_of_that_mean() -> None:
    """Loads of logarithms 0.1 and 0.3: mean 0.2, variance 0.02, of the mean 0.01; a single load tells none."""
    one = np.ones(1)
    rows = [[Sample(np.exp(logs), 2.0, 0.004, 0.3, 0.1, 2 * one, one, one, one)] for logs in ([0.1, 0.3], [0.2])]
    first, second = combine(rows, TimingProtocol(), at=[5.0, 90.0])[0].looks
    assert first[:-1] == pytest.approx((5.0, 0.2, 0.01, 2.0, 0.004, 0.3, 0.1)) and first.levels_ms == (2.0,)
    assert second.at_s == 90.0 and second.log_ratio == pytest.approx(0.2) and math.isnan(second.variance)


def test_what_is_not_as_precise_as_asked_has_not_converged():
    protocol = TimingProtocol(half_width=0.01)
    precisions = (0.0099, 0.01, 0.0101, math.nan, math.inf)
    timings = [Timing(value=1.0, precision=p) for p in precisions]
    assert not_converged(timings, protocol) == [2, 3, 4]  # one whose precision is not known has not converged
    assert not_converged([Timing(failure="it hung")], protocol) == []  # and one that failed is left alone
