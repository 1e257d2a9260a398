"""The statistics of timing: the host's level along time, moderated variances, quantiles."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special
from scipy.ndimage import median_filter

from hwsearch._typing import FloatArray


# ---------------------------------------------------------------------- estimating
def median_polish(
    y: FloatArray, who: NDArray[np.int64], n: int, window: int, *, rounds: int = 4
) -> tuple[FloatArray, FloatArray]:
    """Split logarithms of latencies into effects of candidates and the level of the host along time.

    The host's level is the running median, over `window` blocks, of what the candidates' effects leave; the effects are
    medians of what the level leaves; both are improved in turn.

    Parameters
    ----------
    y : numpy.ndarray
        Shape (m,): logarithms in the order of time.
    who : numpy.ndarray
        Shape (m,): the candidate of each.
    n : int
        Number of candidates.
    window : int
        Blocks of the running median.
    rounds : int
        Of improvement.

    Returns
    -------
    effects : numpy.ndarray
        Shape (n,): NaN for a candidate without blocks.
    level : numpy.ndarray
        Shape (m,).

    References
    ----------
    Tukey (1977), "Exploratory Data Analysis": the median polish, here along time.
    """
    effects = np.array([np.median(y[who == i]) if (who == i).any() else np.nan for i in range(n)])
    level = np.zeros(len(y))
    for _ in range(rounds):
        level = _running_median(y - effects[who], window)
        left = y - level
        effects = np.array([np.median(left[who == i]) if (who == i).any() else np.nan for i in range(n)])
    return effects, level


def _running_median(values: FloatArray, window: int) -> FloatArray:
    """(m,) median of each value and its `window // 2` neighbours on both sides; the ends are mirrored."""
    half = min(window // 2, len(values) - 1)
    if half < 1:
        return np.full(len(values), np.median(values))
    return np.asarray(median_filter(values, size=2 * half + 1, mode="mirror"))


def pooled_variance(own: FloatArray, freedom: FloatArray) -> tuple[float, float]:
    """Estimate the variance that candidates have in common, and how much it is worth to each.

    The more alike the candidates' variances are beyond what chance makes them differ, the more each is drawn to the common
    one.

    Parameters
    ----------
    own : numpy.ndarray
        Shape (n,): sample variances.
    freedom : numpy.ndarray
        Shape (n,): their degrees of freedom.

    Returns
    -------
    pooled : float
        The common variance.
    prior : float
        Degrees of freedom that it is worth; infinite when chance explains all differences, 0 for fewer than three candidates.

    References
    ----------
    Smyth (2004), doi 10.2202/1544-6115.1027.
    """
    use = (freedom > 0) & (own > 0)
    if use.sum() < 3:
        s, d = own[use], freedom[use]
        return (float((s * d).sum() / d.sum()) if len(d) else 0.0), 0.0
    half = freedom[use] / 2
    e = np.log(own[use]) - special.digamma(half) + np.log(half)
    excess = float(e.var(ddof=1) - special.polygamma(1, half).mean())
    if excess <= 1e-3:
        return float(np.exp(e.mean())), math.inf
    prior = 2 * _inverse_trigamma(excess)
    return float(np.exp(e.mean() + special.digamma(prior / 2) - math.log(prior / 2))), prior


def _inverse_trigamma(y: float) -> float:
    x = 0.5 + 1 / y
    for _ in range(50):  # Newton on 1/trigamma, which is nearly linear
        value = float(special.polygamma(1, x))
        step = value * (1 - value / y) / float(special.polygamma(2, x))
        x += step
        if abs(step) < 1e-8 * x:
            break
    return x


def moderated(own: float, freedom: float, pooled: float, prior: float) -> tuple[float, float]:
    """Draw one candidate's variance to the pooled one, as far as that is worth.

    Parameters
    ----------
    own, freedom : float
        Its sample variance and degrees of freedom.
    pooled, prior : float
        As `pooled_variance` gives them.

    Returns
    -------
    variance, freedom : float
        The moderated variance and its degrees of freedom.

    Examples
    --------
    >>> moderated(4.0, 2.0, 1.0, 4.0)
    (2.0, 6.0)
    """
    if math.isinf(prior):
        return pooled, math.inf
    if freedom < 1:
        return pooled, prior
    return (prior * pooled + freedom * own) / (prior + freedom), prior + freedom


@lru_cache(maxsize=4096)  # a campaign's intervals ask for few quantiles, very often
def student(confidence: float, freedom: float) -> float:
    """Return the two-sided quantile of Student's t distribution.

    Parameters
    ----------
    confidence : float
        Probability within plus or minus the quantile.
    freedom : float
        Degrees of freedom; infinite for the normal distribution.

    Returns
    -------
    float
        The quantile.

    Examples
    --------
    >>> round(student(0.95, float("inf")), 3)
    1.96
    """
    return float(
        special.ndtri((1 + confidence) / 2) if math.isinf(freedom) else special.stdtrit(freedom, (1 + confidence) / 2)
    )


def students(confidence: float, freedom: FloatArray) -> FloatArray:
    """Return the two-sided quantiles of Student's t distribution; see `student`.

    Parameters
    ----------
    confidence : float
        Probability within plus or minus the quantile.
    freedom : numpy.ndarray
        Shape (n,): degrees of freedom; infinite for the normal distribution.

    Returns
    -------
    numpy.ndarray
        Shape (n,).

    Examples
    --------
    >>> students(0.95, np.array([2.0, math.inf])).round(3).tolist()
    [4.303, 1.96]
    """
    normal = special.ndtri((1 + confidence) / 2)
    return np.asarray(np.where(np.isinf(freedom), normal, special.stdtrit(freedom, (1 + confidence) / 2)))


class Margin(NamedTuple):
    """A margin of error, and how well it is known.

    Attributes
    ----------
    half_width : float
        Half of the interval.
    freedom : float
        Degrees of freedom of the variance that it rests on; infinite where that is known.
    """

    half_width: float
    freedom: float = math.inf


def joined_margin(margins: Iterable[Margin], confidence: float) -> float:
    """Join the margins of independent errors: those of a sum.

    Variances add; two intervals of few degrees of freedom are not both at their worst at once, so the sum has more of them.

    Parameters
    ----------
    margins : iterable of Margin
        Of each error, all with the same confidence.
    confidence : float
        Of these, and of the answer.

    Returns
    -------
    float
        Half of the interval of the sum.

    References
    ----------
    Satterthwaite (1946), "An approximate distribution of estimates of variance components", doi 10.2307/3002019;
    Welch (1947), doi 10.1093/biomet/34.1-2.28.

    Examples
    --------
    >>> round(joined_margin([Margin(3.0), Margin(4.0)], 0.95), 3)
    5.0
    >>> round(joined_margin([Margin(1.0, 4.0), Margin(1.0, 4.0)], 0.95), 3)  # 2.306 / 2.776 times the root of 2: eight degrees
    1.175
    """
    parts = [((abs(m.half_width) / student(confidence, m.freedom)) ** 2, m.freedom) for m in margins]
    variance = sum(v for v, _ in parts)
    if not 0 < variance < math.inf:
        return math.sqrt(variance)
    unsure = sum((v / variance) ** 2 / freedom for v, freedom in parts)
    return math.sqrt(variance) * student(confidence, 1 / unsure if unsure > 0 else math.inf)


def load_effects(left: FloatArray, when: NDArray[np.int64]) -> FloatArray:
    """Take the median of what is left of each load's blocks.

    Parameters
    ----------
    left : numpy.ndarray
        Shape (blocks,): logarithms without the host's level.
    when : numpy.ndarray
        Shape (blocks,): the load of each.

    Returns
    -------
    numpy.ndarray
        Shape (loads,), in the order of the loads.
    """
    return np.array([np.median(left[when == k]) for k in np.unique(when)])
