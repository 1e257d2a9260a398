"""Latencies of one device at several batches and threads: machines that are alike at these, and one whose settings have nothing in common."""

from __future__ import annotations

import numpy as np
import pytest

from predictors import GaussianProcessPredictor, PredictorError, Schema, load, save
from predictors.diagnosis import diagnose
from predictors.kernel import Kernel
from predictors.schema import DEVICE, Column
from predictors.settings import SettingsPredictor
from predictors.sourced import no_worse

GENES = Schema.from_names([f"w[{i}]={v}" for i in range(10) for v in (1, 2, 3)])
OWN = (4, 1)


def machine(n: int, batch: int, threads: int, other: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Rows, the same for each setting, and their latencies: some operators grow with the batch, others with its root; `other` is another device."""
    values = np.random.default_rng(7).integers(3, size=(n, 10))
    costs = np.exp(0.8 * np.random.default_rng(1 + other).standard_normal((2, 10, 3)))[:, np.arange(10), values].sum(
        axis=2
    )
    ms = 0.5 + batch / threads**0.7 * costs[0] + 0.5 * batch**0.5 * costs[1]
    return np.eye(3)[values].reshape(n, -1), ms * np.exp(0.01 * np.random.default_rng([batch, 5]).standard_normal(n))


def fitted(n: int, other: int = 0) -> tuple[SettingsPredictor, np.ndarray, np.ndarray]:
    """Fitted on n rows at a batch of 4, and 60 at batches of 1 and 16; with all rows and latencies."""
    X, y = machine(400, *OWN)
    others = {f"batch {b}": (X[:60], machine(400, b, t, other)[1][:60], None, (b, t)) for b, t in ((1, 1), (16, 2))}
    return SettingsPredictor(GENES, OWN, others).fit(X[:n], y[:n]), X, y


def test_settings_of_one_device_learn_from_each_other() -> None:
    model, X, y = fitted(15)
    alone = GaussianProcessPredictor(GENES).fit(X[:15], y[:15])
    new = slice(100, None)
    errors = [np.abs(m.predict(X[new]) / y[new] - 1).mean() for m in (model, alone)]
    assert errors[0] < 0.75 * errors[1]
    assert no_worse(model.oof_predictions_, alone.oof_predictions_, y[:15])
    assert model.shared_ > 0.5
    low, high = model.predict_interval(X[new], 0.9)
    assert 0.85 < ((low <= y[new]) & (y[new] <= high)).mean() < 0.995
    mean, deviation = model._mean_std(X[new])
    assert model.predict(X[new]) == pytest.approx(np.exp(mean)) and (deviation > 0).all()


def test_settings_that_have_nothing_in_common_are_refused_by_rows_left_out() -> None:
    model, X, y = fitted(60, other=9)
    alone = GaussianProcessPredictor(GENES).fit(X[:60], y[:60])
    assert not no_worse(model.oof_predictions_, alone.oof_predictions_, y[:60])


def test_a_row_is_left_out_at_all_settings() -> None:
    """Where the latencies at another setting are those of this one, leaving out one alone would predict it exactly."""
    X, y = machine(40, *OWN)
    y = y * np.exp(0.3 * np.random.default_rng(0).standard_normal(40))  # nothing but the row itself tells it
    model = SettingsPredictor(GENES, OWN, {"twin": (X, y, None, (5, 1))}).fit(X, y)
    assert np.abs(np.log(y / model.oof_predictions_)).mean() > 0.2
    assert np.abs(np.log(y / model.predict(X))).mean() < 0.15
    group = np.random.default_rng(0).permutation(40) % 5
    assert model.left_out(group) == pytest.approx(model.oof_predictions_)


def test_products_of_kernels_are_alike_at_near_settings() -> None:
    """The part of facts that vary with settings is the product of the kernel of facts and exp(-d²/2) of standardised settings."""
    schema = Schema((Column("macs"), Column("batch", DEVICE), Column("threads", DEVICE)))
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.random(12), np.tile([0.0, 2.0, 4.0], 4), np.repeat([0.0, 1.0], 6)])
    kernel = Kernel(schema, schema.split(X))
    features = kernel.features(schema.split(X))
    stack = dict(zip(kernel.names, kernel.stack(features, features), strict=True))
    z = (X - X.mean(axis=0)) / X.std(axis=0)
    near = np.exp(-0.5 * ((z[:, None, 1:] - z[:, 1:]) ** 2).sum(axis=2))
    product = z[:, [0]] * z[:, 0] * near
    assert stack["device fact"] / stack["device fact"][0, 0] == pytest.approx(product / product[0, 0], abs=1e-4)
    assert {"device", "device curved", "fact", "fact curved"} <= set(kernel.names)


def test_a_file_keeps_it_and_it_is_diagnosed(tmp_path) -> None:
    model, X, y = fitted(20)
    save(model, tmp_path / "p.zip")
    again = load(tmp_path / "p.zip")
    assert np.array_equal(again.predict(X), model.predict(X))
    assert np.array_equal(again.predict_interval(X), model.predict_interval(X))
    group = np.arange(20) % 4
    assert np.array_equal(again.left_out(group), model.left_out(group))
    found = diagnose(model, X[:20], y[:20])
    assert found["learning_curve"]["rows"][-1] == 16 and len(found["left_out"]["predicted"]) == 20


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((np.ones((3, 2)), np.ones(3), None, (1, 1)), r"shapes \(3, 2\).* 30 columns"),
        ((np.ones((3, 30)), np.ones(3), None), "is not .X, y, noise, setting"),
        ((np.eye(30)[:3], np.array([1.0, np.inf, 1.0]), None, (1, 1)), "not finite"),
        ((np.zeros((3, 30)), np.ones(3), None, (0, 1)), "no setting like"),
        ((np.zeros((3, 30)), -np.ones(3), None, (2, 1)), "latencies that are not positive"),
    ],
)
def test_settings_that_are_none_are_refused(given: tuple, said: str) -> None:
    X, y = machine(10, *OWN)
    with pytest.raises(PredictorError, match=said):
        SettingsPredictor(GENES, OWN, {"other": given}).fit(X, y)
