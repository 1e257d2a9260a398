"""Regressors from encoded architectures to one metric: scikit-learn estimators with intervals, saved without pickle."""

from __future__ import annotations

from typing import TYPE_CHECKING

from predictors._lazy import lazy_names

if TYPE_CHECKING:
    from predictors._typing import Regressor
    from predictors.base import BasePredictor, register
    from predictors.boosting import XGBoostPredictor
    from predictors.card import card_of
    from predictors.conformal import BestReport, CoverageReport, ShiftReport, coverage_report
    from predictors.errors import PredictorError, PredictorFileError, TooFewRowsError
    from predictors.fidelity import FidelityPredictor
    from predictors.gp import GaussianProcessPredictor
    from predictors.metrics import scores
    from predictors.operators import OperatorPredictor
    from predictors.persist import load, read_card, replace_card, save
    from predictors.ridge import RidgePredictor
    from predictors.schema import Column, Schema
    from predictors.select import CrossValidatedPredictor, default_candidates

_HOMES = {
    "BasePredictor": "base",
    "BestReport": "conformal",
    "Column": "schema",
    "CoverageReport": "conformal",
    "CrossValidatedPredictor": "select",
    "FidelityPredictor": "fidelity",
    "GaussianProcessPredictor": "gp",
    "OperatorPredictor": "operators",
    "PredictorError": "errors",
    "PredictorFileError": "errors",
    "Regressor": "_typing",
    "RidgePredictor": "ridge",
    "Schema": "schema",
    "ShiftReport": "conformal",
    "TooFewRowsError": "errors",
    "XGBoostPredictor": "boosting",
    "card_of": "card",
    "coverage_report": "conformal",
    "default_candidates": "select",
    "load": "persist",
    "read_card": "persist",
    "register": "base",
    "replace_card": "persist",
    "save": "persist",
    "scores": "metrics",
}

__all__ = [
    "BasePredictor",
    "BestReport",
    "Column",
    "CoverageReport",
    "CrossValidatedPredictor",
    "FidelityPredictor",
    "GaussianProcessPredictor",
    "OperatorPredictor",
    "PredictorError",
    "PredictorFileError",
    "Regressor",
    "RidgePredictor",
    "Schema",
    "ShiftReport",
    "TooFewRowsError",
    "XGBoostPredictor",
    "card_of",
    "coverage_report",
    "default_candidates",
    "load",
    "read_card",
    "register",
    "replace_card",
    "save",
    "scores",
]

__getattr__, __dir__ = lazy_names(__name__, {name: f"predictors.{home}" for name, home in _HOMES.items()})
