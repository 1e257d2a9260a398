"""Covering sets and their coverage, against brute force."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy.stats import binomtest

from hwsearch.devices import Device, Workload
from hwsearch.devices.profiler import count_signatures
from hwsearch.devices.runtimes.onnxruntime import OnnxRuntime
from hwsearch.devices.timing.covering import choose, covering_set, uncovered
from hwsearch.exporters import lower
from hwsearch.spaces import Choice, SearchSpace, When
from hwsearch.supernets.families.mobilenetv3.config import MobileNetV3Config, Stage
from hwsearch.supernets.families.mobilenetv3.supernet import ElasticMobileNetV3


def conditional_space() -> SearchSpace:
    inner = [Choice(f"k[{i}]", (3, 5, 7), When("d", tuple(range(i + 1, 4)))) for i in range(1, 3)]
    outer = [Choice("r", (16, 24, 32)), Choice("d", (1, 2, 3)), Choice("k[0]", (3, 5, 7)), Choice("w", (1, 2))]
    return SearchSpace("conditional", [*outer, *inner, Choice("e", (2, 3, 4))])


def triples(space, archs) -> set:
    found = set()
    for arch in archs:
        found |= set(itertools.combinations(sorted(arch.items()), 3))
    return found


def test_any_three_values_that_occur_together_do_so_in_the_covering_set():
    space = conditional_space()
    every = list(space.enumerate())
    covers = covering_set(space, np.random.default_rng(0), limit=200)
    assert triples(space, covers) == triples(space, every)
    assert len(set(covers)) == len(covers) < len(every) / 4
    assert covers[0] in (space.smallest(), space.largest()) and {space.smallest(), space.largest()} <= set(covers)


def test_a_limit_keeps_the_most_telling_and_a_small_space_is_taken_whole():
    space = conditional_space()
    some = covering_set(space, np.random.default_rng(0), limit=20)
    random = space.sample(20, np.random.default_rng(1))
    assert len(some) == 20 and len(triples(space, some)) > len(triples(space, random))
    assert covering_set(space, np.random.default_rng(0), limit=10_000) == list(space.enumerate())


def test_signatures_of_a_covering_set_are_those_of_the_whole_space(randomise):
    """Brute force: every architecture of a small elastic network is run."""
    stage = (Stage(8, 2, "relu", True),)
    config = MobileNetV3Config(
        "tiny",
        stage,
        stem_width=8,
        final_width=16,
        mix_width=16,
        classes=2,
        kernels=(3, 5),
        expansions=(2, 3),
        depths=(1, 2),
        resolutions=(8, 16),
    )
    net = ElasticMobileNetV3(config)
    randomise(net)
    net.eval()
    runtime = OnnxRuntime(Device("cpu"))

    def count(arch):
        shape = net.input_shape(arch)
        model = lower(net.subnet(arch).eval(), shape).SerializeToString()
        return count_signatures(runtime, Workload.of(bytes(model), shape))

    counts = {a.id: count(a) for a in net.space.enumerate()}
    covers = covering_set(net.space, np.random.default_rng(0), limit=28)
    assert len(covers) < len(counts)
    assert set().union(*(counts[a.id] for a in covers)) == set().union(*counts.values())


def test_uncovered_counts_and_limits():
    drawn = [{"a": 1}, {"a": 2, "x": 1}, {"x": 1, "y": 3}, {"b": 1}, {"z": 1}, {"a": 1}]
    found = uncovered({"a", "b"}, drawn)
    assert (found.drawn, found.with_unknown, found.unknown) == (6, 3, 3)
    assert found.expected_new == pytest.approx(2 / 6)  # y and z were met once each
    assert found.share_high == pytest.approx(binomtest(3, 6, alternative="less").proportion_ci(0.95, "exact").high)
    assert uncovered({"a"}, [{"a": 1}] * 300).share_high == pytest.approx(1 - 0.05 ** (1 / 300))
    assert uncovered((), [{"a": 1}]).share_high == 1


def test_good_and_turing_tell_what_the_next_one_adds():
    """Against the exact expectation for independent kernels of known probability, over many draws."""
    rng, p = np.random.default_rng(0), 1 / np.arange(2, 60)
    told, exact = [], []
    for _ in range(300):
        met = rng.random((40, len(p))) < p
        told.append(uncovered((), [dict.fromkeys(map(str, np.flatnonzero(m)), 1) for m in met]).expected_new)
        exact.append(p[~met.any(axis=0)].sum())
    assert np.mean(told) == pytest.approx(np.mean(exact), rel=0.05)


def test_few_architectures_cover_what_is_missing():
    rng = np.random.default_rng(3)
    counts = {f"a{i}": {f"s{j}": 1 for j in np.flatnonzero(rng.random(12) < 0.3)} for i in range(10)}
    have = {s for c in counts.values() for s in c}
    taken = choose(counts, [*have, "nowhere"], times=1)
    assert set().union(*(counts[a] for a in taken)) == have
    fewest = next(
        n
        for n in range(1, 11)
        if any(set().union(*(counts[a] for a in c)) == have for c in itertools.combinations(counts, n))
    )
    assert len(taken) <= fewest * (1 + math.log(12))
    twice = choose(counts, have, times=2)
    for s in have:
        assert sum(s in counts[a] for a in twice) >= min(2, sum(s in c for c in counts.values()))
    assert choose(counts, []) == []
