"""The parts of the kernel: covariances of unit variance, found from the names and values of genes."""

from __future__ import annotations

import numpy as np
import pytest

from hwsearch import spaces
from hwsearch.searchers.bayesian.structure import Structure
from hwsearch.spaces import SearchSpace
from hwsearch.spaces.choice import Choice, When


def space() -> SearchSpace:
    """Two stages of up to three layers, with a kernel size and an expansion each."""
    choices = []
    for stage in range(2):
        choices.append(Choice(f"d[{stage}]", (1, 2, 3)))
    for layer in range(6):
        deep = {0: None, 1: (2, 3), 2: (3,)}[layer % 3]
        when = When(f"d[{layer // 3}]", deep) if deep else None
        choices += [Choice(f"ks[{layer}]", (3, 5, 7), when=when), Choice(f"e[{layer}]", (3, 4, 6), when=when)]
    return SearchSpace("layers", choices)


@pytest.fixture(scope="module")
def structure() -> Structure:
    sample = space().sample_array(300, np.random.default_rng(0))
    return Structure(
        space(), sample, lambda rows: np.stack([(rows + 1.0).sum(axis=1), (rows >= 0).sum(axis=1)], axis=1)
    )


def test_each_part_is_a_covariance_of_unit_variance(structure: Structure) -> None:
    sample = structure.features(space().sample_array(300, np.random.default_rng(0)))
    for name, matrix in zip(structure.names, structure.stack(sample, sample), strict=True):
        assert np.linalg.eigvalsh(matrix).min() > -1e-8, name
        assert np.trace(matrix) / 300 - matrix.mean() == pytest.approx(1.0), name


def test_kinds_and_slots_are_found(structure: Structure) -> None:
    assert {"values", "switched on", "trends", "trends alike", "counts", "values alike", "slots", "known"} <= set(
        structure.names
    )
    plain = Structure(
        spaces.load("nas-bench-201"), spaces.load("nas-bench-201").sample_array(100, np.random.default_rng(0))
    )
    assert "counts" in plain.names and "trends" not in plain.names and "slots" not in plain.names


def test_effects_of_near_places_are_alike_and_those_of_far_places_less() -> None:
    """Of a chain of eight equal genes: two architectures that each change one gene covary by exp(-distance / 2)."""
    chain = SearchSpace("chain", [Choice(f"w[{i}]", (1, 2)) for i in range(8)])
    structure = Structure(chain, chain.enumerate_array())
    part = next(part for part in structure.linear if part.name == "values alike")
    covariance = part.map @ part.map.T
    first = covariance[1, [1, 3, 5, 15]]  # the second value of genes 0, 1, 2 and 7
    assert first == pytest.approx(np.exp(-np.array([0, 1, 2, 7]) / 2.0))
    assert covariance[1, 2] == pytest.approx(0.0, abs=1e-12)  # another value


def test_facts_are_features_of_their_own_and_constant_ones_say_nothing() -> None:
    rng = np.random.default_rng(0)
    sample = space().sample_array(100, rng)
    twice = Structure(space(), sample, lambda rows: np.ones((len(rows), 2)), lambda rows: rows.sum(axis=1))
    assert "known" not in twice.names and {"warm_start", "warm_start curved"} <= set(twice.names)
    features = twice.features(sample)
    assert features["warm_start"].mean() == pytest.approx(0.0, abs=1e-12)
    assert features["warm_start"].std() == pytest.approx(1.0)


def test_curves_of_a_row_with_itself_are_the_diagonal(structure: Structure) -> None:
    features = structure.features(space().sample_array(20, np.random.default_rng(1)))
    full = structure.curves(features, features)
    assert structure.own_curves(features) == pytest.approx(np.array([np.diag(kernel) for kernel in full]))
    assert structure.average(features) == pytest.approx(structure.stack(features, features).mean(axis=0))
