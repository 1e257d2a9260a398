"""Gradient-boosted trees for small tables."""

from __future__ import annotations

import os
from typing import ClassVar

import numpy as np
import xgboost as xgb
from numpy.typing import NDArray
from sklearn.model_selection import KFold

from predictors._typing import FloatArray
from predictors.base import BasePredictor, register
from predictors.errors import PredictorError


@register
class XGBoostPredictor(BasePredictor):
    """Gradient-boosted trees (XGBoost) with defaults for 20 to 1000 rows.

    Shallow trees, half of the columns and four fifths of the rows for each, a modest learning rate: one-hot
    encodings have many weak columns and few rows. The target is standardised first, as XGBoost computes in float32.

    Parameters
    ----------
    n_estimators, max_depth : int
        Number of trees and their depth.
    learning_rate, subsample, colsample_bytree, min_child_weight, reg_lambda : float
        As of XGBoost.
    log_target : bool
        Whether to fit log(y).
    interval_folds : int
        This many more models, each without a fold of the rows, are fitted for `predict_interval` and `return_std`;
        0 leaves them out, and those two then raise PredictorError.
    seed : int
        Of the sampling and of the folds; the same seed gives the same bits.
    n_jobs : int
        Threads.

    Attributes
    ----------
    booster_ : xgboost.Booster
        Fitted on all rows.
    fold_boosters_ : list of xgboost.Booster
        Each without a fold of the rows.
    group_ : ndarray of int (n,)
        The fold of each row.

    References
    ----------
    Chen and Guestrin 2016, "XGBoost: a scalable tree boosting system", arXiv 1603.02754.

    Examples
    --------
    >>> X = np.linspace(0.0, 1.0, 40)[:, None]
    >>> model = XGBoostPredictor().fit(X, 10.0 + 5.0 * X[:, 0])
    >>> bool(abs(model.predict([[0.5]])[0] - 12.5) < 0.5)
    True
    """

    _learned: ClassVar[tuple[str, ...]] = ("booster_", "fold_boosters_", "group_", "residuals_", "mean_", "scale_")

    booster_: xgb.Booster
    fold_boosters_: list[xgb.Booster]
    group_: NDArray[np.intp]

    def __init__(
        self,
        n_estimators: int = 100,
        max_depth: int = 3,
        learning_rate: float = 0.1,
        subsample: float = 0.8,
        colsample_bytree: float = 0.5,
        min_child_weight: float = 1.0,
        reg_lambda: float = 1.0,
        log_target: bool = False,
        interval_folds: int = 5,
        seed: int = 0,
        n_jobs: int = 1,
    ) -> None:
        self.n_estimators = n_estimators
        self.max_depth = max_depth
        self.learning_rate = learning_rate
        self.subsample = subsample
        self.colsample_bytree = colsample_bytree
        self.min_child_weight = min_child_weight
        self.reg_lambda = reg_lambda
        self.log_target = log_target
        self.interval_folds = interval_folds
        self.seed = seed
        self.n_jobs = n_jobs

    def _fit(self, X: FloatArray, y: FloatArray) -> None:
        if self.interval_folds != 0 and self.interval_folds < 2:
            raise PredictorError(f"interval_folds {self.interval_folds!r} is not 0 or at least 2.", hint="Use 5.")
        n = len(y)
        self.mean_ = float(y.mean())
        self.scale_ = float(y.std()) or 1.0
        target = (y - self.mean_) / self.scale_
        self.booster_ = self._train(X, target)
        self.fold_boosters_ = []
        self.group_ = np.zeros(n, dtype=np.intp)
        self.residuals_ = np.full(n, np.nan)
        if self.interval_folds == 0:
            return
        splits = KFold(min(self.interval_folds, n), shuffle=True, random_state=self.seed).split(X)
        for fold, (inside, outside) in enumerate(splits):
            booster = self._train(X[inside], target[inside])
            self.fold_boosters_.append(booster)
            self.group_[outside] = fold
            self.residuals_[outside] = y[outside] - self._run(booster, X[outside])

    def _train(self, X: FloatArray, target: FloatArray) -> xgb.Booster:
        settings: dict[str, str | float] = {
            "objective": "reg:squarederror",
            "tree_method": "hist",
            "base_score": 0.0,
            "max_bin": 64,
            "max_depth": self.max_depth,
            "learning_rate": self.learning_rate,
            "subsample": self.subsample,
            "colsample_bytree": self.colsample_bytree,
            "min_child_weight": self.min_child_weight,
            "reg_lambda": self.reg_lambda,
            "seed": self.seed,
            "nthread": self._threads(),
            "verbosity": 0,
        }
        try:
            return xgb.train(settings, xgb.DMatrix(X, target, nthread=self._threads()), int(self.n_estimators))
        except xgb.core.XGBoostError as error:
            reason = str(error).splitlines()[0]
            raise PredictorError(f"XGBoost refused its settings: {reason}", hint="Check the values given.") from error

    def _threads(self) -> int:
        """Return the number of threads, at most one a core: XGBoost would start any number, and end the process where it cannot."""
        if isinstance(self.n_jobs, bool) or not isinstance(self.n_jobs, int):
            raise PredictorError(f"n_jobs must be a whole number, got {self.n_jobs!r}.", hint="Use 1.")
        return min(self.n_jobs, os.cpu_count() or 1)

    def _run(self, booster: xgb.Booster, X: FloatArray) -> FloatArray:
        """Predict (m,) by one booster in the target's scale."""
        raw = booster.predict(xgb.DMatrix(X, nthread=self._threads()))
        values: FloatArray = raw.astype(np.float64) * self.scale_ + self.mean_
        return values

    def _mean(self, X: FloatArray) -> FloatArray:
        return self._run(self.booster_, X)

    def _held_out(self, X: FloatArray) -> tuple[FloatArray, NDArray[np.intp]]:
        if not self.fold_boosters_:
            raise PredictorError(
                "this XGBoostPredictor was fitted with interval_folds=0 and knows no intervals.",
                hint="Fit it again with interval_folds=5.",
            )
        data = np.column_stack([self._run(booster, X) for booster in self.fold_boosters_])
        return data, self.group_
