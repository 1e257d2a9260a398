"""Sampling: uniform genes, distinct architectures, and an even spread over cost."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from hwsearch.spaces import Choice, SearchSpace, When
from hwsearch.supernets.families.mobilenetv3.config import MobileNetV3Config
from hwsearch.supernets.families.mobilenetv3.supernet import ElasticMobileNetV3


@pytest.fixture
def space() -> SearchSpace:
    """3 · (1 + 4) = 15 architectures: small enough to exhaust."""
    return SearchSpace(
        "tiny", [Choice("a", (1, 2, 3)), Choice("b", (1, 2)), Choice("c", (1, 2, 3, 4), When("b", (2,)))]
    )


def log_cost(net: ElasticMobileNetV3, rows: np.ndarray) -> np.ndarray:
    """Log MACs, scaled so that the smallest subnet has 0 and the largest 1."""
    ends = np.log(net.macs_array(net.space.to_array([net.space.smallest(), net.space.largest()])))
    return (np.log(net.macs_array(rows)) - ends[0]) / (ends[1] - ends[0])


def test_genes_are_uniform_and_independent(space: SearchSpace) -> None:
    rows = space.sample_array(12_000, np.random.default_rng(0))
    for column, size in ((0, 3), (1, 2)):
        assert stats.chisquare(np.bincount(rows[:, column], minlength=size)).pvalue > 1e-3
    on = rows[:, 1] == 1
    assert (rows[~on, 2] == -1).all()
    assert stats.chisquare(np.bincount(rows[on, 2], minlength=4)).pvalue > 1e-3
    assert stats.contingency.chi2_contingency(stats.contingency.crosstab(rows[:, 0], rows[:, 1])[1]).pvalue > 1e-3


def test_samples_are_distinct_and_outside_what_is_excluded(space: SearchSpace) -> None:
    everything = list(space.enumerate())
    assert len(everything) == 15
    excluded = everything[::3]
    found = space.sample(6, np.random.default_rng(1), exclude=excluded)
    assert len(found) == len(set(found)) == 6 and not set(found) & set(excluded)
    assert set(space.sample(99, np.random.default_rng(2), exclude=excluded)) == set(everything) - set(excluded)
    assert len(space.sample(40, np.random.default_rng(3), distinct=False)) == 40
    assert space.sample(0, np.random.default_rng(4)) == []


def test_one_seed_gives_one_sample(small_supernet: ElasticMobileNetV3) -> None:
    space, cost = small_supernet.space, small_supernet.macs_array
    for draw in (lambda rng: space.sample(20, rng), lambda rng: space.sample_balanced(20, rng, cost)):
        assert draw(np.random.default_rng(7)) == draw(np.random.default_rng(7)) != draw(np.random.default_rng(8))


@pytest.mark.parametrize("n", [2, 3, 40, 200])
def test_balanced_samples_have_the_extremes_and_are_distinct(small_supernet: ElasticMobileNetV3, n: int) -> None:
    space = small_supernet.space
    archs = space.sample_balanced(n, np.random.default_rng(n), small_supernet.macs_array)
    assert len(set(archs)) == len(archs) == n
    assert archs[:2] == [space.smallest(), space.largest()]


def test_balanced_samples_are_even_over_log_cost_where_uniform_genes_are_not(ofa_config: MobileNetV3Config) -> None:
    with torch.device("meta"):
        net = ElasticMobileNetV3(ofa_config)
    rng = np.random.default_rng(0)
    balanced = log_cost(net, net.space.sample_balanced_array(300, rng, net.macs_array))
    uniform = log_cost(net, net.space.sample_array(300, rng))
    assert stats.kstest(balanced, "uniform").statistic < 0.02
    assert stats.kstest(uniform, "uniform").statistic > 0.25
    counts = [np.histogram(x, bins=10, range=(-1e-9, 1 + 1e-9))[0] for x in (balanced, uniform)]
    assert counts[0].min() >= 25 and counts[0].max() <= 35  # 30 expected in each tenth
    assert counts[1].min() <= 3


def test_balanced_extremes_hold_when_others_cost_the_same(small_supernet: ElasticMobileNetV3) -> None:
    """Parameters do not depend on the resolution, so many subnets tie with the largest."""
    space = small_supernet.space
    archs = space.sample_balanced(10, np.random.default_rng(0), small_supernet.params_array)
    assert archs[:2] == [space.smallest(), space.largest()]


@pytest.mark.parametrize("n", [1, 2, 5])
def test_balanced_samples_of_any_number_can_leave_out_the_extremes(small_supernet: ElasticMobileNetV3, n: int) -> None:
    space = small_supernet.space
    ends = [space.smallest(), space.largest()]
    archs = space.sample_balanced(n, np.random.default_rng(0), small_supernet.macs_array, exclude=ends)
    assert len(set(archs)) == n and not set(archs) & set(ends)


def test_balanced_samples_exhaust_a_small_space(space: SearchSpace) -> None:
    archs = space.sample_balanced(99, np.random.default_rng(0), lambda rows: 1.0 + np.maximum(rows, 0).sum(1))
    assert set(archs) == set(space.enumerate()) and len(archs) == 15
