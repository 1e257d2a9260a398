"""Every predictor of ours passes the suite that is shipped for others'."""

from __future__ import annotations

from hwsearch.testing import PredictorConformance
from predictors import BasePredictor, CrossValidatedPredictor, RidgePredictor, XGBoostPredictor


class TestRidge(PredictorConformance):
    def make(self) -> BasePredictor:
        return RidgePredictor()


class TestRidgeLog(PredictorConformance):
    def make(self) -> BasePredictor:
        return RidgePredictor(log_target=True)


class TestXGBoost(PredictorConformance):
    def make(self) -> BasePredictor:
        return XGBoostPredictor(n_estimators=30)


class TestCrossValidated(PredictorConformance):
    def make(self) -> BasePredictor:
        return CrossValidatedPredictor(folds=3)
