"""Predictors that are compared: ours, what `fit` fitted before, and rivals, each in the form that suits it."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from benchmarks.predictors_data import Case
from hwsearch._typing import FloatArray, IntArray
from predictors import CrossValidatedPredictor, GaussianProcessPredictor, RidgePredictor, XGBoostPredictor


@dataclass(frozen=True)
class Prediction:
    """Predictions (m,) and, where a model has them, ends of 90 % intervals."""

    value: FloatArray
    low: FloatArray | None = None
    high: FloatArray | None = None


Model = Callable[[Case, IntArray, IntArray], Prediction]
COVERAGE = 0.9
#: our names in tables
PROCESS, FIT, BEFORE = "process", "fit", "fit before"


def process(case: Case, learn: IntArray, test: IntArray) -> Prediction:
    model = GaussianProcessPredictor(case.schema).fit(case.X[learn], case.y[learn])
    return _with_interval(model, case, test)


def fit(case: Case, learn: IntArray, test: IntArray) -> Prediction:
    """Fit as `hwsearch fit` does: the process, or what is better by more than a standard error."""
    return _with_interval(CrossValidatedPredictor(schema=case.schema).fit(case.X[learn], case.y[learn]), case, test)


def fit_before(case: Case, learn: IntArray, test: IntArray) -> Prediction:
    """Fit as `hwsearch fit` did before: ridge and XGBoost, on the target and on its logarithm, by one cross-validation."""
    candidates = {
        "ridge": RidgePredictor(),
        "ridge-log": RidgePredictor(log_target=True),
        "xgboost": XGBoostPredictor(interval_folds=0),
        "xgboost-log": XGBoostPredictor(interval_folds=0, log_target=True),
    }
    model = CrossValidatedPredictor(candidates, repeats=1).fit(case.X[learn], case.y[learn])
    return _with_interval(model, case, test)


def _with_interval(model: CrossValidatedPredictor | GaussianProcessPredictor, case: Case, test: IntArray) -> Prediction:
    return Prediction(model.predict(case.X[test]), *model.predict_interval(case.X[test], COVERAGE))


def _rival(make: Callable[[], object], *, onehot: bool = False, standard: bool = False, log: bool = True) -> Model:
    """A scikit-learn regressor on genes alone or with facts, standardised or not, on log latency or the accuracy itself."""

    def predict(case: Case, learn: IntArray, test: IntArray) -> Prediction:
        from sklearn.preprocessing import StandardScaler

        X = case.onehot if onehot else case.X
        if standard:
            X = StandardScaler().fit(X[learn]).transform(X)
        logs = log and case.latency
        y = np.log(case.y[learn]) if logs else case.y[learn]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = make()
            value = np.asarray(model.fit(X[learn], y).predict(X[test]), dtype=np.float64)  # type: ignore[attr-defined]
        return Prediction(np.exp(value) if logs else value)

    return predict


def _plain_process() -> object:
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

    kernel = ConstantKernel(1.0) * Matern(length_scale=10.0, length_scale_bounds=(1e-2, 1e4), nu=2.5) + WhiteKernel(
        0.05
    )
    return GaussianProcessRegressor(kernel, normalize_y=True, n_restarts_optimizer=1, random_state=0)


def _mlps() -> object:
    from sklearn.ensemble import BaggingRegressor
    from sklearn.neural_network import MLPRegressor

    net = MLPRegressor(hidden_layer_sizes=(64, 64), max_iter=300, learning_rate_init=3e-3)
    return BaggingRegressor(net, n_estimators=5, bootstrap=False, random_state=0)


class _Scaled:
    """A regressor of a standardised target."""

    def __init__(self, model: object) -> None:
        self._model = model

    def fit(self, X: FloatArray, y: FloatArray) -> _Scaled:
        self._mean, self._scale = float(y.mean()), float(y.std()) or 1.0
        self._model.fit(X, (y - self._mean) / self._scale)  # type: ignore[attr-defined]
        return self

    def predict(self, X: FloatArray) -> FloatArray:
        return np.asarray(self._mean + self._scale * self._model.predict(X))  # type: ignore[attr-defined]


def rivals() -> Iterator[tuple[str, Model]]:
    """Each rival by name; LightGBM and CatBoost where they are installed."""
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.linear_model import RidgeCV
    from sklearn.neighbors import KNeighborsRegressor
    from xgboost import XGBRegressor

    from hwsearch.searchers.predicted.models import make_model

    yield "ridge, one-hot", _rival(lambda: RidgeCV(np.logspace(-3, 3, 25)), onehot=True)
    yield "DyNAS-T rule, one-hot as published", _rival(lambda: make_model("ridge-or-svr", 0), onehot=True, log=False)
    yield "DyNAS-T rule, with facts", _rival(lambda: make_model("ridge-or-svr", 0), standard=True, log=False)
    yield "k-NN", _rival(lambda: KNeighborsRegressor(5, weights="distance"), standard=True)
    yield "MLP ensemble", _rival(lambda: _Scaled(_mlps()), standard=True)
    yield "plain process", _rival(_plain_process, standard=True)
    yield "XGBoost", _rival(lambda: XGBRegressor(n_jobs=1, random_state=0))
    yield "random forest", _rival(lambda: RandomForestRegressor(300, max_features=1 / 3, random_state=0))
    if importlib.util.find_spec("lightgbm"):
        from lightgbm import LGBMRegressor

        yield "LightGBM", _rival(lambda: LGBMRegressor(min_child_samples=5, verbose=-1, n_jobs=1, random_state=0))
    if importlib.util.find_spec("catboost"):
        from catboost import CatBoostRegressor

        yield "CatBoost", _rival(lambda: CatBoostRegressor(verbose=False, thread_count=1, random_seed=0))


def models() -> dict[str, Model]:
    """All models by name, ours first."""
    return {PROCESS: process, FIT: fit, BEFORE: fit_before, **dict(rivals())}
