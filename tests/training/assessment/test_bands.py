"""Bands by counting, probes by hand, and excess losses by brute force."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hwsearch.errors import TrainingError
from hwsearch.training.assessment.bands import band_rows, choose_probes, choose_subnets, excess_losses


def test_subnets_are_spread_over_bands_with_both_ends(torn) -> None:
    """Twelve architectures of 10 to 10⁶ MACs: in three bands of equal width in the logarithm four each."""
    net = torn(opposed=False)
    cells, archs, member = choose_subnets(net, 6, 3, np.random.default_rng(0))
    assert [len(c.rows) for c in cells] == [4, 4, 4] and member.tolist() == [0, 0, 1, 1, 2, 2]
    macs = [net.macs(a) for a in archs]
    assert macs == sorted(macs) and macs[0] == 10 and macs[-1] == 10**6 and len({a.id for a in archs}) == 6
    assert all(cells[k].macs[0] <= m <= cells[k].macs[-1] for k, m in zip(member, macs, strict=True))
    again = choose_subnets(net, 6, 3, np.random.default_rng(0))[1]
    assert [a.id for a in again] == [a.id for a in archs]


def test_a_band_gives_no_more_than_it_has_and_a_remainder_goes_to_the_first(torn) -> None:
    _, archs, member = choose_subnets(torn(opposed=False), 100, 3, np.random.default_rng(0))
    assert len(archs) == 12 and np.bincount(member).tolist() == [4, 4, 4]
    _, archs, member = choose_subnets(torn(opposed=False), 7, 3, np.random.default_rng(0))
    assert np.bincount(member).tolist() == [3, 2, 2]


def test_a_space_without_bands_is_refused(torn) -> None:
    with pytest.raises(TrainingError, match=r"space 'torn' has no two bands of MACs.*all cost the same"):
        choose_subnets(torn(opposed=False, columns=1), 4, 2, np.random.default_rng(0))


def test_probes_are_spread_over_the_logarithm_with_both_ends() -> None:
    macs = np.array([100.0, 1.0, 50.0, 10.0, 9.0])
    assert choose_probes(macs, 3).tolist() == [1, 3, 0]
    assert choose_probes(macs, 2).tolist() == [1, 0]
    assert choose_probes(macs, 9).tolist() == [1, 4, 3, 2, 0]
    assert len(set(choose_probes(np.full(3, 4.0), 2).tolist())) == 2


def test_excess_is_over_the_best_of_no_more_macs() -> None:
    rng = np.random.default_rng(0)
    macs, losses = rng.integers(1, 6, 30).astype(float), rng.normal(size=30)
    found = excess_losses(macs, losses)
    for i in range(30):
        best = min(losses[j] for j in range(30) if macs[j] <= macs[i])
        assert found[i] == pytest.approx(losses[i] - best)
    assert (found >= 0).all() and (found == 0).any()


def test_a_band_has_its_mean_its_ends_and_an_interval_for_subnets_and_examples(torn) -> None:
    cells, _, member = choose_subnets(torn(opposed=False), 6, 3, np.random.default_rng(0))
    scores = np.array([50.0, 54.0, 60.0, 60.0, 71.0, 73.0])
    rows = band_rows(cells, member, scores, np.full(6, 2.0), np.array([0.0, 0.1, 0, 0, 0.3, 0.5]))
    assert [r.score.value for r in rows] == [52, 60, 72] and [r.worst for r in rows] == [50, 60, 71]
    assert [r.best for r in rows] == [54, 60, 73] and rows[2].excess_loss.value == pytest.approx(0.4)
    assert rows[1].score.high - 60 == pytest.approx(1.959964 * 2)  # subnets alike: the examples' error alone
    assert rows[0].score.high - 52 == pytest.approx(math.hypot(12.7062 * 2, 1.959964 * 2), abs=1e-3)
    assert rows[0].macs_low == 10 and rows[-1].macs_high == 10**6 and rows[0].to_dict()["subnets"] == 2
