"""The Gaussian process predictor: against plain linear algebra, refits, scikit-learn and cases worked by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, DotProduct, Matern, WhiteKernel

from predictors import (
    CrossValidatedPredictor,
    GaussianProcessPredictor,
    PredictorError,
    RidgePredictor,
    Schema,
    scores,
)
from predictors import gp as module
from predictors.posterior import CONSTANT, JITTER
from predictors.warp import Warp
from tests.predictors.conftest import GENES, rows


def test_it_learns_genes_better_than_ridge_and_a_plain_process(task) -> None:
    """Additive effects and a few interactions, 60 rows, 300 new ones."""
    X, y = task(360, noise=0.05)
    learn, new = slice(0, 60), slice(60, None)

    def error(model) -> float:
        return scores(y[new], model.fit(X[learn], y[learn]).predict(X[new]))["mae"]

    ours = error(GaussianProcessPredictor(GENES))
    plain = GaussianProcessRegressor(
        ConstantKernel() * Matern(nu=2.5) + ConstantKernel() * DotProduct() + WhiteKernel(), normalize_y=True
    )
    assert ours < error(RidgePredictor()) and ours < error(plain)


def test_the_factor_is_the_quantile_of_left_out_errors_shrunk(fitted: GaussianProcessPredictor) -> None:
    """Less where the errors are larger than the normal distribution's: the 46th of 50 for .9, the last for .99."""
    assert len(fitted.left_out_) == 50 and (np.diff(fitted.left_out_) >= 0).all()
    other = GaussianProcessPredictor()
    for scale, weight in ((0.05, 20), (0.02, 100)):
        other.left_out_ = scale * np.arange(1.0, 51.0)
        for coverage, rank in ((0.9, 46), (0.99, 50)):
            z = norm.ppf(0.5 + coverage / 2)
            m = weight if scale * rank > z else 100
            assert other.interval_factor(coverage) == pytest.approx((m * z + 50 * scale * rank) / (m + 50))
    with pytest.raises(PredictorError, match="coverage"):
        other.interval_factor(1.0)


def test_left_out_errors_are_in_deviations_of_the_posterior_without_the_row(fitted: GaussianProcessPredictor) -> None:
    group = np.random.default_rng(0).permutation(50) % 5
    mean, _ = fitted.cross_validate(group)
    held_out = []
    gram = fitted._process.kernel.weighted(fitted._process.weights, fitted._measured, fitted._measured) + CONSTANT
    gram += np.diag(fitted.noise_ + fitted._known + JITTER)
    for i in range(50):
        rest = np.arange(50) != i
        held_out.append(gram[i, i] - gram[i, rest] @ np.linalg.solve(gram[np.ix_(rest, rest)], gram[rest, i]))
    assert fitted.left_out_ == pytest.approx(np.sort(np.abs(fitted._t - mean) / np.sqrt(held_out)), rel=1e-5)
    assert fitted.oof_predictions_ == pytest.approx(fitted.natural(mean))


def test_rows_left_out_together_have_errors_in_deviations(fitted: GaussianProcessPredictor) -> None:
    group = np.arange(50) % 4
    mean, variance = fitted.cross_validate(group)
    told, errors = fitted.left_out_with_errors(group)
    t = (Warp(**fitted.warp_)(fitted.target_) - fitted.center_) / fitted.scale_
    assert errors == pytest.approx(np.abs(t - mean) / np.sqrt(variance)) and np.array_equal(
        told, fitted.left_out(group)
    )
    assert np.abs(told / fitted.target_ - 1).mean() < 0.1


