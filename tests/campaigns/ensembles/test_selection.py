"""Greedy forward selection against exhaustive search, and cases worked by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsearch.campaigns.ensembles.selection import Pool, spread_pool


def drawn(
    seed: int, members: int = 6, n: int = 40, classes: int = 3
) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """Members that see the right class through noise of their own; larger latencies have less of it."""
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, classes, n)
    latency = np.sort(rng.uniform(0.5, 2.0, members))
    truth = np.eye(classes)[targets]
    logits = [truth + rng.normal(0, 2.2 / np.sqrt(1 + l), truth.shape) for l in latency]
    shares = [(np.exp(x) / np.exp(x).sum(1, keepdims=True)).astype(np.float32) for x in logits]
    return shares, targets, latency


def brute(pool: Pool, most: int) -> int:
    """Most examples that any set within the limit answers right, counted apart from the class's own code."""
    best = -1
    for size in range(1, most + 1):
        for members in itertools.combinations(range(len(pool.shares)), size):
            together = max(pool.latency[list(members)]) if pool.parallel else sum(pool.latency[list(members)])
            if together <= pool.limit:
                mean = np.mean([pool.shares[i].astype(np.float64) for i in members], axis=0)
                best = max(best, int((mean.argmax(1) == pool.targets).sum()))
    return best


@given(st.integers(0, 10_000), st.sampled_from([1.0, 2.5, 4.0]), st.booleans())
def test_greedy_is_never_above_and_seldom_below_the_best_of_all(seed: int, limit: float, parallel: bool) -> None:
    pool = Pool(*drawn(seed), limit, parallel=parallel)
    greedy, every, single = pool.greedy(3), pool.exhaustive(3), pool.best_single()
    assert (greedy is None) == (every is None) == (single is None)
    if greedy is None or every is None or single is None:
        return
    assert every.correct == brute(pool, 3)
    assert single.correct <= greedy.correct <= every.correct
    assert pool.fits(greedy.members) and greedy == pool.choice(greedy.members)


def test_greedy_finds_the_best_of_all_in_most_cases() -> None:
    equal = 0
    for seed in range(60):
        pool = Pool(*drawn(seed), 4.0)
        greedy, every = pool.greedy(3), pool.exhaustive(3)
        assert greedy is not None and every is not None and greedy.correct >= every.correct - 2
        equal += greedy.correct == every.correct
    assert equal >= 48


def test_two_that_err_elsewhere_beat_the_best_one() -> None:
    sure, unsure = [0.9, 0.1], [0.4, 0.6]
    shares = [
        np.array(rows, np.float32) for rows in ([sure, unsure, unsure], [unsure, sure, sure], [sure, sure, unsure])
    ]
    targets = np.zeros(3, int)
    pool = Pool(shares, targets, np.array([1.0, 1.0, 2.0]), 2.0)
    single, chosen = pool.best_single(), pool.greedy(3)
    assert single is not None and chosen is not None
    assert (single.members, single.correct) == ((1,), 2)  # as right as the slower third one
    assert (sorted(chosen.members), chosen.correct, chosen.latency) == ([0, 1], 3, 2.0)
    tight = Pool(shares, targets, np.array([1.0, 1.0, 2.0]), 1.9).greedy(3)
    assert tight is not None and tight.members == (1,)
    beside = Pool(shares, targets, np.array([1.0, 1.0, 2.0]), 1.9, parallel=True).greedy(3)
    assert beside is not None and sorted(beside.members) == [0, 1] and beside.latency == 1.0
    assert Pool(shares, targets, np.array([1.0, 1.0, 2.0]), 0.9).greedy(3) is None


def test_too_many_are_thinned_out_along_the_latency() -> None:
    latency, scores = np.array([4.0, 1.0, 3.0, 2.0]), np.array([9.0, 5.0, 8.0, np.nan])
    assert spread_pool(latency, scores, 4).tolist() == [0, 1, 2, 3]
    assert spread_pool(latency, scores, 2).tolist() == [0, 1]
    assert spread_pool(latency, np.array([7.0, 5.0, 8.0, 6.0]), 2).tolist() == [2, 3]


@pytest.mark.parametrize("parallel", [False, True])
def test_a_limit_that_is_met_exactly_is_met(parallel: bool) -> None:
    pool = Pool(*drawn(0), 0.1 + 0.2, parallel=parallel)
    pool.latency = np.array([0.1, 0.2, 0.3, 1, 1, 1])
    assert pool.fits([2]) and pool.fits([0, 1]) and pool.fits([0, 1, 2]) is parallel
