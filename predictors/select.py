"""Choose the predictor by repeated cross-validation, and keep the fold models for intervals."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.model_selection import KFold
from sklearn.utils.parallel import Parallel, delayed

from predictors._typing import BoolArray, FloatArray, Regressor
from predictors.base import BasePredictor, register
from predictors.boosting import XGBoostPredictor
from predictors.errors import PredictorError
from predictors.gp import GaussianProcessPredictor
from predictors.gp_posterior import MOST_COLUMNS, MOST_ROWS
from predictors.left_out import LeftOutPredictor
from predictors.metrics import SCORES, scores
from predictors.ridge import RidgePredictor
from predictors.schema import Schema

logger = logging.getLogger("predictors")

#: candidates whose mean absolute error is within this share of the smallest one count as tied
TIE = 0.01


def default_candidates(positive: bool, seed: int = 0, schema: Schema | None = None) -> dict[str, BasePredictor]:
    """Make the default candidates: a Gaussian process, ridge, ridge on the logarithm, and XGBoost.

    Where all targets are positive, XGBoost learns their logarithm. Of noise that is known the process takes as much as the rows show.

    Parameters
    ----------
    positive : bool
        Whether all targets are positive.
    seed : int
        Of the candidates.
    schema : Schema, optional
        What the columns say, for the Gaussian process; default: each is a fact.

    Returns
    -------
    dict
        Name to a predictor that is not fitted.

    Examples
    --------
    >>> list(default_candidates(positive=False))
    ['gaussian-process', 'ridge', 'xgboost']
    """
    candidates: dict[str, BasePredictor] = {
        "gaussian-process": GaussianProcessPredictor(schema, noise="scaled", seed=seed)
    }
    candidates["ridge"] = RidgePredictor()
    if positive:
        candidates["ridge-log"] = RidgePredictor(log_target=True)
    candidates["xgboost"] = XGBoostPredictor(interval_folds=0, seed=seed, log_target=positive)
    return candidates


@register
class CrossValidatedPredictor(LeftOutPredictor):
    """The Gaussian process, unless another candidate predicts significantly better; fitted on all rows.

    Errors are those of repeated cross-validation. Where a candidate is a `GaussianProcessPredictor`, the first such is the
    default: another replaces it only if its mean absolute error is smaller by more than one standard error of the rows'
    paired differences. Without one the smallest error wins; among candidates within 1 % of it, the highest Spearman
    correlation, then the earlier one. A Gaussian process is left out where there are more than 2,000 rows.

    Choosing a winner makes its score optimistic. `procedure_scores_` are those of choosing: the rows of each fold are predicted
    by the candidate that the rows of the other folds choose.

    Known noise that `fit` is given is for Gaussian processes. Intervals are those of the Gaussian process, else CV+ over
    `fold_estimators_`.

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
    schema : Schema, optional
        What the columns say, for the default candidates.

    Attributes
    ----------
    scores_ : dict
        Candidate to ``mae``, ``rmse``, ``mape``, ``spearman``, ``kendall`` of its out-of-fold predictions.
    procedure_scores_ : dict
        The same scores of the procedure, choice included.
    mae_error_ : float
        Standard error of its ``mae``, by the spread over rows.
    best_ : str
        Name of the winner.
    best_estimator_ : regressor
        The winner, fitted on all rows.
    fold_estimators_ : list of regressor
        The winner without each fold of the first repeat; empty for a Gaussian process, which needs none.
    group_ : ndarray of int (n,)
        The fold of each row.
    oof_predictions_ : ndarray (n,)
        The winner's out-of-fold predictions, in the unit of y.
    residuals_ : ndarray (n,)
        Out-of-fold residuals, in the winner's scale.

    References
    ----------
    Breiman, Friedman, Olshen, Stone 1984, "Classification and regression trees", of the rule of one standard error.
    Varma and Simon 2006, "Bias in error estimation when using cross-validation for model selection".

    Examples
    --------
    >>> X = np.linspace(0.0, 1.0, 20)[:, None]
    >>> model = CrossValidatedPredictor().fit(X, 10.0 + np.sin(5.0 * X[:, 0]))
    >>> model.best_
    'gaussian-process'
    """

    minimum_rows: ClassVar[int] = 4
    _learned: ClassVar[tuple[str, ...]] = (
        "scores_", "procedure_scores_", "mae_error_", "best_", "best_estimator_", "fold_estimators_", "group_",
        "oof_predictions_", "residuals_",
    )  # fmt: skip

    scores_: dict[str, dict[str, float]]
    procedure_scores_: dict[str, float]
    mae_error_: float
    best_: str
    best_estimator_: Regressor
    fold_estimators_: list[Regressor]
    group_: NDArray[np.intp]

    def __init__(
        self,
        candidates: Mapping[str, Regressor] | None = None,
        folds: int = 5,
        repeats: int = 2,
        seed: int = 0,
        n_jobs: int = 1,
        schema: Schema | None = None,
    ) -> None:
        self.candidates = candidates
        self.folds = folds
        self.repeats = repeats
        self.seed = seed
        self.n_jobs = n_jobs
        self.schema = schema

    def _learn(self, X: FloatArray, y: FloatArray, given: FloatArray) -> None:
        candidates = self._candidates(X, y)
        splits = [
            list(KFold(min(self.folds, len(y)), shuffle=True, random_state=self.seed + repeat).split(X))
            for repeat in range(self.repeats)
        ]
        groups = np.empty((self.repeats, len(y)), dtype=np.intp)
        for r, split in enumerate(splits):
            for f, (_, outside) in enumerate(split):
                groups[r, outside] = f

        held_out = {name: np.empty((self.repeats, len(y))) for name in candidates}
        whole: dict[str, Regressor] = {}
        for name, candidate in candidates.items():
            if isinstance(candidate, GaussianProcessPredictor):
                process = whole[name] = clone(candidate).fit(X, y, given)
                for r, group in enumerate(groups):
                    held_out[name][r] = process.left_out(group)
        jobs = [
            (name, r, f)
            for name in candidates
            if name not in whole
            for r in range(self.repeats)
            for f in range(len(splits[r]))
        ]
        models = Parallel(n_jobs=self.n_jobs, prefer="threads")(
            delayed(_fit_one)(candidates[name], X, y, splits[r][f][0]) for name, r, f in jobs
        )
        fitted = dict(zip(jobs, models, strict=True))
        for (name, r, f), model in fitted.items():
            outside = splits[r][f][1]
            held_out[name][r, outside] = model.predict(X[outside])

        self.scores_ = {name: _averaged([scores(y, row) for row in rows]) for name, rows in held_out.items()}
        default = next(iter(whole), None)
        self.best_ = _best(y, held_out, default, np.ones(len(y), dtype=bool))
        procedure = np.array([_chosen_without(y, held_out, default, groups[r], r) for r in range(self.repeats)])
        self.procedure_scores_ = _averaged([scores(y, row) for row in procedure])
        with np.errstate(over="ignore", invalid="ignore"):
            self.mae_error_ = float(np.abs(procedure - y).mean(axis=0).std(ddof=1) / np.sqrt(len(y)))
        self.group_ = groups[0]
        self.fold_estimators_ = [fitted[self.best_, 0, f] for f in range(len(splits[0])) if self.best_ not in whole]
        self.oof_predictions_ = held_out[self.best_][0]
        self.best_estimator_ = whole.get(self.best_) or clone(candidates[self.best_]).fit(X, y)
        self.residuals_ = self._scaled(y) - self._scaled(self.oof_predictions_)

    def _candidates(self, X: FloatArray, y: FloatArray) -> dict[str, Regressor]:
        positive = bool(y.min() > 0)
        candidates = (
            default_candidates(positive, self.seed, self.schema) if self.candidates is None else self.candidates
        )
        if not candidates:
            raise PredictorError("there is no candidate to choose from.", hint="Use candidates=None for the defaults.")
        if self.folds < 2 or self.repeats < 1:
            raise PredictorError(
                f"folds={self.folds!r}, repeats={self.repeats!r} is no cross-validation.",
                hint="Use at least 2 folds and 1 repeat.",
            )
        if len(y) <= MOST_ROWS and X.shape[1] <= MOST_COLUMNS:
            return dict(candidates)
        quick = {k: c for k, c in candidates.items() if not isinstance(c, GaussianProcessPredictor)}
        what = f"{len(y)} rows of {X.shape[1]} columns are too many for a Gaussian process"
        if not quick:
            raise PredictorError(f"{what}.", hint="Add another candidate.")
        if len(quick) < len(candidates):
            logger.warning("%s; chosen among %s", what, ", ".join(quick))
        return quick

    def _log(self) -> bool:
        return bool(getattr(self.best_estimator_, "log_target", False))

    def _scaled(self, values: FloatArray) -> FloatArray:
        return np.log(values) if self._log() else values

    def _mean(self, X: FloatArray) -> FloatArray:
        best = self.best_estimator_
        return best._mean(X) if isinstance(best, BasePredictor) else self._scaled(best.predict(X))

    def _mean_std(self, X: FloatArray) -> tuple[FloatArray, FloatArray]:
        if isinstance(self.best_estimator_, RidgePredictor | GaussianProcessPredictor):
            return self.best_estimator_._mean_std(X)
        return super()._mean_std(X)

    def _held_out(self, X: FloatArray) -> tuple[FloatArray, NDArray[np.intp]]:
        if isinstance(self.best_estimator_, GaussianProcessPredictor):
            return self.best_estimator_._held_out(X)
        return np.column_stack([self._scaled(model.predict(X)) for model in self.fold_estimators_]), self.group_

    def _interval(self, X: FloatArray, coverage: float) -> tuple[FloatArray, FloatArray]:
        if isinstance(self.best_estimator_, GaussianProcessPredictor):
            return self.best_estimator_.predict_interval(X, coverage)
        return super()._interval(X, coverage)


def process_of(predictor: BasePredictor) -> GaussianProcessPredictor | None:
    """Return the Gaussian process that a predictor predicts by.

    Parameters
    ----------
    predictor : BasePredictor
        Fitted.

    Returns
    -------
    GaussianProcessPredictor or None
        Itself, or its choice; None where that is another predictor.
    """
    chosen = predictor.best_estimator_ if isinstance(predictor, CrossValidatedPredictor) else predictor
    return chosen if isinstance(chosen, GaussianProcessPredictor) else None


def replaces(default: FloatArray, other: FloatArray) -> bool:
    """Tell whether a candidate predicts better than the default, by more than chance.

    Parameters
    ----------
    default, other : ndarray (n,)
        Absolute errors of both for the same rows.

    Returns
    -------
    bool
        Whether the mean of the paired differences exceeds one standard error.

    Examples
    --------
    >>> replaces(np.array([1.0, 2.0, 3.0]), np.array([0.9, 1.9, 2.8]))
    True
    >>> replaces(np.array([1.0, 2.0, 3.0]), np.array([2.0, 2.0, 1.5]))
    False
    """
    gain = default - other
    error = float(gain.std(ddof=1)) / np.sqrt(len(gain)) if len(gain) > 1 else np.inf
    return bool(gain.mean() > error)


def _best(y: FloatArray, held_out: Mapping[str, FloatArray], default: str | None, judged: BoolArray) -> str:
    """Choose by the out-of-fold predictions (repeats, n) of the judged rows."""
    if default is None:
        return choose({k: _averaged([scores(y[judged], row[judged]) for row in rows]) for k, rows in held_out.items()})
    with np.errstate(over="ignore", invalid="ignore"):
        errors = {name: np.abs(rows - y).mean(axis=0)[judged] for name, rows in held_out.items()}
    finite = {name: float(e.mean()) for name, e in errors.items() if np.isfinite(e).all()}
    if not finite:
        raise PredictorError(f"none of the candidates {', '.join(held_out)} gave finite predictions.")
    better = [k for k in finite if k != default and (default not in finite or replaces(errors[default], errors[k]))]
    return min(better, key=finite.__getitem__) if better else default


def _chosen_without(
    y: FloatArray, held_out: Mapping[str, FloatArray], default: str | None, group: NDArray[np.intp], repeat: int
) -> FloatArray:
    """Predictions (n,) of each fold's rows by the candidate that the rows of the other folds choose."""
    out = np.empty(len(y))
    for fold in np.unique(group):
        outside = group == fold
        out[outside] = held_out[_best(y, held_out, default, ~outside)][repeat][outside]
    return out


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