def test_intervals_of_rows_left_out_are_from_the_errors_of_the_others(fitted: GaussianProcessPredictor) -> None:
    """The deviation of a row by solving without it, and the factor without its error, which has the row's rank."""
    told = fitted.oof_predictions_
    low, high = fitted.left_out_interval(told, 0.9)
    warp = Warp(**fitted.warp_)
    standard = lambda y: (warp(y) - fitted.center_) / fitted.scale_  # noqa: E731
    gram = fitted._process.kernel.weighted(fitted._process.weights, fitted._measured, fitted._measured) + CONSTANT
    gram += np.diag(fitted.noise_ + fitted._known + JITTER)
    rest = [np.arange(50) != i for i in range(50)]
    deviation = np.sqrt(
        [gram[i, i] - gram[i, r] @ np.linalg.solve(gram[np.ix_(r, r)], gram[r, i]) for i, r in enumerate(rest)]
    )
    error = np.abs(standard(fitted.target_) - standard(told)) / deviation
    other = GaussianProcessPredictor()
    for i in range(50):
        other.left_out_ = np.sort(error[rest[i]])
        half = other.interval_factor(0.9) * deviation[i]
        found = (standard(high[[i]]) - standard(told[[i]]), standard(told[[i]]) - standard(low[[i]]))
        assert found[0] == pytest.approx(half, rel=1e-4) and found[1] == pytest.approx(half, rel=1e-4)


def test_rows_left_out_are_predicted_without_their_values(fitted: GaussianProcessPredictor) -> None:
    """Another value of a row changes nothing of its prediction but the scale, which is fixed here."""
    group = np.arange(50) % 5
    mean, variance = fitted.cross_validate(group)
    other = GaussianProcessPredictor(GENES).fit(fitted.rows_, fitted.target_, fitted.given_noise_)
    other._t = other._t.copy()
    other._t[group == 2] += 10.0
    again, same = other.cross_validate(group)
    assert again[group == 2] == pytest.approx(mean[group == 2]) and same[group == 2] == pytest.approx(
        variance[group == 2]
    )
    assert not np.allclose(again[group == 0], mean[group == 0])


def test_an_interval_is_for_a_measurement_and_a_sample_for_the_noiseless_value() -> None:
    """Of a constant with much noise, 400 times measured: samples vary by a twentieth, measurements by the noise."""
    rng = np.random.default_rng(0)
    X, y = rng.random((400, 1)), 5.0 + rng.standard_normal(400)
    model = GaussianProcessPredictor().fit(X, y)
    low, high = model.predict_interval([[0.5]], 0.9)
    assert high - low == pytest.approx([2 * 1.645], rel=0.1)
    assert model.noise_sd == pytest.approx(1.0, rel=0.1)
    assert model.sample([[0.5]], 1000, rng).std() < 0.2


def test_known_noise_is_believed() -> None:
    """A value said to be worthless does not move its neighbours; the same without a word does."""
    X = np.linspace(0, 1, 30)[:, None]
    y = 3.0 + 2.0 * X[:, 0]
    wrong = y.copy()
    wrong[15] += 5.0
    noise = np.zeros(30)
    noise[15] = 50.0
    told = GaussianProcessPredictor(warp="plain").fit(X, wrong, noise)
    untold = GaussianProcessPredictor(warp="plain").fit(X, wrong)
    assert np.abs(told.predict(X) - y).max() < 0.05 < np.abs(untold.predict(X) - y).max()
    nothing = GaussianProcessPredictor(warp="plain").fit(X, wrong, np.full(30, np.nan))
    assert np.array_equal(nothing.predict(X), untold.predict(X))


def test_shares_of_variance_say_which_part_explains(task) -> None:
    """A target that counts values of all genes alike, and one that is linear in a fact."""
    X = rows(80)
    counts = GaussianProcessPredictor(GENES).fit(X, X[:, 2::3].sum(axis=1) + 1.0)
    assert sum(counts.parts_.values()) == pytest.approx(1.0)
    alike = {k: v for k, v in counts.parts_.items() if k in ("counts", "trends alike", "values alike", "counts curved")}
    assert sum(alike.values()) > 0.5
    facts = Schema.from_names(["a", "b"])
    x = np.random.default_rng(0).random((40, 2))
    linear = GaussianProcessPredictor(facts).fit(x, 1.0 + 5.0 * x[:, 0])
    assert linear.parts_["fact"] > 0.9 and linear.parts_["noise"] < 1e-3


def test_a_prior_moves_weights_where_data_are_few() -> None:
    X = rows(6)
    y = 10.0 + X[:, 2]
    shares = [GaussianProcessPredictor(GENES, prior={"counts": p}).fit(X, y).parts_["counts"] for p in (1e-4, 1.0)]
    assert shares[0] < shares[1]


