"""Predicted Pareto fronts without the winner's curse: what is chosen for two good predictions flatters in both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from predictors._typing import FloatArray, IntArray
from predictors.errors import PredictorError
from predictors.gp import GaussianProcessPredictor
from predictors.kernel_parts import covariance_root
from predictors.transfer import TOGETHER, DeviceTransferPredictor


@dataclass(frozen=True)
class FrontReport:
    """A predicted front, and what its members are to be expected to be.

    Attributes
    ----------
    at : ndarray of int (k,)
        Positions of the members, from the best in the first quantity to the best in the second.
    predicted : ndarray (k, 2)
        Their predictions.
    corrected : ndarray (k, 2)
        The same without the mean error that comes from having been chosen for good predictions.
    """

    at: IntArray
    predicted: FloatArray
    corrected: FloatArray


def front_of(costs: FloatArray) -> IntArray:
    """Find the non-dominated rows of two costs, sorted by the first.

    Parameters
    ----------
    costs : ndarray (m, 2)
        Both to be small.

    Returns
    -------
    ndarray of int (k,)
        Positions, from the smallest first cost on; of equal rows the first.

    Examples
    --------
    >>> front_of(np.array([[1.0, 3.0], [2.0, 2.0], [2.0, 4.0], [3.0, 1.0]])).tolist()
    [0, 1, 3]
    """
    order = np.lexsort((costs[:, 1], costs[:, 0]))
    second = costs[order, 1]
    best = np.minimum.accumulate(second)
    keep = np.r_[True, second[1:] < best[:-1]]
    return order[keep]


def near_front(costs: FloatArray, most: int) -> IntArray:
    """Choose the rows that may be on the front, front by front, since drawing errors takes time cubic in them.

    Parameters
    ----------
    costs : ndarray (m, 2)
        Both to be small.
    most : int
        How many, at most.

    Returns
    -------
    ndarray of int (k,)
        Positions, ascending.

    Examples
    --------
    >>> near_front(np.array([[3.0, 3.0], [1.0, 2.0], [2.0, 1.0], [9.0, 9.0]]), 3).tolist()
    [0, 1, 2]
    """
    left, found = np.arange(len(costs)), np.empty(0, dtype=np.int64)
    while len(left) and len(found) < most:
        at = front_of(costs[left])
        found, left = np.append(found, left[at]), np.delete(left, at)
    return np.sort(found[:most])


def front_flattery(mean: FloatArray, errors: FloatArray) -> tuple[IntArray, FloatArray]:
    """Find the front of two predicted costs and the mean error of being on it.

    The front is chosen again among the predictions with drawn errors (a parametric bootstrap). The errors of its members are
    averaged at equal relative places along the front, since it has other members each time.

    Parameters
    ----------
    mean : ndarray (m, 2)
        Predicted costs.
    errors : ndarray (draws, m, 2)
        Samples of their errors, joint over the rows, with mean 0.

    Returns
    -------
    at : ndarray of int (k,)
        The front, as of `front_of`.
    flattery : ndarray (k, 2)
        Mean error of the members: negative, as a rule.

    References
    ----------
    Efron 2011, "Tweedie's formula and selection bias".
    """
    at = front_of(mean)
    place = _places(len(at))
    flattery = np.zeros((len(at), 2))
    for error in errors:
        chosen = front_of(mean + error)
        for k in range(2):
            flattery[:, k] += np.interp(place, _places(len(chosen)), error[chosen, k])
    return at, flattery / max(1, len(errors))


def expected_front(
    models: Sequence[GaussianProcessPredictor],
    X: ArrayLike,
    *,
    largest: tuple[bool, bool],
    samples: int = 200,
    seed: int = 0,
) -> FrontReport:
    """Predict the front of two quantities without the winner's curse.

    Parameters
    ----------
    models : sequence of GaussianProcessPredictor
        Two, fitted, of the same columns; their errors are taken to be independent of each other.
    X : array-like (m, columns)
        Encoded architectures, at most 5,000, among which the front is chosen.
    largest : tuple of bool
        Of each quantity, whether large values are good.
    samples, seed : int
        How many times the choice is repeated with other errors, and their seed.

    Returns
    -------
    FrontReport
        Positions, predictions and corrected predictions, each in its unit.

    Raises
    ------
    PredictorError
        For another number of models, no or too many rows, and values that are not finite numbers.
    """
    if len(models) != 2:
        raise PredictorError(f"a front is of two quantities, got {len(models)}.")
    rng = np.random.default_rng(seed)
    means, errors = [], []
    for model, large in zip(models, largest, strict=True):
        mean, root = model.joint(X)
        sign = -1.0 if large else 1.0
        means.append(sign * mean)
        errors.append(sign * (rng.standard_normal((samples, len(mean))) @ root.T))
    at, flattery = front_flattery(np.stack(means, axis=1), np.stack(errors, axis=2))
    predicted, corrected = np.empty((len(at), 2)), np.empty((len(at), 2))
    for k, (model, large) in enumerate(zip(models, largest, strict=True)):
        sign = -1.0 if large else 1.0
        predicted[:, k] = model.natural(sign * means[k][at])
        corrected[:, k] = model.natural(sign * (means[k][at] - flattery[:, k]))
    return FrontReport(at, predicted, corrected)


def log_errors(model: DeviceTransferPredictor, whole: FloatArray, n: int, rng: np.random.Generator) -> FloatArray:
    """Draw joint errors of a new device's predicted log latencies, noise left out.

    Parameters
    ----------
    model : DeviceTransferPredictor
        Fitted.
    whole : ndarray (k, columns and sources)
        What its `with_sources` gave; some thousand rows at most: this takes time cubic in them.
    n : int
        How many draws.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    ndarray (n, k)
        With mean 0, by the covariance of the mixture of hypotheses; above 30 latencies of the process that predicts alone. The
        spread between the hypotheses' means is left out.

    Raises
    ------
    PredictorError
        Before the model's `fit`.
    """
    fitted = model._done()
    kernel, hypotheses = model._ready()
    features = kernel.features(model._whole.split(whole))
    if model._process is not None and model._n > TOGETHER:
        process = model._process
        covariance = process.joint(features, kernel.curves(features, model._measured))[1] * process.scale**2
    else:
        cross = kernel.stack(features, model._measured)
        covariance = hypotheses.joint(fitted, kernel.stack(features, features), cross)
    return rng.standard_normal((n, len(whole))) @ covariance_root(covariance).T


def _places(n: int) -> FloatArray:
    return np.linspace(0.0, 1.0, n) if n > 1 else np.array([0.5])
