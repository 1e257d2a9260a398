"""The Gaussian processes of the default tactic, against plain linear algebra and refits."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import approx_fprime
from scipy.stats import multivariate_normal

from hwsearch.searchers.bayesian.space_kernel import SpaceKernel
from hwsearch.spaces import SearchSpace
from hwsearch.spaces.choice import Choice, When
from predictors import posterior as module
from predictors.kernel_parts import covariance_root
from predictors.posterior import StructuredGaussianProcess
from predictors.warp import Warp, warps


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
def kernel() -> SpaceKernel:
    sample = space().sample_array(300, np.random.default_rng(0))
    return SpaceKernel(
        space(), sample, lambda rows: np.stack([(rows + 1.0).sum(axis=1), (rows >= 0).sum(axis=1)], axis=1)
    )


def truth(rows: np.ndarray) -> np.ndarray:
    x = space().encode_array(rows, "ordinal")
    weights = np.linspace(0.5, 2.0, x.shape[1])
    return 5.0 + x @ weights + 0.3 * np.sin(3.0 * x[:, 3] * x[:, 4])


@pytest.fixture(scope="module")
def fitted(kernel: SpaceKernel) -> tuple[StructuredGaussianProcess, dict, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    rows = space().sample_array(40, rng)
    y = truth(rows) + 0.05 * rng.standard_normal(40)
    features = kernel.row_features(rows)
    stack = kernel.stack(features, features)
    process = StructuredGaussianProcess(kernel)
    process.fit(features, stack, y, np.zeros(40))
    return process, features, stack, y


def test_posterior_is_that_of_the_textbook(kernel: SpaceKernel, fitted: tuple) -> None:
    process, features, stack, y = fitted
    other = kernel.row_features(space().sample_array(15, np.random.default_rng(2)))
    curves = kernel.curves(other, features)
    weighted = lambda s: np.tensordot(process.weights, s, 1) + module.CONSTANT  # noqa: E731
    t = (process.warp(y) - process.center) / process.scale
    gram = weighted(stack) + np.eye(len(y)) * (process.noise + module.JITTER)
    cross, own = weighted(kernel.stack(other, features)), weighted(kernel.stack(other, other))
    mean = cross @ np.linalg.solve(gram, t)
    covariance = own - cross @ np.linalg.solve(gram, cross.T)
    assert process.mean(other, curves) == pytest.approx(mean, abs=1e-8)
    found_mean, found_covariance = process.joint(other, curves)
    assert found_mean == pytest.approx(mean, abs=1e-8)
    assert found_covariance == pytest.approx(covariance, abs=1e-7)
    assert process.bound(other, curves, 2.0) == pytest.approx(mean + 2.0 * np.sqrt(np.diag(covariance)), abs=1e-6)


def test_single_precision_is_near(kernel: SpaceKernel, fitted: tuple) -> None:
    process, features, _, _ = fitted
    other = space().sample_array(200, np.random.default_rng(3))
    exact = kernel.row_features(other)
    rough = kernel.row_features(other, np.float32)
    seen = {name: block.astype(np.float32) for name, block in features.items()}
    curves, rough_curves = kernel.curves(exact, features), kernel.curves(rough, seen)
    quick = process.single_precision()
    assert rough_curves.dtype == np.float32 and quick._alpha.dtype == np.float32 and process._alpha.dtype == np.float64
    assert quick.mean(rough, rough_curves) == pytest.approx(process.mean(exact, curves), abs=1e-4)
    assert quick.bound(rough, rough_curves, -2.0) == pytest.approx(process.bound(exact, curves, -2.0), abs=1e-3)


def test_weights_maximise_the_evidence_times_the_prior(kernel: SpaceKernel, fitted: tuple) -> None:
    process, _, stack, y = fitted
    t = (process.warp(y) - process.center) / process.scale
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


def test_costs_come_back_from_standardised_values() -> None:
    """With mean 1 and deviation 2 the standardised value 0.5 is 2: a cost of 2, or of e^2 where its logarithm is modelled."""
    process = StructuredGaussianProcess(None)  # type: ignore[arg-type]
    process.center, process.scale = 1.0, 2.0
    for warp, costs in ((Warp("plain"), [1.0, 2.0]), (Warp("gap", 3.0), [3.0 + np.e, 3.0 + np.e**2])):
        process.warp = warp
        assert process.natural(np.array([0.0, 0.5])) == pytest.approx(costs)


def test_the_better_half_of_what_was_left_out_is_judged_with_the_slope_of_the_warp() -> None:
    """Two uncorrelated values of variance 4 and one that is not judged: -log(2 sqrt(2 pi)) - t^2 / 8 + slope each."""
    found = StructuredGaussianProcess._left_out(
        4.0 * np.eye(3), np.array([1.0, 2.0, 9.0]), np.array([0.3, -0.1, 7.0]), np.array([True, True, False])
    )
    assert found == pytest.approx(-2.0 * np.log(2.0 * np.sqrt(2.0 * np.pi)) - (1.0 + 4.0) / 8.0 + 0.2)


def test_known_noise_and_rows_that_weights_are_not_found_from(kernel: SpaceKernel) -> None:
    """The posterior of the textbook again: with each value's own noise, in the unit of the warped and standardised values,
    and with mean and deviation of the rows that were learnt from. The prior variance of the mean is 4."""
    rng = np.random.default_rng(1)
    rows = space().sample_array(30, rng)
    y, noise, learnt = truth(rows), rng.random(30) * (np.arange(30) % 3), np.arange(0, 30, 2)
    features = kernel.row_features(rows)
    stack = kernel.stack(features, features)
    process = StructuredGaussianProcess(kernel)
    process.fit(features, stack, y, noise, learnt)
    warped = process.warp(y)
    mean, scale = warped[learnt].mean(), warped[learnt].std()
    slope = (process.warp(y + 1e-6) - process.warp(y - 1e-6)) / 2e-6
    variance = (noise * slope / scale) ** 2
    gram = np.tensordot(process.weights, stack, 1) + 4.0 + np.diag(process.noise + 1e-8 + variance)
    other = kernel.row_features(space().sample_array(15, np.random.default_rng(2)))
    curves = kernel.curves(other, features)
    cross = np.tensordot(process.weights, kernel.stack(other, features), 1) + 4.0
    own = np.tensordot(process.weights, kernel.stack(other, other), 1) + 4.0
    expected = cross @ np.linalg.solve(gram, (warped - mean) / scale)
    deviation = np.sqrt(np.diag(own - cross @ np.linalg.solve(gram, cross.T)))
    assert process.mean(other, curves) == pytest.approx(expected, abs=1e-6)
    assert process.bound(other, curves, -1.5) == pytest.approx(expected - 1.5 * deviation, abs=1e-5)
    assert process.warp.inverse(mean + scale * expected) == pytest.approx(process.natural(process.mean(other, curves)))
    # weights and noise maximise the evidence of the rows that were learnt from
    t, chosen, best = (warped - mean) / scale, np.ix_(learnt, learnt), np.log(np.append(process.weights, process.noise))
    centre = np.log([1.0 / len(stack)] * len(stack) + [0.02])

    def score(theta: np.ndarray) -> float:
        gram = np.tensordot(np.exp(theta[:-1]), stack, 1) + 4.0 + np.diag(np.exp(theta[-1]) + 1e-8 + variance)
        evidence = multivariate_normal(np.zeros(len(learnt)), gram[chosen]).logpdf(t[learnt])
        return float(evidence) - 0.5 * (((theta - centre) / 3.0) ** 2).sum()

    for k in range(len(best)):
        for step in (-0.5, 0.5):
            assert score(best + step * (np.arange(len(best)) == k)) < score(best) + 1e-3


def test_values_that_are_all_equal_have_the_unit_as_their_deviation(kernel: SpaceKernel) -> None:
    """All -3: that is what is predicted, with deviations in the unit of the data."""
    rows = space().sample_array(6, np.random.default_rng(1))
    features = kernel.row_features(rows)
    stack = kernel.stack(features, features)
    process = StructuredGaussianProcess(kernel)
    process.fit(features, stack, np.full(6, -3.0), np.zeros(6))
    curves = kernel.curves(features, features)
    assert process.natural(process.mean(features, curves)) == pytest.approx(np.full(6, -3.0))
    _, covariance = process.joint(features, curves)
    bound = process.natural(process.bound(features, curves, 2.0))
    assert bound == pytest.approx(-3.0 + 2.0 * np.sqrt(np.diag(covariance)), abs=1e-6)


def test_the_loss_is_the_evidence_times_the_prior_and_its_slope_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    """Against the density of SciPy and finite differences; the prior is broad: a deviation of 3 about an equal share of the
    variance, and about 2 % for the noise."""
    rng = np.random.default_rng(0)
    roots, t, known = rng.standard_normal((3, 8, 4)), rng.standard_normal(8), rng.random(8)
    stack = roots @ roots.transpose(0, 2, 1)
    given: dict = {}

    class Found:
        x = np.zeros(4)

    def minimize(loss, start, **asked):
        given.update(asked, loss=loss, start=start)
        return Found

    monkeypatch.setattr(module, "minimize", minimize)
    StructuredGaussianProcess._likeliest(stack, t, known)
    centre = np.log([1.0 / 3.0, 1.0 / 3.0, 1.0 / 3.0, 0.02])
    assert given["start"] == pytest.approx(centre) and given["jac"] is True
    for theta in (centre, np.array([0.5, -2.0, 1.0, -1.0])):
        gram = np.tensordot(np.exp(theta[:3]), stack, 1) + 4.0 + np.diag(np.exp(theta[3]) + 1e-8 + known)
        evidence = multivariate_normal(np.zeros(8), gram).logpdf(t) + 4.0 * np.log(2.0 * np.pi)
        value, slope = given["loss"](theta)
        assert value == pytest.approx(-evidence + 0.5 * (((theta - centre) / 3.0) ** 2).sum())
        assert slope == pytest.approx(approx_fprime(theta, lambda x: given["loss"](x)[0], 1e-7), abs=1e-4)
    # a matrix that is not positive definite: far worse than any other, and flat
    StructuredGaussianProcess._likeliest(-100.0 * stack, t, known)
    value, slope = given["loss"](np.zeros(4))
    assert value > 1e9 and (slope == 0.0).all()


@pytest.mark.parametrize(("densities", "best"), [([1.0, 3.0, 2.0, 3.0, 0.0], 1), ([5.0, 5.0, 1.0, 2.0, 3.0], 0)])
def test_the_warp_that_predicts_the_better_half_best_is_taken(
    kernel: SpaceKernel, monkeypatch: pytest.MonkeyPatch, densities: list[float], best: int
) -> None:
    """Of equal ones the first. Of five values the three smallest are judged, the median among them."""
    judged, values = [], iter(densities)

    def left_out(matrix, t, slope, which):
        judged.append(which.tolist())
        return next(values)

    monkeypatch.setattr(StructuredGaussianProcess, "_left_out", staticmethod(left_out))
    rows = space().sample_array(5, np.random.default_rng(1))
    features = kernel.row_features(rows)
    y = np.array([3.0, 1.0, 5.0, 2.0, 9.0])
    process = StructuredGaussianProcess(kernel)
    process.fit(features, kernel.stack(features, features), y, np.zeros(5))
    assert process.warp == warps(y)[best]
    assert judged == [[True, True, False, True, False]] * 5


def test_a_root_is_of_the_covariance_and_as_little_more_as_it_takes() -> None:
    """First 1e-8 of one plus the largest variance, then ten times as much each time."""

    def added(covariance: np.ndarray) -> np.ndarray:
        root = covariance_root(covariance)
        assert (np.triu(root, 1) == 0.0).all()
        return root @ root.T - covariance

    assert added(np.diag([0.5, 0.2])) == pytest.approx(1.5e-8 * np.eye(2), rel=1e-5)
    assert added(np.full((3, 3), 1e6)) == pytest.approx(0.01000001 * np.eye(3), abs=1e-8)
    assert added(np.diag([1.0, -1.5e-6])) == pytest.approx(2e-6 * np.eye(2), rel=1e-5)
    assert covariance_root(np.empty((0, 0))).shape == (0, 0)
