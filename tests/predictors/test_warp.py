"""Warps: there, back, and their slope."""

from __future__ import annotations

import numpy as np
import pytest

from predictors.warp import Warp, two_sided_warps, warps


def test_warps_go_there_and_back_and_know_their_slope() -> None:
    y = np.random.default_rng(6).lognormal(1.0, 0.7, 50)
    assert {w.kind for w in warps(y)} == {"plain", "log", "gap"}
    assert {w.kind for w in warps(-y)} == {"plain", "gap"}
    assert [w.kind for w in warps(np.full(5, 3.0))] == ["plain", "log"]
    for warp in [*two_sided_warps(y), Warp("gap", -3.0), Warp("ceiling", 1000.0)]:
        t = warp(y)
        assert (np.diff(warp(np.sort(y))) > 0).all()
        assert warp.inverse(t) == pytest.approx(y)
        assert np.exp(warp.log_slope(y)) == pytest.approx((warp(y + 1e-6) - warp(y - 1e-6)) / 2e-6, rel=1e-5)


def test_ceilings_are_the_gaps_of_the_mirrored_values() -> None:
    """Poles lie above the largest value by shares of the median's distance from it."""
    y = np.array([1.0, 6.0, 7.0, 8.0, 9.0])
    found = [w for w in two_sided_warps(y) if w.kind == "ceiling"]
    assert [w.pole for w in found] == pytest.approx([9.2, 10.0, 14.0])
    for warp, mirrored in zip(found, [w for w in warps(-y) if w.kind == "gap"], strict=True):
        assert warp(y) == pytest.approx(-mirrored(-y))
    assert two_sided_warps(np.full(3, 2.0)) == warps(np.full(3, 2.0))


@pytest.mark.parametrize("warp", [Warp("plain"), Warp("log"), Warp("gap", -3.0), Warp("ceiling", 50.0)])
def test_deviations_are_those_of_draws(warp: Warp) -> None:
    mean, spread = warp(np.array([5.0, 20.0])), np.array([0.1, 0.3])
    drawn = warp.inverse(mean + spread * np.random.default_rng(0).standard_normal((400_000, 2)))
    assert warp.deviation(mean, spread) == pytest.approx(drawn.std(axis=0), rel=0.01)