def test_the_warp_that_suits_is_found() -> None:
    """Exponentials are learned as logarithms, and a saturating score as the distance from its ceiling."""
    x = np.random.default_rng(0).random((60, 3))
    assert GaussianProcessPredictor().fit(x, np.exp(3.0 * x @ [1, 2, 3])).warp_["kind"] in ("log", "gap")
    assert GaussianProcessPredictor().fit(x, 80.0 - np.exp(2.0 * x @ [1, 1, 1])).warp_["kind"] == "ceiling"
    assert GaussianProcessPredictor(warp="log").fit(x, 1.0 + x[:, 0]).warp_["kind"] == "log"


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_few_rows_give_a_prediction_near_what_was_measured_and_a_wide_interval(n: int) -> None:
    X, y = np.arange(n, dtype=float)[:, None], 100.0 + np.arange(n)
    model = GaussianProcessPredictor().fit(X, y)
    mean, deviation = model.predict(X, return_std=True)
    assert np.abs(mean - y).max() <= max(1.0, np.ptp(y)) and (deviation > 0).all()
    low, high = model.predict_interval(X, 0.9)
    assert (low < mean).all() and (mean < high).all() and np.isfinite(high - low).all()


@pytest.mark.parametrize("y", [np.full(12, 3.0), np.full(12, -1e-9), np.zeros(12), 0.1 + np.full(12, 0.2)])
def test_a_constant_target_is_predicted_and_said(y: np.ndarray) -> None:
    model = GaussianProcessPredictor(GENES).fit(rows(12), y)
    assert model.predict(rows(5)) == pytest.approx(np.full(5, y[0]), abs=1e-12)
    low, high = model.predict_interval(rows(5))
    assert (low <= y[0]).all() and (y[0] <= high).all()
    assert "All 12 targets are" in model.notes_[0]


def test_contradictory_rows_are_noise() -> None:
    """Each row twice, one unit apart: what is predicted lies between, and the noise is half a unit's."""
    X = np.repeat(np.linspace(0, 1, 20)[:, None], 2, axis=0)
    y = 10.0 + 3.0 * X[:, 0] + np.tile([-0.5, 0.5], 20)
    model = GaussianProcessPredictor(warp="plain").fit(X, y)
    assert model.predict(X) == pytest.approx(10.0 + 3.0 * X[:, 0], abs=0.1)
    assert model.noise_sd == pytest.approx(0.5, rel=0.15)
    assert "20 rows repeat others" in model.notes_[0]


def test_columns_that_do_not_vary_have_no_effect() -> None:
    X = np.column_stack([np.linspace(0, 1, 20), np.full(20, 224.0)])
    y = 1.0 + X[:, 0]
    model = GaussianProcessPredictor(Schema.from_names(["macs", "r"])).fit(X, y)
    moved = X.copy()
    moved[:, 1] = 128.0
    assert np.array_equal(model.predict(X), model.predict(moved))
    assert model.notes_ == ["1 of 2 columns do not vary and have no effect."]
    assert np.ptp(GaussianProcessPredictor().fit(np.ones((5, 2)), np.arange(5.0)).predict(moved)) == 0.0


def test_more_rows_than_weights_are_found_from(task) -> None:
    """The posterior is conditioned on all rows, also where weights are found from 200 of 320."""
    X, y = task(420, noise=0.02)
    few = GaussianProcessPredictor(GENES).fit(X[:200], y[:200])
    many = GaussianProcessPredictor(GENES).fit(X[:320], y[:320])
    error = [scores(y[320:], m.predict(X[320:]))["mae"] for m in (few, many)]
    assert error[1] < error[0] and len(many.left_out_) == 320
    assert len(many.target_) == 320


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"warp": "square"}, "warp is 'square'.*auto, plain, log"),
        ({"noise": "none"}, "noise is 'none'"),
        ({"interval_folds": 1}, "interval_folds 1"),
        ({"prior": {"counts": -1.0}}, "prior has 'counts': -1.0"),
        ({"schema": Schema.from_names(["a", "b"])}, r"schema has 2 columns, but X has shape \(10, 36\)"),
        ({"warp": "log"}, "needs positive targets"),
    ],
)
def test_wrong_settings_are_refused(settings: dict, words: str) -> None:
    with pytest.raises(PredictorError, match=words):
        GaussianProcessPredictor(**settings).fit(rows(10), np.arange(10.0))


