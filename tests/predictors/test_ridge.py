from __future__ import annotations

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, DotProduct
from sklearn.linear_model import Ridge

from predictors import PredictorError, RidgePredictor, TooFewRowsError
from predictors.ridge import ALPHAS

SHAPES = [(40, 12), (15, 12), (9, 12)]  # more rows than columns, about as many, fewer


def standard(X: np.ndarray) -> np.ndarray:
    Z = X[:, np.ptp(X, axis=0) > 0]
    return (Z - Z.mean(axis=0)) / Z.std(axis=0)


@pytest.mark.parametrize("n, genes", SHAPES)
def test_coefficients_are_scikit_learns(task, n, genes) -> None:
    X, y = task(n, genes=genes)
    X = np.column_stack([X, np.full(n, 7.0)])  # a column that says nothing
    ours = RidgePredictor(alpha=2.5).fit(X, y)
    reference = Ridge(alpha=2.5).fit(standard(X), y)
    np.testing.assert_allclose(ours.predict(X), reference.predict(standard(X)), rtol=1e-10)
    assert ours.coef_[-1] == 0.0


@pytest.mark.parametrize("n, genes", SHAPES)
@pytest.mark.parametrize("alpha", [1e-3, 1.0, 100.0])
def test_leave_one_out_is_exact(task, n, genes, alpha) -> None:
    X, y = task(n, genes=genes)
    ours = RidgePredictor(alpha=alpha).fit(X, y)
    Z = standard(X)
    new = np.random.default_rng(3).normal(size=(4, X.shape[1]))
    new_Z = ours._standard(new)
    held_out, group = ours._held_out(new)
    for i in range(n):
        others = np.arange(n) != i
        refit = Ridge(alpha=alpha).fit(Z[others], y[others])
        assert ours.residuals_[i] == pytest.approx(y[i] - refit.predict(Z[i : i + 1])[0], rel=1e-6, abs=1e-8)
        np.testing.assert_allclose(held_out[:, group[i]], refit.predict(new_Z), rtol=1e-6)


@pytest.mark.parametrize("n, genes", SHAPES)
def test_alpha_has_the_smallest_leave_one_out_error(task, n, genes) -> None:
    X, y = task(n, genes=genes, noise=0.5)
    errors = [RidgePredictor(alpha=a).fit(X, y).loo_rmse_ for a in ALPHAS]
    assert RidgePredictor().fit(X, y).alpha_ == ALPHAS[int(np.argmin(errors))]


@pytest.mark.parametrize("n, genes", [(40, 12), (27, 12), (9, 4)])
def test_alpha_is_chosen_without_the_row_left_out(task, n, genes) -> None:
    """Against the choice from an explicit hat matrix of the other rows, and scikit-learn's fit at that strength."""
    X, y = task(n, genes=genes, noise=1.0)
    ours = RidgePredictor().fit(X, y)
    Z = standard(X)
    held_out, _ = ours._held_out(X)
    for i in range(0, n, 5):
        others = np.delete(np.arange(n), i)
        errors = []
        for alpha in ALPHAS:
            # leave-one-out of the others on the shared scale, from the hat matrix of an explicit inverse
            A = np.column_stack([Z[others], np.ones(n - 1)])
            penalty = np.diag([alpha] * Z.shape[1] + [0.0])
            hat = A @ np.linalg.solve(A.T @ A + penalty, A.T)
            errors.append(np.sum(((y[others] - hat @ y[others]) / (1 - np.diag(hat))) ** 2))
        alpha = ALPHAS[int(np.argmin(errors))]
        refit = Ridge(alpha=alpha).fit(Z[others], y[others])
        assert ours.residuals_[i] == pytest.approx(y[i] - refit.predict(Z[i : i + 1])[0], rel=1e-4)
        np.testing.assert_allclose(held_out[:, i], refit.predict(Z), rtol=1e-6)


def test_refitting_alpha_leaves_predictions_alone(task) -> None:
    X, y = task(30, noise=1.0)
    with_, without = RidgePredictor().fit(X, y), RidgePredictor(refit_alpha=False).fit(X, y)
    assert np.array_equal(with_.predict(X), without.predict(X))
    assert with_.loo_rmse_ > without.loo_rmse_


