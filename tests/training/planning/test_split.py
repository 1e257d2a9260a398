"""Minimal splitting against the closed form n / s, and ECMP against enumeration and generating functions."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest

from hwsearch.errors import ConfigError
from hwsearch.training.planning import ecmp_busiest, split_flows, split_load


def exact_mean_busiest(n: int, s: int) -> float:
    """E[max] of n balls in s bins: the probability that all bins hold at most k is n! / s^n [x^n] (sum_j<=k x^j / j!)^s."""
    mean = 0.0
    for k in range(n):
        power = [Fraction(1)]
        for _ in range(s):
            new = [Fraction(0)] * min(n + 1, len(power) + k)
            for i, a in enumerate(power):
                for j in range(min(k, n - i) + 1):
                    new[i + j] += a / math.factorial(j)
            power = new
        at_most = power[n] * math.factorial(n) / Fraction(s) ** n if len(power) > n else Fraction(0)
        mean += float(1 - at_most)
    return mean


def test_every_spine_carries_the_same_for_all_sizes() -> None:
    for s in range(1, 65):
        for n in [*range(s + 1), 2 * s + 1, 200 - s % 7, 200]:
            loads, flows = np.zeros(s, int), np.zeros(n, int)  # in units of 1/s of a flow
            pieces = split_flows(n, s)
            for p in pieces:
                units = p.share * s
                assert units.denominator == 1 and 0 < units <= s
                loads[p.spine] += units.numerator
                flows[p.flow] += units.numerator
            assert (loads == n).all() and (flows == s).all(), (n, s)
            r = n % s
            assert len(pieces) == n - r + (r + s - math.gcd(r, s) if r else 0)
            assert len({(p.flow, p.spine) for p in pieces}) == len(pieces)


def test_no_placement_has_fewer_pieces() -> None:
    """Brute force over all sets of pieces: loads that balance exist for none smaller (an exact flow problem each)."""
    for n, s in [(1, 2), (2, 3), (3, 2), (1, 3), (3, 4), (2, 4)]:
        edges = list(itertools.product(range(n), range(s)))
        ours = len(split_flows(n, s))

        def feasible(chosen: tuple[tuple[int, int], ...], n: int = n, s: int = s) -> bool:
            # Hall: each set of flows must fit on the spines that they reach, of n / s each
            reach = [{spine for flow, spine in chosen if flow == f} for f in range(n)]
            return all(
                len(some) * s <= n * len(set().union(*(reach[f] for f in some)))
                for size in range(1, n + 1)
                for some in itertools.combinations(range(n), size)
            )

        assert any(feasible(c) for c in itertools.combinations(edges, ours))
        assert not any(feasible(c) for k in range(n, ours) for c in itertools.combinations(edges, k))


def test_a_split_by_hand() -> None:
    assert [(p.flow, p.spine, str(p.share)) for p in split_flows(2, 3)] == [
        (0, 0, "2/3"),
        (0, 1, "1/3"),
        (1, 1, "1/3"),
        (1, 2, "2/3"),
    ]
    assert split_load(5, 4) == [Fraction(5, 4)] * 4 and split_flows(0, 3) == []


@pytest.mark.parametrize(("n", "s"), [(1, 1), (3, 2), (4, 3), (5, 2)])
def test_ecmp_against_enumeration(n: int, s: int) -> None:
    every = [max(np.bincount(hashes, minlength=s)) for hashes in itertools.product(range(s), repeat=n)]
    found = ecmp_busiest(n, s, 20_000, np.random.default_rng(1))
    assert abs(found.mean() - np.mean(every)) <= 4.5 * np.std(every) / math.sqrt(20_000)
    assert exact_mean_busiest(n, s) == pytest.approx(np.mean(every))
    assert set(found) <= set(every)


@pytest.mark.parametrize(("n", "s"), [(8, 8), (16, 8)])
def test_ecmp_against_generating_functions(n: int, s: int) -> None:
    found = ecmp_busiest(n, s, 20_000, np.random.default_rng(2))
    assert abs(found.mean() - exact_mean_busiest(n, s)) <= 4.5 * found.std() / math.sqrt(20_000)


@pytest.mark.parametrize(("flows", "spines"), [(3, 0), (-1, 2), (3, -1)])
def test_no_spine_and_less_than_no_flow_are_refused(flows: int, spines: int) -> None:
    with pytest.raises(ConfigError, match=f"{flows} flows over {spines} spines"):
        split_flows(flows, spines)
