"""Choose the predictor by cross-validation, and keep the fold models for intervals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.model_selection import KFold
from sklearn.utils.parallel import Parallel, delayed

from predictors._typing import FloatArray, Regressor
from predictors.base import BasePredictor, register
from predictors.boosting import XGBoostPredictor
from predictors.errors import PredictorError
from predictors.metrics import SCORES, scores
from predictors.ridge import RidgePredictor

#: candidates whose mean absolute error is within this share of the smallest one count as tied
TIE = 0.01


def default_candidates(positive: bool, seed: int = 0) -> dict[str, BasePredictor]:
    """Make the default candidates: ridge and XGBoost, on the target and, where it is positive, on its logarithm.

    Parameters
    ----------
    positive : bool
        Whether all targets are positive.
    seed : int
        Of the candidates.

    Returns
    -------
    dict
        Name to a predictor that is not fitted.

    Examples
    --------
    >>> sorted(default_candidates(positive=False))
    ['ridge', 'xgboost']
    """
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

    Smallest mean absolute error wins; among candidates within 1 % of it, the highest Spearman correlation,
    then the earlier one. Choosing a winner makes its score slightly optimistic.

    Intervals are CV+ over `fold_estimators_`.

    Parameters
    ----------
    candidates : mapping of str to regressor, optional
        Any scikit-learn regressors; default: `default_candidates`.
    folds : int
        Of the cross-validation; fewer when there are fewer rows. At least 4 rows are needed.
    repeats : int
        Of the whole cross-validation, each with another shuffle; the scores are averaged.
    seed : int
        Of the shuffles and of the default candidates.
    n_jobs : int
        Threads over candidates and folds; the result does not depend on it.

    Attributes
    ----------
    scores_ : dict
        Candidate to ``mae``, ``rmse``, ``mape``, ``spearman``, ``kendall`` of its out-of-fold predictions.
    best_ : str
        Name of the winner.
    best_estimator_ : regressor
        The winner, fitted on all rows.
    fold_estimators_ : list of regressor
        The winner without each fold of the first repeat.
    group_ : ndarray of int (n,)
        The fold of each row.
    oof_predictions_ : ndarray (n,)
        Out-of-fold predictions, in the unit of y.
    residuals_ : ndarray (n,)
        Out-of-fold residuals, in the winner's scale.

    Examples
    --------
    >>> X = np.linspace(0.0, 1.0, 20)[:, None]
    >>> model = CrossValidatedPredictor().fit(X, 10.0 + 5.0 * X[:, 0])
    >>> model.best_
    'ridge'
    """

    minimum_rows: ClassVar[int] = 4
    _learned: ClassVar[tuple[str, ...]] = (
        "scores_", "best_", "best_estimator_", "fold_estimators_", "group_", "oof_predictions_", "residuals_",
    )  # fmt: skip

    scores_: dict[str, dict[str, float]]
    best_: str
    best_estimator_: Regressor
    fold_estimators_: list[Regressor]
    group_: NDArray[np.intp]
    oof_predictions_: FloatArray

    def __init__(
        self,
        candidates: Mapping[str, Regressor] | None = None,
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
    """Choose the winner of a score table: smallest mae; within 1 % of it the highest spearman, then the first.

    Parameters
    ----------
    table : mapping
        Candidate to its scores.

    Returns
    -------
    str
        Name of the winner.

    Raises
    ------
    PredictorError
        If no candidate has a finite mae.

    Examples
    --------
    >>> choose({"a": {"mae": 1.0, "spearman": 0.8}, "b": {"mae": 1.005, "spearman": 0.9}})
    'b'
    """
    usable = {name: row for name, row in table.items() if np.isfinite(row["mae"])}
    if not usable:
        raise PredictorError(f"none of the candidates {', '.join(table)} gave finite predictions.")
    limit = min(row["mae"] for row in usable.values()) * (1 + TIE)
    tied = [name for name, row in usable.items() if row["mae"] <= limit]
    return max(tied, key=lambda name: np.nan_to_num(usable[name]["spearman"], nan=-np.inf))


def _fit_one(candidate: Regressor, X: FloatArray, y: FloatArray, rows: NDArray[np.intp]) -> Regressor:
    model: Regressor = clone(candidate)
    if isinstance(model, RidgePredictor):
        model.set_params(refit_alpha=False)  # a fold's model only predicts
    return model.fit(X[rows], y[rows])


def _averaged(rows: list[dict[str, float]]) -> dict[str, float]:
    return {name: float(np.mean([row[name] for row in rows])) for name in SCORES}
