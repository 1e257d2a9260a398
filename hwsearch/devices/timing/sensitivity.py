"""Sensitivity of models to the speed of their host, over that of the reference."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwsearch._typing import FloatArray

#: standard deviation of sensitivities over models, before anything is known: virtual machines showed 0.07 and 0.33
PRIOR_SD = 0.2
#: models whose sensitivities that is worth, and the least standard deviation that models show
PRIOR_MODELS, LEAST_SD = 4.0, 0.05
#: least change of a reference with the level that is believed
LEAST_SCALE = 0.3
#: standard error of a sensitivity of which nothing is known
UNKNOWN = 10.0
#: looks from which a model's are combined one model at a time
MANY = 8
#: robust standard deviations beyond which a block does not count in full, and rounds of reweighting
CLIPPED_SD, ROUNDS = 2.0, 8


class Sensitivity(NamedTuple):
    """Relative change of a model's latency over the reference's, for a relative change of the reference's.

    Attributes
    ----------
    value : float
        0 for a model that slows down as the reference does, 0.3 for one that gets 13 % slower when that gets 10 % slower.
    error : float
        Its standard error.
    """

    value: float = 0.0
    error: float = UNKNOWN

    def over(self, other: Sensitivity) -> Sensitivity:
        """Return the sensitivity with regard to another model, where both are with regard to the same level.

        Parameters
        ----------
        other : Sensitivity
            Such as the reference's; its error is independent.

        Returns
        -------
        Sensitivity
            Of the ratio of both, for a change of the other.

        Examples
        --------
        >>> Sensitivity(0.5, 0.3).over(Sensitivity(0.25, 0.4))  # 1.5 over 1.25
        Sensitivity(value=0.2, error=0.4)
        """
        scale = max(1 + other.value, LEAST_SCALE)
        error = min(math.hypot(self.error, other.error) / scale, UNKNOWN)
        return Sensitivity((self.value - other.value) / scale, error)


def block_sensitivity(left: FloatArray, when: NDArray[np.int64], level: FloatArray) -> Sensitivity:
    """Regress what the host's level leaves of a model's blocks on that level, within each load.

    Parameters
    ----------
    left : numpy.ndarray
        Shape (blocks,): logarithms of latencies without the host's level.
    when : numpy.ndarray
        Shape (blocks,): the load of each; loads differ by more than the level, so that only changes within one count.
    level : numpy.ndarray
        Shape (blocks,): logarithm of the host's level at each.

    Returns
    -------
    Sensitivity
        Of unknown value where a host does not change or there are fewer than three more blocks than loads.

    References
    ----------
    Holland and Welsch (1977), "Robust regression using iteratively reweighted least-squares", doi 10.1080/03610927708827533:
    the weights of blocks that are far off.

    Examples
    --------
    >>> level = np.array([0.0, 0.1, 0.2, 0.3, 0.4])
    >>> found = block_sensitivity(0.5 * level, np.zeros(5, dtype=np.int64), level)
    >>> round(found.value, 3)
    0.5
    """
    loads, load = np.unique(when, return_inverse=True)
    fitted, weights = len(loads) + 1, np.ones(len(left))
    if len(left) < fitted + 2 or float((_centred(level, load, weights) ** 2).sum()) < 1e-12:
        return Sensitivity()
    for _ in range(ROUNDS):
        x, y = _centred(level, load, weights), _centred(left, load, weights)
        moved = float((weights * x**2).sum())
        slope = float((weights * x * y).sum()) / moved
        off = np.abs(y - slope * x)
        variance = float((weights * off**2).sum()) / max(float(weights.sum()) - fitted, 1.0)
        scale = CLIPPED_SD * 1.4826 * float(np.median(off))
        if scale < 1e-9:  # they fit exactly
            break
        weights = np.minimum(1.0, scale / np.maximum(off, scale)) ** 2
    return Sensitivity(slope, min(math.sqrt(variance / moved), UNKNOWN))


def _centred(values: FloatArray, load: NDArray[np.intp], weights: FloatArray) -> FloatArray:
    """Take the weighted mean of each load away, (blocks,); loads are numbered from 0."""
    means = np.bincount(load, weights * values) / np.bincount(load, weights)
    return np.asarray(values - means[load], dtype=np.float64)


def precise_mean(found: Sequence[Sensitivity]) -> Sensitivity:
    """Average what several loads or processes found of one model, each by its precision.

    Parameters
    ----------
    found : sequence of Sensitivity
        Independent of each other.

    Returns
    -------
    Sensitivity
        Of unknown value without any. Where they differ by more than their errors let expect, its error grows by as much.

    References
    ----------
    Birge (1932), "The calculation of errors by the method of least squares", doi 10.1103/PhysRev.40.207.

    Examples
    --------
    >>> precise_mean([Sensitivity(0.0, 0.125), Sensitivity(0.5, 0.25)]).value
    0.1
    """
    if not found:
        return Sensitivity()
    weights = np.array([1 / max(s.error, 1e-6) ** 2 for s in found])
    values = np.array([s.value for s in found])
    mean = float((weights * values).sum() / weights.sum())
    excess = float((weights * (values - mean) ** 2).sum()) / max(len(found) - 1, 1)
    return Sensitivity(mean, math.sqrt(max(1.0, excess) / float(weights.sum())))


def pooled_sensitivities(found: Sequence[Sequence[Sensitivity]]) -> list[Sensitivity]:
    """Combine what several processes found of each of some models; those of which little is known are drawn to 0.

    Parameters
    ----------
    found : sequence of sequence of Sensitivity
        Of each model, by process.

    Returns
    -------
    list of Sensitivity
        Posterior means and standard deviations under a normal prior around 0, whose variance is that of all models
        (empirical Bayes), drawn to what virtual machines showed.

    Examples
    --------
    >>> known, unknown = pooled_sensitivities([[Sensitivity(0.4, 0.01), Sensitivity(0.4, 0.01)], []])
    >>> round(known.value, 2), round(unknown.value, 2)
    (0.4, 0.0)
    """
    each = np.array([precise_mean(own) for own in found]).reshape(-1, 2)
    value, error = _drawn(each[:, 0], each[:, 1])
    return [Sensitivity(*s) for s in zip(value.tolist(), error.tolist(), strict=True)]


def column_sensitivities(
    value: FloatArray, error: FloatArray, model: NDArray[np.int64], n: int
) -> tuple[FloatArray, FloatArray]:
    """Combine what several processes found of each of many models; `pooled_sensitivities` of columns.

    Parameters
    ----------
    value, error : numpy.ndarray
        Shape (looks,): what each found, and its standard error.
    model : numpy.ndarray
        Shape (looks,): of which model, ascending from 0.
    n : int
        Number of models.

    Returns
    -------
    value, error : numpy.ndarray
        Shape (n,): as `pooled_sensitivities` gives them.

    Examples
    --------
    >>> value, error = column_sensitivities(np.array([0.4, 0.4]), np.array([0.01, 0.01]), np.array([0, 0]), 2)
    >>> [Sensitivity(*s) for s in zip(value, error)] == pooled_sensitivities([[Sensitivity(0.4, 0.01)] * 2, []])
    True
    """
    count = np.bincount(model, minlength=n)
    weight = np.array([1 / max(e, 1e-6) ** 2 for e in error.tolist()])
    total = np.bincount(model, weight, n)
    mean = np.bincount(model, weight * value, n) / np.where(count > 0, total, 1.0)
    apart = np.array([d**2 for d in (value - mean[model]).tolist()])
    excess = np.bincount(model, weight * apart, n) / np.maximum(count - 1, 1)
    widened = np.sqrt(np.maximum(1.0, excess) / np.where(count > 0, total, 1.0))
    means, errors = np.where(count > 0, mean, 0.0), np.where(count > 0, widened, UNKNOWN)
    first = np.cumsum(count) - count
    for i in np.flatnonzero(count >= MANY).tolist():  # of so many, numpy adds up in another order
        own = slice(first[i], first[i] + count[i])
        means[i], errors[i] = precise_mean(
            [Sensitivity(*s) for s in zip(value[own].tolist(), error[own].tolist(), strict=True)]
        )
    return _drawn(means, errors)


def _drawn(means: FloatArray, errors: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Draw models' sensitivities to 0, as far as all tell that models are alike; values and errors, (n,) each."""
    variances = np.array([e**2 for e in errors.tolist()])
    weights = (1 + variances / PRIOR_SD**2) ** -2  # by how well each tells how much models differ
    excess = float((weights * (means**2 - variances)).sum())
    prior = max((PRIOR_MODELS * PRIOR_SD**2 + excess) / (PRIOR_MODELS + float(weights.sum())), LEAST_SD**2)
    share = prior / (prior + variances)
    return np.asarray(share * means), np.asarray(np.sqrt(prior * (1 - share)))
