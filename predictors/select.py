"""Choosing the predictor by cross-validation, and keeping what the folds tell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.model_selection import KFold
from sklearn.utils.parallel import Parallel, delayed

from predictors._typing import FloatArray
from predictors.base import BasePredictor, register
from predictors.boosting import XGBoostPredictor
from predictors.errors import PredictorError
from predictors.metrics import SCORES, scores
from predictors.ridge import RidgePredictor

#: candidates whose mean absolute error is within this share of the smallest one count as tied
TIE = 0.01


def default_candidates(positive: bool, seed: int = 0) -> dict[str, BasePredictor]:
    """Ridge and XGBoost, on the target and, where it is positive, on its logarithm."""
    candidates: dict[str, BasePredictor] = {"ridge": RidgePredictor()}
    if positive:
        candidates["ridge-log"] = RidgePredictor(log_target=True)
    candidates["xgboost"] = XGBoostPredictor(interval_folds=0, seed=seed)
    if positive:
        candidates["xgboost-log"] = XGBoostPredictor(interval_folds=0, seed=seed, log_target=True)
    return candidates


@register
class CrossValidatedPredictor(BasePredictor):
    """The candidate with the smallest cross-validated error, fitted again on all rows.

    candidates : name -> regressor (any scikit-learn one); None for `default_candidates`
    folds : of the cross-validation; fewer when there are fewer rows; needs at least 4 rows
    repeats : of the whole cross-validation, each with another shuffle; the scores are averaged
    seed : of the shuffles and of the default candidates
    n_jobs : threads over candidates and folds; the result does not depend on it

    Smallest mean absolute error wins; among candidates within 1 % of it, the highest Spearman correlation,
    then the earlier one. Choosing a winner makes its score slightly optimistic.

    Learned: scores_ (name -> {mae, rmse, mape, spearman, kendall}, of the out-of-fold predictions), best_ (its name),
    best_estimator_, fold_estimators_ and group_ (n,) (the winner without each fold of the first repeat, and the fold
    of each row), oof_predictions_ (n,) in the unit of y, residuals_ (n,) (out-of-fold, in the winner's scale).
    Intervals are CV+ over fold_estimators_.
    """

    minimum_rows: ClassVar[int] = 4
    _learned: ClassVar[tuple[str, ...]] = (
        "scores_", "best_", "best_estimator_", "fold_estimators_", "group_", "oof_predictions_", "residuals_",
    )  # fmt: skip

    scores_: dict[str, dict[str, float]]
    best_: str
    best_estimator_: Any
    fold_estimators_: list[Any]
    group_: NDArray[np.intp]
    oof_predictions_: FloatArray

    def __init__(
        self,
        candidates: Mapping[str, Any] | None = None,
        folds: int = 5,
        repeats: int = 1,
        seed: int = 0,
        n_jobs: int = 1,
    ) -> None:
        self.candidates = candidates
        self.folds = folds
        self.repeats = repeats
        self.seed = seed
        self.n_jobs = n_jobs

    def _fit(self, X: FloatArray, y: FloatArray) -> None:
        candidates = default_candidates(bool(y.min() > 0), self.seed) if self.candidates is None else self.candidates
        if not candidates:
            raise PredictorError("there is no candidate to choose from.", hint="Use candidates=None for the defaults.")
        if self.folds < 2 or self.repeats < 1:
            raise PredictorError(
                f"folds={self.folds!r}, repeats={self.repeats!r} is no cross-validation.",
                hint="Use at least 2 folds and 1 repeat.",
            )
        splits = [
            list(KFold(min(self.folds, len(y)), shuffle=True, random_state=self.seed + repeat).split(X))
            for repeat in range(self.repeats)
        ]
        jobs = [(name, r, f) for name in candidates for r in range(self.repeats) for f in range(len(splits[r]))]
        models = Parallel(n_jobs=self.n_jobs, prefer="threads")(
            delayed(_fit_one)(candidates[name], X, y, splits[r][f][0]) for name, r, f in jobs
        )
        fitted = dict(zip(jobs, models, strict=True))

        held_out = {name: np.empty((self.repeats, len(y))) for name in candidates}
        for (name, r, f), model in fitted.items():
            outside = splits[r][f][1]
            held_out[name][r, outside] = model.predict(X[outside])
        self.scores_ = {name: _averaged([scores(y, row) for row in rows]) for name, rows in held_out.items()}
        self.best_ = choose(self.scores_)

        self.group_ = np.empty(len(y), dtype=np.intp)
        for f, (_, outside) in enumerate(splits[0]):
            self.group_[outside] = f
        self.fold_estimators_ = [fitted[self.best_, 0, f] for f in range(len(splits[0]))]
        self.oof_predictions_ = held_out[self.best_][0]
        self.best_estimator_ = clone(candidates[self.best_]).fit(X, y)
        self.residuals_ = self._scaled(y) - self._scaled(self.oof_predictions_)

    def _log(self) -> bool:
        return bool(getattr(self.best_estimator_, "log_target", False))

    def _scaled(self, values: FloatArray) -> FloatArray:
        return np.log(values) if self._log() else values

    def _mean(self, X: FloatArray) -> FloatArray:
        best = self.best_estimator_
        return best._mean(X) if isinstance(best, BasePredictor) else self._scaled(best.predict(X))

    def _mean_std(self, X: FloatArray) -> tuple[FloatArray, FloatArray]:
        if isinstance(self.best_estimator_, RidgePredictor):
            return self.best_estimator_._mean_std(X)
        return super()._mean_std(X)

    def _held_out(self, X: FloatArray) -> tuple[FloatArray, NDArray[np.intp]]:
        return np.column_stack([self._scaled(model.predict(X)) for model in self.fold_estimators_]), self.group_


def choose(table: Mapping[str, Mapping[str, float]]) -> str:
    """The winner of a score table: smallest mae; among those within 1 % of it the highest spearman, then the first.

    Raises PredictorError when no candidate has a finite mae.
    """
    usable = {name: row for name, row in table.items() if np.isfinite(row["mae"])}
    if not usable:
        raise PredictorError(f"none of the candidates {', '.join(table)} gave finite predictions.")
    limit = min(row["mae"] for row in usable.values()) * (1 + TIE)
    tied = [name for name, row in usable.items() if row["mae"] <= limit]
    return max(tied, key=lambda name: np.nan_to_num(usable[name]["spearman"], nan=-np.inf))


def _fit_one(candidate: Any, X: FloatArray, y: FloatArray, rows: NDArray[np.intp]) -> Any:
    model = clone(candidate)
    if isinstance(model, RidgePredictor):
        model.set_params(refit_alpha=False)  # a fold's model only predicts
    return model.fit(X[rows], y[rows])


def _averaged(rows: list[dict[str, float]]) -> dict[str, float]:
    return {name: float(np.mean([row[name] for row in rows])) for name in SCORES}
