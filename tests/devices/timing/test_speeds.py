"""The speeds of a host: against scipy's kernel density, cases worked by hand, and the error that resampling shows."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import optimize, stats

from hwsearch.devices.timing.speeds import BANDWIDTH, host_speeds


def test_one_level_is_one_speed_that_all_periods_tell_of() -> None:
    (speed,) = host_speeds([np.array([0.3])] * 4)
    assert speed.level == pytest.approx(0.3) and speed.share == 1.0 and speed.informative == pytest.approx(4.0)
    assert speed.near.tolist() == pytest.approx([1.0] * 4) and speed.pseudo.tolist() == pytest.approx([0.3] * 4)


def test_levels_to_both_sides_by_hand() -> None:
    """Periods at -0.05 and 0.05, half a bandwidth from the mode 0: weight exp(-1/8), and each says 0.05 / (1 - 1/4)."""
    (speed,) = host_speeds([np.array([-0.05]), np.array([0.05])])
    assert speed.level == pytest.approx(0.0, abs=1e-8) and speed.near.tolist() == pytest.approx([math.exp(-1 / 8)] * 2)
    assert speed.pseudo.tolist() == pytest.approx([-0.05 / 0.75, 0.05 / 0.75])


def test_a_period_counts_once_however_many_looks_it_has() -> None:
    """Ten looks at 1.0 in one period against one look each at 0.0 in two."""
    often, other = host_speeds([np.full(10, 1.0), np.array([0.0]), np.array([0.0])])
    assert often.level == pytest.approx(0.0, abs=1e-6) and often.share == pytest.approx(2 / 3)
    assert other.level == pytest.approx(1.0) and other.informative == pytest.approx(1.0)
    assert often.pseudo[0] == pytest.approx(0.0, abs=1e-6)  # a period at the other speed says nothing against this one


def test_what_is_far_off_moves_nothing_and_is_no_speed_while_it_is_rare() -> None:
    looks = [np.full(40, 0.01 * (-1) ** k) for k in range(6)]
    looks[2] = np.append(looks[2], [0.9, 1.5])
    (speed,) = host_speeds(looks)
    assert speed.level == pytest.approx(0.0, abs=1e-3) and float(speed.pseudo.mean()) == pytest.approx(speed.level)


def test_a_flat_peak_is_known_badly_and_not_infinitely_so() -> None:
    """At two bandwidths between two levels the density is flat at its top: a period says no more than ten times its distance."""
    (speed,) = host_speeds([np.array([-BANDWIDTH]), np.array([BANDWIDTH])])
    assert speed.level == pytest.approx(0.0, abs=1e-3)
    assert np.abs(speed.pseudo).tolist() == pytest.approx([10 * BANDWIDTH] * 2, rel=1e-2)


def test_the_mode_is_that_of_scipys_kernel_density() -> None:
    rng = np.random.default_rng(3)
    for _ in range(5):
        x = np.concatenate([rng.normal(0, 0.15, 40), rng.normal(0.6, 0.05, 15)])
        density = stats.gaussian_kde(x, bw_method=BANDWIDTH / x.std(ddof=1))
        grid = np.linspace(-0.5, 1.0, 600)
        start = grid[np.argmax(density(grid))]
        depth = lambda v, density=density: -density(v)[0]  # noqa: E731
        best = optimize.minimize_scalar(depth, bounds=(start - 0.02, start + 0.02), method="bounded")
        speeds = host_speeds([np.array([v]) for v in x])
        assert speeds[0].level == pytest.approx(best.x, abs=1e-4)
        heights = [float(density(s.level)[0]) for s in speeds]
        assert heights == sorted(heights, reverse=True)
        scale = BANDWIDTH * math.sqrt(2 * math.pi)  # of a kernel of height 1 over a density of area 1
        assert [float(s.near.mean()) for s in speeds] == pytest.approx([scale * h for h in heights], rel=1e-6)
        assert sum(s.share for s in speeds) <= 1 + 1e-9


def test_what_periods_say_has_the_error_that_a_jackknife_shows() -> None:
    """Leaving out one period of forty after the other: the jackknife's standard error of the mode, within a fifth."""
    rng = np.random.default_rng(4)
    ratios = []
    for _ in range(10):
        periods = [rng.normal(rng.normal(0, 0.06), 0.03, 8) for _ in range(40)]
        speed = host_speeds(periods)[0]
        mine = speed.pseudo.std(ddof=1) / math.sqrt(40)
        left = np.array([host_speeds(periods[:k] + periods[k + 1 :])[0].level for k in range(40)])
        ratios.append(mine / math.sqrt(39 / 40 * ((left - left.mean()) ** 2).sum()))
    assert np.median(ratios) == pytest.approx(1.0, abs=0.2)
