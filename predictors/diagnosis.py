"""Diagnosis of a fitted predictor: rows left out, what their intervals hold, and what more rows would bring."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone

from predictors._typing import FloatArray, Regressor
from predictors.base import BasePredictor
from predictors.conformal import quantile_rank
from predictors.errors import PredictorError
from predictors.gp import GaussianProcessPredictor
from predictors.metrics import scores
from predictors.rows import evenly, known_noise
from predictors.select import CrossValidatedPredictor, process_of
from predictors.settings import SettingsPredictor
from predictors.sourced import SourcedPredictor

#: coverages that intervals are asked for
ASKED = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
#: coverage of the intervals that are drawn
DRAWN = 0.9
#: rows left out that a card keeps, at most
MOST_KEPT = 500
#: parts of the rows that a learning curve learns from
PARTS = (8, 4, 2)
#: rows that a learning curve begins with, and drawings of each number of them
FEWEST, DRAWINGS = 5, 3


def diagnose(
    predictor: BasePredictor, X: ArrayLike, y: ArrayLike, noise: ArrayLike | None = None, seed: int = 0
) -> dict[str, object]:
    """Diagnose a fitted predictor: left-out predictions with intervals, their coverage, and a learning curve.

    Parameters
    ----------
    predictor : BasePredictor
        Fitted on these rows.
    X : array-like (n, columns)
        Encoded architectures.
    y : array-like (n,)
        Measured values.
    noise : array-like (n,), optional
        Known standard deviation of each.
    seed : int
        Of the rows that the learning curve draws.

    Returns
    -------
    dict
        Values that JSON knows, for a card. ``left_out``: lists ``measured``, ``predicted``, ``low`` and ``high`` of at most 500 rows,
        with the coverage ``asked``. ``left_out_coverage``: lists ``asked`` and ``held``, and ``n``. ``learning_curve``: see
        `learning_curve`.

    Examples
    --------
    >>> from predictors import GaussianProcessPredictor
    >>> X = np.linspace(0.0, 1.0, 40)[:, None]
    >>> y = 2.0 + np.sin(3.0 * X[:, 0])
    >>> found = diagnose(GaussianProcessPredictor().fit(X, y), X, y)
    >>> found["learning_curve"]["rows"]
    [5, 10, 20, 32]
    """
    values = np.asarray(y, dtype=np.float64)
    kept = evenly(values, MOST_KEPT)
    low, high = left_out_intervals(predictor, values, DRAWN)
    columns = {"measured": values, "predicted": left_out_predictions(predictor), "low": low, "high": high}
    return {
        "left_out": {name: _plain(column[kept]) for name, column in columns.items()} | {"asked": DRAWN},
        "left_out_coverage": {
            "asked": list(ASKED),
            "held": [share_held(values, *left_out_intervals(predictor, values, asked)) for asked in ASKED],
            "n": len(values),
        },
        "learning_curve": learning_curve(predictor, X, values, noise, seed=seed),
    }


def left_out_predictions(predictor: BasePredictor) -> FloatArray:
    """Return predictions of the rows of the fit, each by a model that had not seen it.

    Parameters
    ----------
    predictor : BasePredictor
        Fitted.

    Returns
    -------
    ndarray (n,)
        In the unit of y.

    Raises
    ------
    PredictorError
        For a predictor that keeps none.
    """
    found = getattr(predictor, "oof_predictions_", None)
    if found is None:
        raise PredictorError(
            f"{type(predictor).__name__} keeps no predictions of rows left out.",
            hint="Fit it by CrossValidatedPredictor.",
        )
    return np.asarray(found, dtype=np.float64)


def left_out_intervals(predictor: BasePredictor, y: FloatArray, coverage: float) -> tuple[FloatArray, FloatArray]:
    """Compute intervals of the rows of the fit, each from the errors of the others.

    Those of a Gaussian process are its deviations without the row times the factor that the other rows' errors give
    (`GaussianProcessPredictor.left_out_interval`); those of other predictors the quantile of the other rows' errors.

    Parameters
    ----------
    predictor : BasePredictor
        Fitted.
    y : ndarray (n,)
        The rows' measured values.
    coverage : float
        In (0, 1).

    Returns
    -------
    low, high : ndarray (n,)
        In the unit of y; infinite where there are too few rows for the coverage.

    Raises
    ------
    PredictorError
        For a predictor that keeps no predictions of rows left out, and a coverage that is not in (0, 1).
    """
    told = left_out_predictions(predictor)
    process = process_of(predictor)
    if process is not None:
        return process.left_out_interval(told, coverage)
    logarithmic = predictor.log_scale_
    error = np.abs(np.log(y / told) if logarithmic else y - told)
    half = _without_own(error, coverage)
    with np.errstate(over="ignore"):
        return (told * np.exp(-half), told * np.exp(half)) if logarithmic else (told - half, told + half)


def _without_own(error: FloatArray, coverage: float) -> FloatArray:
    """Conformal quantile of the other rows' errors, for each row."""
    rank, ordered = quantile_rank(len(error) - 1, coverage), np.sort(error)
    if rank > len(error) - 1:
        return np.full(len(error), np.inf)
    return np.where(error > ordered[rank - 1], ordered[rank - 1], ordered[rank])


