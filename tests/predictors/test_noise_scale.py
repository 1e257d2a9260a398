"""Noise that is said to be larger than it is, by simulation with a known truth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from predictors import CrossValidatedPredictor, GaussianProcessPredictor, Schema, default_candidates, load, save
from predictors.card import card_of
from predictors.noise_scale import log_likelihood, noise_scale
from predictors.posterior import CONSTANT, JITTER, StructuredGaussianProcess

GENES = Schema.from_names([f"w[{i}]={v}" for i in range(12) for v in (1, 2, 3)])
NEW = 300


def simulated(n: int, factor: float, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows, latencies with 3 % of noise, more or less of it each, and what is said of it: `factor` times as much."""
    rng = np.random.default_rng([seed, n])
    effects = 0.1 * rng.standard_normal((12, 3))
    values = rng.integers(3, size=(n + NEW, 12))
    noise = 0.03 * np.exp(0.4 * rng.standard_normal(n + NEW))
    y = 10.0 * np.exp(effects[np.arange(12), values].sum(axis=1) + noise * rng.standard_normal(n + NEW))
    return np.eye(3)[values].reshape(n + NEW, -1), y, factor * noise * y


def results(n: int, factor: float, seeds: int, mode: str = "scaled") -> np.ndarray:
    """(factor found, share of new measurements in their 90 % interval, median width in shares of the value), means over seeds."""
    found = []
    for seed in range(seeds):
        X, y, noise = simulated(n, factor, seed)
        model = GaussianProcessPredictor(GENES, noise=mode).fit(X[:n], y[:n], noise[:n])  # type: ignore[arg-type]
        low, high = model.predict_interval(X[n:], 0.9)
        inside = (low <= y[n:]) & (y[n:] <= high)
        found.append((model.noise_scale_, inside.mean(), np.median((high - low) / y[n:])))
    return np.mean(found, axis=0)


@pytest.mark.parametrize("n", [50, 100])
def test_overstated_noise_is_scaled_and_honest_noise_is_not(n: int) -> None:
    honest, five, under = (results(n, factor, 6) for factor in (1.0, 5.0, 0.2))
    assert honest[0] > 0.95 and under[0] == 1.0  # what is said too little is learnt beside it
    assert 0.1 < five[0] < 0.3
    for _, coverage, _ in (honest, five, under):
        assert 0.87 <= coverage <= 0.94
    assert 0.9 < five[2] / honest[2] < 1.1
    assert results(n, 5.0, 2, "learned")[2] > 2.5 * honest[2]  # what is wrong with believing it


def test_honest_noise_that_is_learnt_or_scaled_is_the_same_to_the_bit() -> None:
    X, y, noise = simulated(60, 1.0, 0)
    learned, scaled = (
        GaussianProcessPredictor(GENES, noise=mode).fit(X[:60], y[:60], noise[:60]) for mode in ("learned", "scaled")
    )
    assert np.array_equal(learned.predict(X), scaled.predict(X)) and scaled.noise_scale_ == 1.0
    assert np.array_equal(learned.predict_interval(X), scaled.predict_interval(X))
    told, untold = (
        GaussianProcessPredictor(GENES, noise="scaled").fit(X, y, e) for e in (np.full(len(y), np.nan), None)
    )
    assert told.noise_scale_ == 1.0 and np.array_equal(told.predict(X), untold.predict(X))


def test_the_likelihood_is_that_of_the_normal_distribution() -> None:
    rng = np.random.default_rng(0)
    roots = rng.standard_normal((2, 5, 5))
    stack, t, known = roots @ roots.transpose(0, 2, 1), rng.standard_normal(5), rng.random(5)
    theta = np.log([0.5, 2.0, 0.1])
    covariance = 0.5 * stack[0] + 2.0 * stack[1] + CONSTANT + np.diag(0.1 + JITTER + known)
    told = multivariate_normal(np.zeros(5), covariance).logpdf(t) + 2.5 * np.log(2.0 * np.pi)
    assert log_likelihood(stack, t, known, theta) == pytest.approx(told)


def test_the_factor_is_the_largest_of_those_that_are_nearly_the_likeliest() -> None:
    """White values of variance 1 without any part: of a known variance of 16, a factor of 1/4 is right, and less is learnt beside."""
    t = np.random.default_rng(1).standard_normal(400)
    t = (t - t.mean()) / t.std()
    stack, known = np.zeros((1, 400, 400)), np.full(400, 16.0)
    theta = StructuredGaussianProcess._likeliest(stack, t, known)
    assert noise_scale(stack, t, known, theta) == pytest.approx(0.25)
    assert noise_scale(stack, t, np.ones(400), StructuredGaussianProcess._likeliest(stack, t, np.ones(400))) == 1.0
    assert noise_scale(stack, t, np.zeros(400), theta) == 1.0


def test_the_choice_and_its_card_say_it_and_a_file_keeps_it(tmp_path) -> None:
    X, y, noise = simulated(60, 5.0, 0)
    process = {"gaussian-process": default_candidates(True, 0, GENES)["gaussian-process"]}
    model = CrossValidatedPredictor(process).fit(X[:60], y[:60], noise[:60])
    card = card_of(model, metric="latency_ms", unit="ms", schema=GENES)
    assert card["noise_scale"] == model.best_estimator_.noise_scale_ < 0.4
    assert any("Known noise is too large" in note for note in card["warnings"])
    save(model, tmp_path / "p.zip", card)
    again = load(tmp_path / "p.zip")
    assert np.array_equal(again.predict_interval(X), model.predict_interval(X))
