"""Predictions from cheaper quantities: better where these say something, no worse where they do not."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kendalltau
from sklearn.base import clone

from predictors import FidelityPredictor, GaussianProcessPredictor, PredictorError, Schema, load, save

GENES = Schema.from_names([f"w[{i}]={v}" for i in range(12) for v in (1, 2, 3)])


@pytest.fixture(scope="module")
def rows():
    """400 rows, their values, a cheap quantity that goes with these, and one that does not."""
    from tests.predictors.conftest import make_task

    X, y = make_task(400, noise=0.05)
    rng = np.random.default_rng(5)
    return X, y, 40 + 3 * (y - 75) + 0.3 * rng.normal(size=400), rng.normal(size=400)


def test_cheap_measurements_take_the_place_of_dear_ones(rows) -> None:
    X, y, cheap, _ = rows
    alone = GaussianProcessPredictor(GENES).fit(X[:12], y[:12])
    model = FidelityPredictor(GENES, {"few images": (X[:200], cheap[:200])}).fit(X[:12], y[:12])
    for part in (slice(12, 200), slice(200, 400)):  # measured cheaply, and not
        ours, theirs = (abs(m.predict(X[part]) - y[part]).mean() for m in (model, alone))
        assert ours < 0.6 * theirs
        assert kendalltau(model.predict(X[part]), y[part])[0] > kendalltau(alone.predict(X[part]), y[part])[0] + 0.1
    assert model.fidelities_["few images"] > 0.3
    low, high = model.predict_interval(X[12:], 0.9)
    assert ((low <= y[12:]) & (y[12:] <= high)).mean() > 0.8


def test_a_worthless_fidelity_has_no_weight_and_it_is_said(rows) -> None:
    X, y, cheap, noise = rows
    alone = GaussianProcessPredictor(GENES).fit(X[:80], y[:80])
    model = FidelityPredictor(GENES, {"dice": (X, noise), "few images": (X, cheap)}).fit(X[:80], y[:80])
    assert model.fidelities_["dice"] < 0.02 < 0.3 < model.fidelities_["few images"]
    only = FidelityPredictor(GENES, {"dice": (X, noise)}).fit(X[:80], y[:80])
    assert abs(only.predict(X[80:]) - y[80:]).mean() < 1.1 * abs(alone.predict(X[80:]) - y[80:]).mean()
    assert only.fidelities_["dice"] < 0.02 and any("'dice'" in said for said in only.notes_) == (
        only.fidelities_["dice"] < 0.01
    )


def test_the_cheap_predictions_uncertainty_widens_intervals(rows) -> None:
    X, y, cheap, _ = rows
    sure = FidelityPredictor(GENES, {"a": (X, cheap)}).fit(X[:20], y[:20])
    assert (sure._input_variance(X[20:]) == 0).all()
    few = FidelityPredictor(GENES, {"a": (X[:30], cheap[:30])}).fit(X[:20], y[:20])
    assert (few._input_variance(X[:30]) == 0).all() and (few._input_variance(X[30:]) > 0).all()
    without = GaussianProcessPredictor._spread(few, X[30:])
    np.testing.assert_allclose(few._spread(X[30:]) ** 2, without**2 + few._input_variance(X[30:]))


def test_input_variance_by_hand() -> None:
    # y = 2 z, with z known at the rows of the fit and an own process for others: the variance of y is 4 times that of z
    x = np.linspace(0.0, 1.0, 30)[:, None]
    z = np.sin(5.0 * x[:, 0])
    model = FidelityPredictor(fidelities={"z": (x[::3], z[::3])}, warp="plain").fit(x[::3], 2.0 * z[::3])
    new = np.array([[0.49]])
    variance = model.cheap_[0].predict(new, return_std=True)[1] ** 2
    assert model._input_variance(new) * model.scale_**2 == pytest.approx(4 * variance, rel=0.5)


def test_it_is_saved_with_its_fidelities(rows, tmp_path) -> None:
    X, y, cheap, noise = rows
    given = {"a": (X[:50], noise[:50], np.full(50, 0.1)), "b": (X[:60], cheap[:60])}
    model = clone(FidelityPredictor(GENES, given)).fit(X[:20], y[:20])
    save(model, tmp_path / "f.zip")
    again = load(tmp_path / "f.zip")
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    for one, two in zip(again.predict_interval(X), model.predict_interval(X), strict=True):
        np.testing.assert_array_equal(one, two)
    assert again.fidelities_ == model.fidelities_


def test_without_a_fidelity_it_is_the_process(rows) -> None:
    X, y, *_ = rows
    for given in (None, {}):
        ours, plain = (
            FidelityPredictor(GENES, given).fit(X[:30], y[:30]),
            GaussianProcessPredictor(GENES).fit(X[:30], y[:30]),
        )
        np.testing.assert_allclose(ours.predict(X), plain.predict(X), rtol=1e-9)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((np.zeros((5, 36)),), "not \\(X, y\\)"),
        ((np.zeros((5, 35)), np.zeros(5)), "has shapes"),
        ((np.zeros((5, 36)), np.zeros(4)), "has shapes"),
        ((np.zeros((3, 36)), np.zeros(3)), "at least 4"),
        ((np.zeros((5, 36)), np.array([1.0, 2.0, np.nan, 3.0, 4.0])), "not finite"),
        ((np.zeros((5, 36)), np.arange(5.0), np.array([1.0, -1.0, 1.0, 1.0, 1.0])), "noise of row 1"),
    ],
)
def test_fidelities_that_are_none(rows, given, said) -> None:
    X, y, *_ = rows
    with pytest.raises(PredictorError, match=said):
        FidelityPredictor(GENES, {"bad": given}).fit(X[:20], y[:20])
