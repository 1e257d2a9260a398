"""Regressors from encoded architectures to one metric: scikit-learn estimators with intervals, saved without pickle."""

from __future__ import annotations

from predictors._typing import Regressor
from predictors.base import BasePredictor, register
from predictors.boosting import XGBoostPredictor
from predictors.errors import PredictorError, PredictorFileError, TooFewRowsError
from predictors.metrics import scores
from predictors.persist import load, save
from predictors.ridge import RidgePredictor
from predictors.select import CrossValidatedPredictor, default_candidates

__all__ = [
    "BasePredictor",
    "CrossValidatedPredictor",
    "PredictorError",
    "PredictorFileError",
    "Regressor",
    "RidgePredictor",
    "TooFewRowsError",
    "XGBoostPredictor",
    "default_candidates",
    "load",
    "register",
    "save",
    "scores",
]