@pytest.mark.parametrize("n, genes", SHAPES)
def test_deviation_is_the_gaussian_process_one(task, n, genes) -> None:
    """Ridge is a Gaussian process with a linear kernel; the free intercept is a prior of very large variance."""
    X, y = task(n, genes=genes)
    ours = RidgePredictor(alpha=3.0).fit(X, y)
    new = np.random.default_rng(1).normal(size=(6, X.shape[1]))
    mean, std = ours.predict(new, return_std=True)
    noise = ours.noise_**2
    kernel = ConstantKernel(noise / 3.0, "fixed") * DotProduct(0.0, "fixed") + ConstantKernel(1e7 * noise, "fixed")
    process = GaussianProcessRegressor(kernel, alpha=noise, optimizer=None).fit(ours._standard(X), y - y.mean())
    expected_mean, latent = process.predict(ours._standard(new), return_std=True)
    np.testing.assert_allclose(mean, expected_mean + y.mean(), rtol=1e-4)
    np.testing.assert_allclose(std, np.sqrt(latent**2 + noise), rtol=1e-3)


def test_noise_is_found(task) -> None:
    """Where the model is right, noise_ estimates the standard deviation of the noise."""
    found = [RidgePredictor().fit(*task(150, seed=s, noise=0.5, interactions=0)).noise_ for s in range(20)]
    assert np.mean(found) == pytest.approx(0.5, rel=0.06)


def test_deviation_covers_as_a_normal_one_does(task) -> None:
    inside = []
    for seed in range(40):
        X, y = task(160, seed=seed, noise=0.5, interactions=0)
        mean, std = RidgePredictor().fit(X[:60], y[:60]).predict(X[60:], return_std=True)
        inside.append(np.mean(np.abs(y[60:] - mean) < std))
    assert np.mean(inside) == pytest.approx(0.683, abs=0.04)


def test_log_target_is_ridge_on_the_logarithm(task) -> None:
    X, y = task(50, log=True)
    log, plain = RidgePredictor(log_target=True).fit(X, y), RidgePredictor().fit(X, np.log(y))
    np.testing.assert_allclose(log.predict(X), np.exp(plain.predict(X)))
    _, std = log.predict(X[:3], return_std=True)
    mean, spread = plain.predict(X[:3], return_std=True)
    draws = np.exp(np.random.default_rng(0).normal(mean, spread, size=(400_000, 3)))
    np.testing.assert_allclose(std, draws.std(axis=0), rtol=0.02)


def test_exact_linear_target_is_found_without_noise(task) -> None:
    X, y = task(100, noise=0.0, interactions=0)
    np.testing.assert_allclose(RidgePredictor().fit(X[:60], y[:60]).predict(X[60:]), y[60:], atol=1e-5)


def test_all_columns_constant_predicts_the_mean() -> None:
    ours = RidgePredictor().fit(np.ones((5, 3)), [1.0, 2.0, 3.0, 4.0, 10.0])
    mean, std = ours.predict(np.zeros((2, 3)), return_std=True)
    np.testing.assert_allclose(mean, 4.0)
    np.testing.assert_allclose(std, np.std([1, 2, 3, 4, 10], ddof=1) * np.sqrt(1 + 1 / 5))


def test_scale_of_a_feature_does_not_matter(task) -> None:
    X, y = task(40)
    factors = np.logspace(-8, 8, X.shape[1])
    np.testing.assert_allclose(
        RidgePredictor().fit(X * factors, y).predict(X * factors), RidgePredictor().fit(X, y).predict(X), rtol=1e-8
    )


@pytest.mark.parametrize("alpha", [0, -1.0, float("inf"), float("nan"), "strong"])
def test_wrong_alpha_is_refused(alpha) -> None:
    with pytest.raises(PredictorError, match=r"alpha must be a positive number, got"):
        RidgePredictor(alpha=alpha).fit(np.eye(4), [1, 2, 3, 4])


def test_wrong_rows_are_refused() -> None:
    with pytest.raises(TooFewRowsError, match="n_samples = 1"):
        RidgePredictor().fit([[1.0]], [1.0])
    with pytest.raises(PredictorError, match="positive targets, but the smallest is -2"):
        RidgePredictor(log_target=True).fit([[1.0], [2.0]], [1.0, -2.0])
    with pytest.raises(PredictorError, match="NaN"):
        RidgePredictor().fit([[1.0], [2.0]], [1.0, np.nan])
    with pytest.raises(PredictorError, match="3 features"):
        RidgePredictor().fit(np.eye(2), [1.0, 2.0]).predict(np.ones((1, 3)))
