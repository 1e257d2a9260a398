"""The level of a host: cases worked by hand, and campaigns on replayed hosts."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from scipy.signal import lfilter

from hwsearch.devices.timing.level import (
    HostLevel,
    Visit,
    effective_number,
    host_level,
    percent,
    period_labels,
)


def visits(levels: list[float] | np.ndarray, seconds: float = 15.0) -> list[Visit]:
    return [Visit(i * seconds, float(np.exp(x))) for i, x in enumerate(levels)]


def test_a_series_of_independent_values_counts_in_full_and_a_slow_one_less() -> None:
    rng = np.random.default_rng(1)
    free, slow = [], []
    for _ in range(200):
        e = rng.standard_normal(200)
        x = np.zeros(200)
        for i in range(1, 200):
            x[i] = 0.5 * x[i - 1] + e[i]
        free.append(effective_number(e))
        slow.append(effective_number(x))
    assert np.median(free) > 180
    assert np.median(slow) == pytest.approx(200 * 0.5 / 1.5, rel=0.15)  # (1 - .5) / (1 + .5)
    assert effective_number(np.array([1.0, 1.0, 1.0])) == 3 and effective_number(np.array([1.0, 2.0])) == 2


def test_two_visits_by_hand() -> None:
    """Levels 0 and 0.02 are drawn to what virtual machines showed, which counts as two: (2 · 0.1² + 0.0002) / 3.

    Fifteen seconds hold one and a half looks of half a minute, but four times the variance over two would be more than that
    of one: the spread counts in full, with t of three degrees, and root 2 for the difference of two campaigns.
    """
    level = host_level(visits([0.0, 0.02]))
    assert level.typical_ms == pytest.approx(math.exp(0.01))
    expected = math.expm1(math.sqrt(2) * 3.18245 * math.sqrt((2 * 0.01 + 0.0002) / 3))
    assert level.half_width == pytest.approx(expected, rel=1e-4)
    assert level.spread == pytest.approx(0.02 / math.sqrt(2)) and level.periods == 2 and level.seconds == 15
    assert level.verdict == "unknown"


def test_one_visit_has_the_spread_that_virtual_machines_showed() -> None:
    level = host_level([Visit(5.0, 2.0)])
    assert level.typical_ms == pytest.approx(2.0) and math.isnan(level.spread)
    assert level.half_width == pytest.approx(math.expm1(math.sqrt(2) * 4.30265 * 0.1), rel=1e-4)


def test_four_visits_in_a_row_are_one() -> None:
    """Of eight visits over 60 s: three looks of half a minute, but eight that follow each other are worth two."""
    level = host_level(visits([0.01 * (-1) ** (i // 2) for i in range(8)], 8.0))
    spread = 0.01 * math.sqrt(8 / 7)
    assert level.periods == 4
    assert level.half_width == pytest.approx(math.expm1(math.sqrt(2) * stats.t.ppf(0.975, 7) * spread / math.sqrt(2)))


def with_pause(levels: np.ndarray, before: int, pause_s: float) -> list[Visit]:
    """Visits every ten seconds, and a pause after the first few."""
    return [Visit(10.0 * i + (pause_s if i >= before else 0.0), float(np.exp(x))) for i, x in enumerate(levels)]


def test_a_pause_makes_no_interval_narrower_than_one_look_more_does() -> None:
    rng = np.random.default_rng(3)
    for _ in range(20):
        levels = rng.normal(0, 0.01, 24)
        through, slept, resumed = (host_level(with_pause(levels, 12, s)) for s in (0.0, 3600.0, 86_400.0))
        assert slept.width == resumed.width and slept.seconds == resumed.seconds == 230 - 10 + 600
        assert slept.width > 0.9 * through.width  # 8.7 looks have become 9.3, not 130


def test_a_clock_that_steps_back_leaves_the_level_where_it_is() -> None:
    rng = np.random.default_rng(4)
    levels = rng.normal(0, 0.02, 40)
    right = host_level(visits(levels))
    for step in (20.0, 300.0, 1e6):
        stepped = [Visit(v.at_s - (step if i >= 20 else 0.0), v.reference_ms) for i, v in enumerate(visits(levels))]
        found = host_level(stepped)
        assert found.typical_ms == pytest.approx(right.typical_ms, rel=0.01)
        assert found.width > 0.7 * right.width and found.seconds >= 0


def test_per_cent_are_told_to_two_places_and_what_is_not_known_is_not() -> None:
    assert percent(0.123456) == 12.35 and percent(math.nan) is None and percent(math.inf) is None


def test_sixteen_visits_of_one_period_by_hand() -> None:
    """Alternately 0.01 to both sides: standard deviation 0.01 · √(16/15); of 7.5 s, so 1.25 looks, not 16 / 4."""
    level = host_level(visits([0.01 * (-1) ** i for i in range(16)], 0.5))
    expected = math.sqrt(2) * stats.t.ppf(0.975, 15) * 0.01 * math.sqrt(16 / 15) * math.sqrt(1 / 1.25)
    assert level.periods == 1 and level.half_width == pytest.approx(math.expm1(expected), rel=1e-6)


def test_a_series_has_at_most_one_look_each_half_minute() -> None:
    """Twelve periods of 15 s, alternately 0.02 to both sides, are six and a half looks: 165 s, and one more.

    Each is 0.2 bandwidths from the mode, so a period says 0.02 / (1 - 0.2²): the density is flatter than at a single level.
    """
    level = host_level(visits([0.02 * (-1) ** i for i in range(12)]))
    spread = 0.02 / 0.96 * math.sqrt(12 / 11)
    wide = spread / math.sqrt(6.5) * stats.t.ppf(0.975, 5.5)
    assert level.half_width == pytest.approx(
        math.expm1(math.sqrt(2) * wide), rel=1e-6
    ) and level.half_width == pytest.approx(level.width)
    assert level.typical_ms == pytest.approx(1.0) and level.fastest_ms == level.slowest_ms == level.typical_ms


def test_a_host_that_changes_once_is_a_single_look_and_no_less() -> None:
    """Three periods at -0.05 and three at 0.05: one look of standard deviation √(6/5) 0.05 / (1 - 0.5²), known by half of six."""
    level = host_level(visits([-0.05] * 3 + [0.05] * 3))
    spread = math.sqrt(6 / 5) * 0.05 / 0.75
    assert level.half_width == pytest.approx(math.expm1(math.sqrt(2) * spread * stats.t.ppf(0.975, 3)))


def test_a_host_of_two_speeds_is_typically_at_the_more_frequent_and_may_be_found_at_the_other() -> None:
    """Eight of twelve periods at 1 ms and four half as slow again: the difference of shares, 1/3, is not significant.

    Its standard error is 0.985 over the root of 6.5 looks, times t of 5.5 degrees, times the root of 2: 1.4. One slow period in
    twelve differs by 10/12, and each minute a look: 0.577 over the root of 12, times t of 11 degrees and the root of 2, is 0.52.
    """
    often = [0.0, 0.0, 0.5, 0.0, 0.0, 0.5, 0.0, 0.0, 0.5, 0.0, 0.0, 0.5]
    level = host_level(visits(often))
    assert level.typical_ms == pytest.approx(1.0, rel=1e-4) == level.fastest_ms
    assert level.slowest_ms == pytest.approx(math.exp(0.5), rel=1e-4) and level.width < 0.02
    assert [round(s.share, 3) for s in level.speeds] == [0.667, 0.333]
    assert level.half_width == pytest.approx((1 + level.width) * math.exp(0.5) - 1, rel=1e-3)
    fast = host_level(visits([-x for x in often]))  # the other one may be the faster one
    assert fast.fastest_ms == pytest.approx(math.exp(-0.5), rel=1e-4) and fast.slowest_ms == fast.typical_ms
    rarely = host_level(visits([0.0] * 5 + [0.5] + [0.0] * 6, 60.0))
    assert rarely.slowest_ms == rarely.typical_ms and rarely.half_width < 0.02 and len(rarely.speeds) == 2


def test_of_few_periods_every_speed_that_was_seen_may_be_found_again() -> None:
    level = host_level(visits([0.0, 0.0, 0.5]))
    assert level.typical_ms == pytest.approx(1.0, rel=1e-4) and level.slowest_ms == pytest.approx(
        math.exp(0.5), rel=1e-4
    )


def test_the_levels_along_a_look_count_and_not_its_mean() -> None:
    """Each look finds 1 ms for three quarters of its time and 2 ms for one: never the 1.2 ms of its mean."""
    level = host_level([Visit(15.0 * k, 1.2, (1.0, 2.0, 1.0, 1.0)) for k in range(8)])
    assert level.typical_ms == pytest.approx(1.0, rel=1e-6) and level.undisturbed_ms == pytest.approx(1.0)
    assert [round(s.share, 3) for s in level.speeds] == [0.75, 0.25] and level.slowest_ms == level.typical_ms


def test_many_visits_in_one_period_are_one_look() -> None:
    """Sixty visits within 15 s say less of another time than the same sixty over 15 minutes do."""
    rng = np.random.default_rng(2)
    found = 0.003 * rng.standard_normal(60)
    together, apart = host_level(visits(found, 0.2)), host_level(visits(found, 15))
    assert together.periods == 1 and math.isnan(together.spread) and together.verdict == "unknown"
    assert apart.periods == 60 and apart.half_width < 0.003 and apart.verdict == "quiet"
    assert together.half_width > 3 * apart.half_width
    assert math.isnan(together.undisturbed_ms)


def test_the_undisturbed_host_is_what_its_quietest_periods_agree_on() -> None:
    """Of eight periods the two whose fastest moments are fastest count: 1.0 and 1.04 ms are within 6 %, 1.0 and 1.07 are not."""
    told = [Visit(20.0 * k, 2.0, (quiet, 2.0)) for k, quiet in enumerate((1.5, 1.0, 1.7, 1.04, 1.6, 1.5, 1.4, 1.8))]
    quiet = [
        0.95 * math.log(ms) + 0.05 * math.log(2.0) for ms in (1.0, 1.04)
    ]  # the twentieth lies between the two levels
    assert host_level(told).undisturbed_ms == pytest.approx(math.exp(sum(quiet) / 2))
    assert math.isnan(host_level([*told[:3], told[3]._replace(levels_ms=(1.07, 2.0)), *told[4:]]).undisturbed_ms)
    assert math.isnan(host_level(told[:3]).undisturbed_ms)  # a host may be disturbed alike in three periods
    wide = [Visit(20.0 * k, 2.0, (1.0 + 0.01 * k,)) for k in range(24)]  # of twenty-four, three
    assert host_level(wide).undisturbed_ms == pytest.approx(1.01)


def test_looks_of_a_moment_tell_the_undisturbed_host_by_the_fastest_of_each_period() -> None:
    """Thirty looks in each of six periods, of which the fastest tenth took 1 ms and the others 1.5 ms."""
    found = host_level([Visit(0.5 * i, 1.0 if i % 10 == 0 else 1.5) for i in range(180)])
    assert found.undisturbed_ms == pytest.approx(1.0) and found.typical_ms == pytest.approx(1.5, rel=1e-4)


def test_a_few_disturbed_periods_do_not_move_it() -> None:
    quiet = [0.001 * (-1) ** i for i in range(20)]
    assert host_level(visits([*quiet, 0.5, 0.4])).typical_ms == pytest.approx(1.0, abs=0.002)
    assert host_level(visits([*quiet, -0.5, -0.4])).typical_ms == pytest.approx(1.0, abs=0.002)


def test_longer_measuring_narrows_it_by_the_root_of_the_time() -> None:
    level = HostLevel(1.0, 0.08, 0.05, 0.9, 20, 300.0)
    assert level.after(1200.0) == pytest.approx(0.04) and level.verdict == "wandering"
    with pytest.raises(ValueError, match=r"cannot last -1"):
        level.after(-1)
    assert HostLevel(1.0, 0.08, 0.25, 0.9, 20, 300.0).verdict == "hostile"


def test_other_speeds_widen_one_side_and_no_length_of_time_takes_them_away() -> None:
    """8 % to either side of a speed of 1 ms, or of another at 1.5: 1 / 1.08 - 1 and 1.5 times 1.08 - 1."""
    level = HostLevel(1.0, 0.08, 0.05, 0.9, 20, 300.0, 1.0, 1.5)
    assert level.ends == pytest.approx((-0.0740741, 0.62))
    assert level.half_width == pytest.approx(0.62) and level.after(1200.0) == pytest.approx(1.5 * 1.04 - 1)
    faster = HostLevel(1.5, 0.08, 0.05, 0.9, 20, 300.0, 1.0, 1.5)
    assert faster.ends == pytest.approx((1 / 1.5 / 1.08 - 1, 0.08)) and faster.half_width == pytest.approx(0.62)


def test_the_order_of_visits_does_not_matter_and_wrong_ones_are_told() -> None:
    some = visits([0.0, 0.1, 0.05, 0.2, 0.1, 0.3])
    assert host_level(some[::-1]) == host_level(some)
    with pytest.raises(ValueError, match="at least one visit"):
        host_level([])
    for wrong in (0.0, -1.0, math.nan, math.inf):
        for visit in (Visit(99.0, wrong), Visit(99.0, 1.0, (1.0, wrong))):
            with pytest.raises(ValueError, match=f"{wrong!r} ms is not a positive number"):
                host_level([*some, visit])


def test_periods_begin_with_a_visit() -> None:
    assert period_labels(np.array([0.0, 14.9, 15.0, 100.0]), 15.0).tolist() == [0, 0, 1, 2]


# ---------------------------------------------------------------------- coverage
def ornstein_uhlenbeck(rng: np.random.Generator, n: int, sd: float, seconds: float) -> np.ndarray:
    """A slow series, a value a second."""
    keep = math.exp(-1 / seconds)
    e = rng.standard_normal(n) * math.sqrt(1 - keep**2)
    e[0] = rng.standard_normal()
    return sd * np.asarray(lfilter([1.0], [1.0, -keep], e))


def two_speeds(rng: np.random.Generator, n: int) -> np.ndarray:
    """A neighbour comes for about 12 s, goes for about 20 s, and makes the host 40 % slower."""
    out: list[float] = []
    slow = rng.random() < 0.4
    while len(out) < n:
        size = int(rng.exponential(12 if slow else 20)) + 1
        out += [0.35 if slow else 0.0] * size
        slow = not slow
    return np.array(out[:n]) + 0.03 * rng.standard_normal(n)


HOSTS = {
    "quiet": lambda rng, n: ornstein_uhlenbeck(rng, n, 0.004, 20),
    "wandering": lambda rng, n: ornstein_uhlenbeck(rng, n, 0.12, 12),
    "slow": lambda rng, n: ornstein_uhlenbeck(rng, n, 0.05, 40),
    "hostile": two_speeds,
}


def campaign(rng: np.random.Generator, host: str, seconds: int) -> list[Visit]:
    """Visits of four seconds with pauses of about three."""
    series, found, t = HOSTS[host](rng, seconds), [], 0
    while t + 4 <= seconds:
        levels = np.exp(series[t : t + 4] + 0.004 * rng.standard_normal())
        found.append(Visit(t + 2.0, float(np.median(levels)), tuple(levels.tolist())))
        t += 4 + int(rng.exponential(3))
    return found


@pytest.mark.parametrize("host", HOSTS)
def test_another_campaign_is_found_within_the_interval(host: str) -> None:
    """150 pairs of campaigns of ten minutes: 95 % intervals hold about 95 of 100, and half of them would hold far fewer."""
    rng = np.random.default_rng(7)
    held = half = 0
    pairs = 150
    for _ in range(pairs):
        a, b = host_level(campaign(rng, host, 600)), host_level(campaign(rng, host, 600))
        apart, wide = math.log(b.typical_ms / a.typical_ms), math.log1p(a.width)
        held += -a.faster - wide <= apart <= a.slower + wide
        half += -(a.faster + wide) / 2 <= apart <= (a.slower + wide) / 2
    assert 0.91 <= held / pairs <= 0.995
    assert half / pairs < 0.9  # the interval is not wide for nothing