@pytest.mark.parametrize(
    ("noise", "words"),
    [([1.0, 2.0], r"shape \(10,\)"), ([-1.0] * 10, "noise of row 0 is -1"), ([0.0] * 9 + [np.inf], "row 9 is inf")],
)
def test_wrong_noise_is_refused(noise: list[float], words: str) -> None:
    with pytest.raises(PredictorError, match=words):
        GaussianProcessPredictor(GENES).fit(rows(10), np.arange(10.0), noise)


def test_too_many_rows_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_ROWS", 9)
    with pytest.raises(
        PredictorError, match=r"at most 9 rows of 4096 columns, got \(10, 36\).*CrossValidatedPredictor"
    ):
        GaussianProcessPredictor(GENES).fit(rows(10), np.arange(10.0))


def test_columns_of_a_table_must_be_the_schema_s_in_its_order() -> None:
    frame = pd.DataFrame(np.random.default_rng(0).random((8, 2)), columns=["macs", "params"])
    y = np.arange(8.0)
    model = GaussianProcessPredictor(Schema.from_names(["macs", "params"])).fit(frame, y)
    assert model.predict(frame).shape == (8,)
    with pytest.raises(PredictorError, match=r"another order.*'params' stands where 'macs'"):
        GaussianProcessPredictor(Schema.from_names(["macs", "params"])).fit(frame[["params", "macs"]], y)
    with pytest.raises(PredictorError, match="column 'flops' is in the schema, but not in X"):
        GaussianProcessPredictor(Schema.from_names(["flops", "params"])).fit(frame, y)


def test_shift_names_what_was_never_measured() -> None:
    """No row has the third value of the first gene; rows like those of the fit are no shift."""
    X = rows(300)
    X = X[X[:, 2] == 0][:120]
    y = X @ np.linspace(-1, 1, 36) + 5.0
    model = GaussianProcessPredictor(GENES).fit(X, y)
    like = rows(500, seed=6)
    like = like[like[:, 2] == 0]
    near, far = (
        model.shift(like),
        model.shift(np.roll(like[:50], 0, axis=1) * 0 + np.eye(3)[[2] + [0] * 11].reshape(1, -1)),
    )
    assert near.never_measured == [] and near.share < 0.15 and near.warning is None
    assert far.never_measured == ["w[0]=3"] and far.share == 1.0
    assert far.warning is not None and "never measured: w[0]=3" in far.warning


def test_the_expected_best_is_below_the_best_prediction(fitted: GaussianProcessPredictor) -> None:
    X = rows(300)
    best = fitted.expected_best(X, 5, largest=True)
    assert best.predicted == pytest.approx(np.sort(fitted.predict(X))[::-1][:5])
    assert best.predicted == pytest.approx(fitted.predict(X[best.at]))
    assert best.corrected[0] < best.predicted[0] and best.corrected.mean() < best.predicted.mean()
    least = fitted.expected_best(X, 5, largest=False)
    assert least.corrected[0] > least.predicted[0] and least.corrected.mean() > least.predicted.mean()


def test_a_chosen_process_gives_its_own_intervals(task) -> None:
    X, y = task(60)
    chosen = CrossValidatedPredictor(schema=GENES).fit(X, y)
    assert chosen.best_ == "gaussian-process"
    alone = GaussianProcessPredictor(GENES).fit(X, y)
    for a, b in zip(chosen.predict_interval(X, 0.8), alone.predict_interval(X, 0.8), strict=True):
        assert np.array_equal(a, b)
    for a, b in zip(chosen.predict(X, return_std=True), alone.predict(X, return_std=True), strict=True):
        assert np.array_equal(a, b)
