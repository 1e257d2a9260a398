"""The Gaussian processes of the default tactic, against plain linear algebra and refits."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from hwsearch import spaces
from hwsearch.objectives.objective import Objective
from hwsearch.searchers.bayesian import process as module
from hwsearch.searchers.bayesian.posterior import EncodedRows, MultiObjectivePosterior
from hwsearch.searchers.bayesian.process import StructuredGaussianProcess
from hwsearch.searchers.bayesian.structure import Structure
from hwsearch.searchers.bayesian.warp import Warp, warps
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
    quick = process.single()
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


def test_learns_a_function_and_knows_how_well(structure: Structure) -> None:
    rng = np.random.default_rng(3)
    rows, other = space().sample_array(80, rng), space().sample_array(400, rng)
    noise = 0.05
    posterior = MultiObjectivePosterior(structure, [Objective("latency_ms")], {}, 400)
    values = (truth(rows) + noise * rng.standard_normal(80))[:, None]
    posterior.fit(rows, values, np.full_like(values, np.nan), np.zeros(80))
    seen = EncodedRows(posterior, other)
    error = posterior.mean(seen)[:, 0] - truth(other)
    assert np.sqrt((error**2).mean()) < 0.2 * truth(other).std()
    low, high = posterior.bound(seen, -1.645)[:, 0], posterior.bound(seen, 1.645)[:, 0]
    assert 0.8 < np.mean((low <= truth(other)) & (truth(other) <= high)) <= 1.0
    samples = posterior.samples(other[:50], 4000, rng)[:, :, 0]
    assert np.quantile(samples, 0.95, axis=0) == pytest.approx(high[:50], rel=0.03)


def test_known_noise_is_believed(structure: Structure) -> None:
    """A measurement said to be worthless hardly moves the mean."""
    rng = np.random.default_rng(4)
    rows = space().sample_array(30, rng)
    values = truth(rows)[:, None]
    wrong = values.copy()
    wrong[0] += 20.0
    means = []
    for deviation in (np.nan, 50.0):
        noise = np.full_like(values, np.nan)
        noise[0] = deviation
        posterior = MultiObjectivePosterior(structure, [Objective("latency_ms")], {}, 400)
        posterior.fit(rows, wrong, noise, np.zeros(30))
        means.append(abs(float(posterior.mean(EncodedRows(posterior, rows[:1]))[0, 0] - values[0, 0])))
    assert means[1] < 0.3 * means[0]


def test_failed_values_are_left_out_objective_by_objective(structure: Structure) -> None:
    rng = np.random.default_rng(5)
    rows = space().sample_array(60, rng)
    values = np.stack([80.0 - truth(rows), truth(rows)], axis=1)
    values[::3, 0] = np.nan
    values[1::3, 1] = np.nan
    posterior = MultiObjectivePosterior(structure, [Objective("accuracy"), Objective("latency_ms")], {}, 400)
    posterior.fit(rows, values, np.full_like(values, np.nan), np.zeros(60))
    mean = posterior.mean(EncodedRows(posterior, rows))
    assert np.corrcoef(mean[:, 1], truth(rows))[0, 1] > 0.97
    assert np.corrcoef(mean[:, 0], truth(rows) - 80.0)[0, 1] > 0.97


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
