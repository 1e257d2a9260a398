"""The posterior of a fitted process: against plain linear algebra, refits, and moments of the lognormal distribution."""

from __future__ import annotations

import numpy as np
import pytest

from predictors import GaussianProcessPredictor, PredictorFileError, load, save
from predictors.base import BLOCK
from predictors.errors import PredictorError
from predictors.kernel import Kernel
from predictors.posterior import CONSTANT, JITTER
from predictors.warp import Warp
from tests.predictors.conftest import GENES, rows


def textbook(model: GaussianProcessPredictor, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of the noiseless function at X, standardised, of the kernel with all its parts."""
    schema = model.schema
    kernel = Kernel(schema, schema.split(model.rows_))
    weights = model.weights_
    seen, new = (kernel.features(schema.split(rows)) for rows in (model.rows_, X))
    warp = Warp(**model.warp_)
    t = (warp(model.target_) - model.center_) / model.scale_
    slope = (
        (warp(model.target_ * (1 + 1e-7)) - warp(model.target_ * (1 - 1e-7))) / (2e-7 * model.target_) / model.scale_
    )
    noise = model.noise_ + (model.given_noise_ * slope) ** 2 + JITTER
    gram = np.tensordot(weights, kernel.stack(seen, seen), 1) + CONSTANT + np.diag(noise)
    cross = np.tensordot(weights, kernel.stack(new, seen), 1) + CONSTANT
    own = np.tensordot(weights, kernel.stack(new, new), 1) + CONSTANT
    return cross @ np.linalg.solve(gram, t), own - cross @ np.linalg.solve(gram, cross.T)


def test_predictions_are_those_of_the_textbook(fitted: GaussianProcessPredictor) -> None:
    """Medians, deviations of a new measurement, and intervals of the factor that was found."""
    X = rows(20)
    mean, covariance = textbook(fitted, X)
    warp = Warp(**fitted.warp_)
    natural = lambda t: warp.inverse(fitted.center_ + fitted.scale_ * t)  # noqa: E731
    assert fitted.predict(X) == pytest.approx(natural(mean), rel=1e-6)
    slope = np.exp(warp.log_slope(fitted.target_)) / fitted.scale_
    new = fitted.noise_ + np.median((fitted.given_noise_ * slope) ** 2)
    half = fitted.interval_factor(0.8) * np.sqrt(np.diag(covariance) + new)
    low, high = fitted.predict_interval(X, 0.8)
    assert low == pytest.approx(natural(mean - half), rel=1e-5)
    assert high == pytest.approx(natural(mean + half), rel=1e-5)
    drawn = natural(mean + np.random.default_rng(0).standard_normal((200_000, 20)) * np.sqrt(np.diag(covariance) + new))
    _, deviation = fitted.predict(X, return_std=True)
    assert deviation == pytest.approx(drawn.std(axis=0), rel=0.02)


def test_closed_forms_of_one_row_left_out_are_refits_with_the_weights_of_all(fitted: GaussianProcessPredictor) -> None:
    X = rows(3)
    held_out, group = fitted._held_out(X)
    assert held_out.shape == (3, 50) and group.tolist() == list(range(50))
    for i in (0, 17):
        without = GaussianProcessPredictor(GENES)
        rest = np.arange(50) != i
        for name in fitted._learned:
            setattr(without, name, getattr(fitted, name))
        kept = fitted._process
        matrix = kept.kernel.weighted(kept.weights, fitted._measured, fitted._measured) + CONSTANT
        matrix += np.diag(fitted.noise_ + fitted._known + JITTER)
        alpha = np.linalg.solve(matrix[np.ix_(rest, rest)], fitted._t[rest])
        for x, found in ((X, held_out[:, i]), (fitted.rows_[[i]], fitted.target_[[i]] - fitted.residuals_[[i]])):
            new = kept.kernel.features(GENES.split(x))
            cross = kept.kernel.weighted(kept.weights, new, fitted._measured) + CONSTANT
            assert found == pytest.approx(fitted.natural(cross[:, rest] @ alpha), rel=1e-6)


def test_many_rows_are_predicted_in_single_precision_and_nearly_the_same(fitted: GaussianProcessPredictor) -> None:
    X = rows(BLOCK + 50)
    many = fitted.predict(X)
    few = np.concatenate([fitted.predict(X[:1000]), fitted.predict(X[1000:])])
    assert many == pytest.approx(few, rel=1e-4) and not np.array_equal(many, few)
    assert np.array_equal(fitted.predict(X, return_std=True)[0], many)
    low, high = fitted.predict_interval(X)
    assert (low < many).all() and (many < high).all()


def test_small_parts_are_left_out_only_where_they_are_far_below_the_noise(fitted: GaussianProcessPredictor) -> None:
    """Of weights 0.9, 2e-4, 1e-4, …, the last five together have less than a twentieth of the noise."""
    other = GaussianProcessPredictor(GENES)
    for name in ("n_features_in_", *fitted._learned):
        setattr(other, name, getattr(fitted, name))
    parts = len(fitted.weights_)
    weights = np.full(parts, 1e-6)
    weights[0], weights[1], weights[2] = 0.9, 2e-4, 1e-4
    other.weights_ = weights
    for noise, kept in ((1e-3, 3), (1e-6, parts), (1.0, 1)):
        other.noise_ = noise
        other._restore()
        assert len(other._process.weights) == kept


def test_samples_have_the_posterior_s_mean_and_covariance(fitted: GaussianProcessPredictor) -> None:
    X = rows(4)
    mean, covariance = textbook(fitted, X)
    drawn = fitted.sample(X, 20_000, np.random.default_rng(0))
    t = (Warp(**fitted.warp_)(drawn) - fitted.center_) / fitted.scale_
    deviation = np.sqrt(np.diag(covariance))
    assert (t.mean(axis=0) - mean) / deviation == pytest.approx(np.zeros(4), abs=5 / np.sqrt(20_000))
    assert np.cov(t.T) / np.outer(deviation, deviation) == pytest.approx(
        covariance / np.outer(deviation, deviation), abs=5 * np.sqrt(2 / 20_000)
    )
    with pytest.raises(PredictorError, match="joint posterior of 5001 rows"):
        fitted.sample(rows(5001), 1, np.random.default_rng(0))


def test_the_joint_posterior_is_that_of_the_textbook(fitted: GaussianProcessPredictor) -> None:
    X = rows(6)
    mean, covariance = textbook(fitted, X)
    found, root = fitted.joint(X)
    assert found == pytest.approx(mean, rel=1e-4, abs=1e-6) and not np.triu(root, 1).any()
    assert root @ root.T == pytest.approx(covariance, rel=1e-3, abs=1e-6)


def test_the_warped_scale_is_that_on_which_predictions_are_normal(task) -> None:
    """Of a logarithm: its median and deviation are those that the moments of the lognormal distribution follow from."""
    X, y = task(40, log=True)
    model = GaussianProcessPredictor(GENES, warp="log").fit(X, y)
    new = rows(9)
    mean, deviation = model.predict_warped(new)
    median, spread = model.predict(new, return_std=True)
    assert mean == pytest.approx(np.log(median))
    assert spread == pytest.approx(np.exp(mean + deviation**2 / 2) * np.sqrt(np.exp(deviation**2) - 1))
    low, high = model.predict_interval(new, 0.8)
    assert np.log(high / low) == pytest.approx(2 * model.interval_factor(0.8) * deviation)
    assert model.natural((np.log(y) - np.log(y).mean()) / np.log(y).std()) == pytest.approx(y)
    with pytest.raises(PredictorError, match="NaN"):
        model.predict_warped(np.full((1, 36), np.nan))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"rows_": np.zeros((3, 36))}, "rows of a Gaussian process do not fit"),
        ({"weights_": np.ones(3)}, "weights of a Gaussian process are not those"),
        ({"warp_": {"kind": "square", "pole": 0.0}}, "damaged"),
        ({"rows_": np.full((50, 36), np.nan)}, "damaged|gene"),
    ],
)
def test_files_that_do_not_fit_together_are_refused(
    fitted: GaussianProcessPredictor, tmp_path, change: dict, words: str
) -> None:
    other = GaussianProcessPredictor(GENES)
    for name in ("n_features_in_", *fitted._learned):
        setattr(other, name, change.get(name, getattr(fitted, name)))
    save(other, tmp_path / "p.zip")
    with pytest.raises(PredictorFileError, match=words):
        load(tmp_path / "p.zip")
