"""Regressors from encoded architectures to one metric: scikit-learn estimators with intervals, saved without pickle."""

from __future__ import annotations

from typing import TYPE_CHECKING

from predictors._lazy import lazy_names

if TYPE_CHECKING:
    from predictors._typing import Regressor
    from predictors.base import BasePredictor, register
    from predictors.boosting import XGBoostPredictor
    from predictors.errors import PredictorError, PredictorFileError, TooFewRowsError
    from predictors.metrics import scores
    from predictors.persist import load, save
    from predictors.ridge import RidgePredictor
    from predictors.schema import Column, Schema
    from predictors.select import CrossValidatedPredictor, default_candidates

_HOMES = {
    "BasePredictor": "base",
    "Column": "schema",
    "CrossValidatedPredictor": "select",
    "PredictorError": "errors",
    "PredictorFileError": "errors",
    "Regressor": "_typing",
    "RidgePredictor": "ridge",
    "Schema": "schema",
    "TooFewRowsError": "errors",
    "XGBoostPredictor": "boosting",
    "default_candidates": "select",
    "load": "persist",
    "register": "base",
    "save": "persist",
    "scores": "metrics",
}

__all__ = [
    "BasePredictor",
    "Column",
    "CrossValidatedPredictor",
    "PredictorError",
    "PredictorFileError",
    "Regressor",
    "RidgePredictor",
    "Schema",
    "TooFewRowsError",
    "XGBoostPredictor",
    "default_candidates",
    "load",
    "register",
    "save",
    "scores",
]

__getattr__, __dir__ = lazy_names(__name__, {name: f"predictors.{home}" for name, home in _HOMES.items()})
