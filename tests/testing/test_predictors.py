"""Every predictor of ours passes the suite that is shipped for others'."""

from __future__ import annotations

from hwsearch.testing import PredictorConformance
from predictors import (
    BasePredictor,
    CrossValidatedPredictor,
    GaussianProcessPredictor,
    RidgePredictor,
    XGBoostPredictor,
)


class TestRidge(PredictorConformance):
    def make(self) -> BasePredictor:
        return RidgePredictor()


class TestRidgeLog(PredictorConformance):
    def make(self) -> BasePredictor:
        return RidgePredictor(log_target=True)


class TestXGBoost(PredictorConformance):
    def make(self) -> BasePredictor:
        return XGBoostPredictor(n_estimators=30)


class TestGaussianProcess(PredictorConformance):
    distribution_free = False

    def make(self) -> BasePredictor:
        return GaussianProcessPredictor()


class TestCrossValidated(PredictorConformance):
    distribution_free = False

    def make(self) -> BasePredictor:
        return CrossValidatedPredictor(folds=3, repeats=1)
