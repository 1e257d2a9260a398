"""Warps: there, back, and their slope."""

from __future__ import annotations

import numpy as np
import pytest

from predictors.warp import Warp, warps


def test_warps_go_there_and_back_and_know_their_slope() -> None:
    y = np.random.default_rng(6).lognormal(1.0, 0.7, 50)
    assert {w.kind for w in warps(y)} == {"plain", "log", "gap"}
    assert {w.kind for w in warps(-y)} == {"plain", "gap"}
    assert [w.kind for w in warps(np.full(5, 3.0))] == ["plain", "log"]
    for warp in [*warps(y), Warp("gap", -3.0)]:
        t = warp(y)
        assert (np.diff(warp(np.sort(y))) > 0).all()
        assert warp.inverse(t) == pytest.approx(y)
        assert np.exp(warp.log_slope(y)) == pytest.approx((warp(y + 1e-6) - warp(y - 1e-6)) / 2e-6, rel=1e-5)