def share_held(y: FloatArray, low: FloatArray, high: FloatArray) -> float:
    """Compute the share of values that lie in their interval, ends included.

    Parameters
    ----------
    y, low, high : ndarray (n,)
        Values and the ends of their intervals.

    Returns
    -------
    float
        In [0, 1].

    Examples
    --------
    >>> share_held(np.array([1.0, 5.0]), np.zeros(2), np.full(2, 2.0))
    0.5
    """
    return float(((low <= y) & (y <= high)).mean())


def learning_curve(
    predictor: BasePredictor, X: ArrayLike, y: ArrayLike, noise: ArrayLike | None = None, *, seed: int = 0
) -> dict[str, list[float | None]]:
    """Measure the error of rows left out against the number of rows that are learnt from.

    The chosen model is fitted anew on an eighth, a quarter and half of the rows, three drawings each, and predicts the others. The last point
    is the cross-validation of the fit, which learns from four fifths.

    Parameters
    ----------
    predictor, X, y, noise, seed
        As of `diagnose`.

    Returns
    -------
    dict of str to list
        ``rows`` that were learnt from, ``mae`` in the unit of y and ``mape`` in percent, and of both the standard errors ``mae_error``
        and ``mape_error``: over drawings, at the last point over rows.
    """
    features, values = np.asarray(X, dtype=np.float64), np.asarray(y, dtype=np.float64)
    given, n = known_noise(noise, len(values)), len(values)
    points: list[tuple[int, list[tuple[float, float]]]] = []
    orders = [np.random.default_rng([seed, k]).permutation(n) for k in range(DRAWINGS)]
    for part in PARTS:
        rows = n // part
        if rows < FEWEST:
            continue
        found = []
        for order in orders:
            inside, outside = order[:rows], order[rows:]
            try:
                model = _fitted(predictor, features[inside], values[inside], given[inside])
                told = scores(values[outside], model.predict(features[outside]))
            except PredictorError:  # too few rows for this model
                continue
            found.append((told["mae"], told["mape"]))
        if found:
            points.append((rows, found))
    out: dict[str, list[float | None]] = {k: [] for k in ("rows", "mae", "mae_error", "mape", "mape_error")}
    for rows, found in points:
        mean, error = np.mean(found, axis=0), np.std(found, axis=0, ddof=1) / np.sqrt(len(found)) if found[1:] else None
        _add(out, rows, mean, error)
    each = np.abs(left_out_predictions(predictor) - values)
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = 100.0 * each / np.abs(values)
    relative = relative[values != 0]
    both = [each, relative]
    last = [float(e.mean()) if len(e) else np.nan for e in both]
    spread = [float(e.std(ddof=1) / np.sqrt(len(e))) if len(e) > 1 else np.nan for e in both]
    _add(out, n - -(-n // 5), last, spread)
    return out


def _add(
    out: dict[str, list[float | None]],
    rows: int,
    mean: Sequence[float] | FloatArray,
    error: Sequence[float] | FloatArray | None,
) -> None:
    out["rows"].append(rows)
    for k, name in enumerate(("mae", "mape")):
        out[name].append(_finite(mean[k]))
        out[f"{name}_error"].append(None if error is None else _finite(error[k]))


def _fitted(predictor: BasePredictor, X: FloatArray, y: FloatArray, noise: FloatArray) -> Regressor:
    """Fit the chosen model on other rows, without what only intervals need."""
    chosen = predictor.best_estimator_ if isinstance(predictor, CrossValidatedPredictor) else predictor
    model: Regressor = clone(chosen)
    if isinstance(model, GaussianProcessPredictor):
        model.set_params(interval_folds=0)
    if isinstance(model, GaussianProcessPredictor | SettingsPredictor | SourcedPredictor):
        return model.fit(X, y, noise)
    return model.fit(X, y)


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _plain(values: FloatArray) -> list[float | None]:
    return [_finite(value) for value in values]
