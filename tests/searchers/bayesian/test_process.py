"""The Gaussian processes of the default tactic, against plain linear algebra and refits."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from hwsearch.searchers.bayesian import process as module
from hwsearch.searchers.bayesian.process import StructuredGaussianProcess
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


def truth(rows: np.ndarray) -> np.ndarray:
    x = space().encode_array(rows, "ordinal")
    weights = np.linspace(0.5, 2.0, x.shape[1])
    return 5.0 + x @ weights + 0.3 * np.sin(3.0 * x[:, 3] * x[:, 4])


@pytest.fixture(scope="module")
def fitted(structure: Structure) -> tuple[StructuredGaussianProcess, dict, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    rows = space().sample_array(40, rng)
    y = truth(rows) + 0.05 * rng.standard_normal(40)
    features = structure.features(rows)
    stack = structure.stack(features, features)
    process = StructuredGaussianProcess(structure)
    process.fit(features, stack, y, np.zeros(40))
    return process, features, stack, y


def test_posterior_is_that_of_the_textbook(structure: Structure, fitted: tuple) -> None:
    process, features, stack, y = fitted
    other = structure.features(space().sample_array(15, np.random.default_rng(2)))
    curves = structure.curves(other, features)
    weighted = lambda s: np.tensordot(process.weights, s, 1) + module.CONSTANT  # noqa: E731
    t = (process.warp(y) - process._mean) / process._scale
    gram = weighted(stack) + np.eye(len(y)) * (process.noise + module.JITTER)
    cross, own = weighted(structure.stack(other, features)), weighted(structure.stack(other, other))
    mean = cross @ np.linalg.solve(gram, t)
    covariance = own - cross @ np.linalg.solve(gram, cross.T)
    assert process.mean(other, curves) == pytest.approx(mean, abs=1e-8)
    found_mean, found_covariance = process.joint(other, curves)
    assert found_mean == pytest.approx(mean, abs=1e-8)
    assert found_covariance == pytest.approx(covariance, abs=1e-7)
    assert process.bound(other, curves, 2.0) == pytest.approx(mean + 2.0 * np.sqrt(np.diag(covariance)), abs=1e-6)


def test_single_precision_is_near(structure: Structure, fitted: tuple) -> None:
    process, features, _, _ = fitted
    other = space().sample_array(200, np.random.default_rng(3))
    exact = structure.features(other)
    rough = structure.features(other, np.float32)
    seen = {name: block.astype(np.float32) for name, block in features.items()}
    curves, rough_curves = structure.curves(exact, features), structure.curves(rough, seen)
    quick = process.single_precision()
    assert rough_curves.dtype == np.float32 and quick._alpha.dtype == np.float32 and process._alpha.dtype == np.float64
    assert quick.mean(rough, rough_curves) == pytest.approx(process.mean(exact, curves), abs=1e-4)
    assert quick.bound(rough, rough_curves, -2.0) == pytest.approx(process.bound(exact, curves, -2.0), abs=1e-3)


def test_weights_maximise_the_evidence_times_the_prior(structure: Structure, fitted: tuple) -> None:
    process, _, stack, y = fitted
    t = (process.warp(y) - process._mean) / process._scale
    best = np.log(np.append(process.weights, process.noise))
    centre = np.append(np.full(len(stack), -np.log(len(stack))), np.log(module.NOISE))

    def score(theta: np.ndarray) -> float:
        gram = np.tensordot(np.exp(theta[:-1]), stack, 1) + module.CONSTANT
        gram[np.diag_indices(len(y))] += np.exp(theta[-1]) + module.JITTER
        prior = -0.5 * (((theta - centre) / module.PRIOR) ** 2).sum()
        return float(multivariate_normal(np.zeros(len(y)), gram).logpdf(t)) + prior

    there = score(best)
    for k in range(len(best)):
        for step in (-0.5, 0.5):
            moved = best.copy()
            moved[k] += step
            assert score(moved) < there + 1e-3


def test_left_out_density_is_that_of_refits(fitted: tuple) -> None:
    process, _, stack, y = fitted
    gram = np.tensordot(process.weights, stack, 1) + module.CONSTANT + np.eye(len(y)) * process.noise
    t = (y - y.mean()) / y.std()
    expected = 0.0
    for i in range(len(y)):
        rest = np.arange(len(y)) != i
        solved = np.linalg.solve(gram[np.ix_(rest, rest)], gram[rest, i])
        mean, variance = solved @ t[rest], gram[i, i] - solved @ gram[rest, i]
        expected += multivariate_normal(mean, variance).logpdf(t[i])
    found = StructuredGaussianProcess._left_out(gram, t, np.zeros(len(y)), np.ones(len(y), dtype=bool))
    assert found == pytest.approx(expected)
