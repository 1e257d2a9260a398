"""Score how well predictions agree with measurements: size of the error and agreement of the order."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from predictors.errors import PredictorError

#: names of the scores, in the order of the dictionary that `scores` returns
SCORES = ("mae", "rmse", "mape", "spearman", "kendall")


def scores(y_true: ArrayLike, y_pred: ArrayLike) -> dict[str, float]:
    """Score predictions against measurements.

    Rules for values that are not numbers:

    - a row whose `y_true` is not finite is a failed measurement and is left out;
    - a prediction that is not finite, in a row that counts, is the predictor's fault: every score is NaN;
    - with no row left every score is NaN;
    - a rank correlation is NaN with fewer than two rows or when either side is constant;
    - mape is NaN when every `y_true` is zero.

    Parameters
    ----------
    y_true : array-like (n,)
        Measurements.
    y_pred : array-like (n,)
        Predictions.

    Returns
    -------
    dict
        ``mae`` and ``rmse`` in the unit of `y_true`; ``mape``, the mean of 100 |error / y_true| in percent over the rows
        whose `y_true` is not zero; ``spearman`` and ``kendall``, rank correlations in [-1, 1] (tau-b, which corrects for
        ties).

    Raises
    ------
    PredictorError
        If the two do not have the same length or are not one-dimensional.

    Examples
    --------
    >>> found = scores([1.0, 2.0, 4.0], [1.5, 2.0, 3.0])
    >>> found["mae"], found["spearman"]
    (0.5, 1.0)
    """
    truth = np.asarray(y_true, dtype=np.float64)
    predicted = np.asarray(y_pred, dtype=np.float64)
    if truth.ndim != 1 or truth.shape != predicted.shape:
        raise PredictorError(
            f"scores need two equally long vectors, but y_true is {truth.shape} and y_pred is {predicted.shape}."
        )
    kept = np.isfinite(truth)
    truth, predicted = truth[kept], predicted[kept]
    if len(truth) == 0 or not np.isfinite(predicted).all():
        return dict.fromkeys(SCORES, float("nan"))
    error = np.abs(predicted - truth)
    nonzero = truth != 0
    with np.errstate(over="ignore"):  # a tiny truth can make its share, and so mape, infinite
        mape = float(np.mean(100 * error[nonzero] / np.abs(truth[nonzero]))) if nonzero.any() else float("nan")
    spearman = kendall = float("nan")
    if len(truth) >= 2 and np.ptp(truth) > 0 and np.ptp(predicted) > 0:
        spearman = float(stats.spearmanr(truth, predicted).statistic)
        kendall = float(stats.kendalltau(truth, predicted).statistic)
    return {
        "mae": float(error.mean()),
        "rmse": float(np.sqrt(np.mean(error**2))),
        "mape": mape,
        "spearman": spearman,
        "kendall": kendall,
    }
