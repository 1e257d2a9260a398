"""Ratios of candidates to the reference, from looks in several processes and periods, and how well they are known."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from hwsearch._typing import BoolArray, FloatArray, IntArray
from hwsearch.devices.timing.level import BURST, PERIOD_S, Visit, period_labels
from hwsearch.devices.timing.sensitivity import UNKNOWN, Sensitivity, pooled_sensitivities
from hwsearch.devices.timing.statistics import moderated, pooled_variance, student

#: fewest candidates by which a row is seen to shift them all alike
SHARED = 3
#: fewest candidates that tell how much a model, and so the reference, differs from row to row
MANY = 8
#: fewest periods whose own spread is believed alone
ENOUGH = 3
#: degrees of freedom that the spread within one period, and the reference's own error, count for
PRIOR = 2.0
#: relative variance of a ratio where nothing tells: virtual machines showed 0.03² to 0.09²
UNKNOWN_VAR = 0.03**2


class Look(NamedTuple):
    """Look of one measuring process at one candidate.

    Attributes
    ----------
    at_s : float
        When, seconds on a clock that goes on between processes.
    log_ratio : float
        Mean over its loads of the logarithm of its latency over the reference's.
    variance : float
        Of that mean, as its loads tell; NaN for a single load.
    reference_ms : float
        The reference's latency in that process, ms.
    reference_error : float
        Relative standard error of it.
    sensitivity, sensitivity_error : float
        How much more than the reference the candidate slowed down with the host, and its standard error
        (`hwsearch.devices.timing.sensitivity.Sensitivity`).
    levels_ms : tuple of float
        The reference's latency along that process, each for an equal part of its time, in the order of size, ms.
    """

    at_s: float
    log_ratio: float
    variance: float
    reference_ms: float
    reference_error: float
    sensitivity: float = 0.0
    sensitivity_error: float = UNKNOWN
    levels_ms: tuple[float, ...] = ()


@dataclass(frozen=True)
class RatioEstimates:
    """Estimates of the log ratios of n candidates.

    Attributes
    ----------
    centre : numpy.ndarray
        Shape (n,): the log ratios; NaN without a look.
    wide : numpy.ndarray
        Shape (n,): half of the interval in which another campaign on the same host finds them.
    freedom : numpy.ndarray
        Shape (n,): degrees of freedom of the variances that these rest on.
    precision : numpy.ndarray
        Shape (n,): half of the interval of these looks alone, as a share: whether more of them are worth their time.
    processes, periods : numpy.ndarray
        Shape (n,): numbers of looks, and of periods that they lie in.
    sensitivity : tuple of Sensitivity
        Of each candidate: how much its ratio moves with the host's level.
    """

    centre: FloatArray
    wide: FloatArray
    freedom: FloatArray
    precision: FloatArray
    processes: IntArray
    periods: IntArray
    sensitivity: tuple[Sensitivity, ...]


class _Spread(NamedTuple):
    """Variances in a table of looks: of each candidate, of all, and how well they are known."""

    centre: FloatArray
    shift: FloatArray
    own: FloatArray
    looks: IntArray
    pooled: float
    prior: float

    def of(self, i: int) -> tuple[float, float]:
        """Variance of candidate i from row to row, drawn to that of all, and its degrees of freedom."""
        return moderated(float(self.own[i]), int(self.looks[i]) - 1, self.pooled, self.prior)


def visits_of(looks: Iterable[Look]) -> list[Visit]:
    """Collect what measuring processes found of the reference; looks of one process are one visit.

    Parameters
    ----------
    looks : iterable of Look
        At any candidates.

    Returns
    -------
    list of Visit
        One a process, in the order of time.
    """
    return sorted({Visit(look.at_s, look.reference_ms, look.levels_ms) for look in looks})


def ratio_estimates(looks: list[list[Look]], confidence: float, typical_ms: float | None = None) -> RatioEstimates:
    """Estimate log ratios from the looks of each candidate, as they are at the host's typical level.

    A slow host does not slow all models alike. Each look is first brought to the typical level of the reference, by how much
    more than the reference the candidate slowed down within processes.

    Looks of one process are a row that all its candidates share: what shifts them alike is the error of its reference, and
    is taken away. Rows of one period of 15 s are not independent, so the interval rests on how the means of *periods*
    differ. Where no candidate has three periods, the spread within one counts, with its variance times four
    (`hwsearch.devices.timing.level.BURST`). Variances of candidates are moderated by empirical Bayes. Candidates share their
    periods, and what moves one of them often moves others: the degrees of freedom are the number of periods less one, times
    the number of independent movements that the deviations show (Satterthwaite's approximation).

    Parameters
    ----------
    looks : list of list of Look
        Of each candidate, in any order; looks with the same time and reference are of one process.
    confidence : float
        Of the intervals.
    typical_ms : float, optional
        The reference's typical latency, ms; by default the geometric mean over the processes.

    Returns
    -------
    RatioEstimates
        In the order of the candidates.

    References
    ----------
    Smyth (2004), "Linear models and empirical Bayes methods", doi 10.2202/1544-6115.1027, for the moderated variances.
    Satterthwaite (1946), "An approximate distribution of estimates of variance components", doi 10.2307/3002019.
    """
    keys = [_processes(own) for own in looks]
    places = sorted(set().union(*keys))
    place = {p: k for k, p in enumerate(places)}
    y = np.full((len(places), len(looks)), np.nan)
    within = np.full_like(y, np.nan)
    level = np.log([p[1] for p in places])
    level -= math.log(typical_ms) if typical_ms is not None else level.mean() if len(level) else 0.0
    sensitivity = pooled_sensitivities(
        [[Sensitivity(k.sensitivity, k.sensitivity_error) for k in own] for own in looks]
    )
    for i, own in enumerate(looks):
        for key, look in zip(keys[i], own, strict=True):
            k = place[key]
            y[k, i], within[k, i] = look.log_ratio - sensitivity[i].value * level[k], look.variance
    errors = np.array([p[2] for p in places]) ** 2
    labels = period_labels(np.array([p[0] for p in places]), PERIOD_S)
    table = np.array([_mean(y[labels == p]) for p in np.unique(labels)]).reshape(-1, len(looks))
    shared = np.array([errors[labels == p].mean() for p in np.unique(labels)])
    each, periods = _spread(y), _spread(table)
    between = _between_periods(each, periods, within)
    reference = _reference_variance(periods, table, shared, between)
    n, most = len(looks), int(periods.looks.max(initial=0))
    freedom_of_periods = max(PRIOR, most - 1.0) * _independent(table, periods)
    centre, wide, known, precision = (np.full(n, np.nan) for _ in range(4))
    for i in np.flatnonzero(periods.looks).tolist():
        spread, freedom = each.of(i) if each.pooled > 0 or each.prior > 0 else (between, PRIOR)
        most_known = max(float((each.looks[each.looks > 0] - 1).sum()), 1.0)
        precision[i] = math.expm1(
            min(student(confidence, max(min(freedom, most_known), 1.0)) * math.sqrt(spread / each.looks[i]), 700.0)
        )
        if most >= ENOUGH:
            spread, freedom = periods.of(i)
        else:
            spread, freedom = moderated(float(periods.own[i]), int(periods.looks[i]) - 1, between, PRIOR)
        known[i] = max(min(freedom, freedom_of_periods), 1.0)
        centre[i] = periods.centre[i]
        wide[i] = student(confidence, known[i]) * math.sqrt(2 * (spread + reference) / periods.looks[i])
    return RatioEstimates(centre, wide, known, precision, each.looks, periods.looks, tuple(sensitivity))


def _processes(own: list[Look]) -> list[tuple[float, float, float, int]]:
    """Return what tells the processes of a candidate's looks; those of a coarse clock are told apart by their order."""
    seen: Counter[tuple[float, float, float]] = Counter()
    keys = []
    for look in own:
        key = (look.at_s, look.reference_ms, look.reference_error)
        keys.append((*key, seen[key]))
        seen[key] += 1
    return keys


def _mean(rows: FloatArray) -> FloatArray:
    """Mean of each column over the rows that have it; NaN where none has."""
    there = ~np.isnan(rows)
    total = np.where(there, rows, 0.0).sum(axis=0)
    return np.where(there.any(axis=0), total / np.maximum(there.sum(axis=0), 1), np.nan)


def _spread(y: FloatArray) -> _Spread:
    """Take out what shifts rows as a whole; give centres and variances of the columns."""
    count = (~np.isnan(y)).sum(axis=0)
    there = (~np.isnan(y)).sum(axis=1)
    shift = row_shifts(y, there >= SHARED)
    level = y - shift[:, None]
    centre = _mean(level) if len(y) else np.full(y.shape[1], np.nan)
    taken = np.where(
        there >= SHARED, there / np.maximum(there - 1, 1), 1.0
    )  # a shift takes its part of each deviation away
    squares = np.nansum(taken[:, None] * (level - centre) ** 2, axis=0)
    own = np.where(count > 1, squares / np.maximum(count - 1, 1), np.nan)
    pooled, prior = pooled_variance(own[count > 1], (count[count > 1] - 1).astype(float))
    return _Spread(centre, shift, own, count, pooled, prior)


def _between_periods(each: _Spread, periods: _Spread, within: FloatArray) -> float:
    """Variance of a period's mean where periods do not tell: of the processes in it, or of the loads in a process."""
    repeated = each.looks > periods.looks
    if repeated.any() and each.pooled > 0:
        per_period = float((each.looks[repeated] / periods.looks[repeated]).mean())
        return BURST * each.pooled / per_period
    loads = within[~np.isnan(within)]
    return BURST * float(loads.mean()) if len(loads) else UNKNOWN_VAR


def _independent(table: FloatArray, periods: _Spread) -> float:
    """Effective number of independent movements among candidates: (trace S)² / trace S² of their deviations, 1 at least."""
    left = np.nan_to_num(table - periods.shift[:, None] - periods.centre)
    gram = left[:, periods.looks > 1] @ left[:, periods.looks > 1].T
    squares = float((gram**2).sum())
    return max(1.0, float(np.trace(gram)) ** 2 / squares) if squares > 0 else 1.0


def _reference_variance(periods: _Spread, table: FloatArray, errors: FloatArray, between: float) -> float:
    """Variance of the reference from row to row: it is a model as the candidates are, and what shifts them alike is its own."""
    if int((periods.looks > 0).sum()) >= MANY:
        reference = periods.pooled if int(periods.looks.max()) >= ENOUGH else between
    else:
        reference = BURST * float(errors.mean()) if len(errors) else 0.0
    shifted = (~np.isnan(table)).sum(axis=1) >= SHARED
    seen = int(shifted.sum())
    if seen > 1:
        observed = float(periods.shift[shifted].var(ddof=1))
        reference = (PRIOR * reference + (seen - 1) * observed) / (PRIOR + seen - 1)
    return reference


def row_shifts(y: FloatArray, there: BoolArray) -> FloatArray:
    """Estimate by how much each row makes all its columns differ, which is its reference's error.

    Parameters
    ----------
    y : numpy.ndarray
        Shape (rows, columns): logarithms, NaN where a row lacks a column.
    there : numpy.ndarray
        Shape (rows,): rows that are believed; one of few columns tells nothing of what is common to them, and is taken as
        it is: its shift would be their own deviation.

    Returns
    -------
    numpy.ndarray
        Shape (rows,); mean 0 over the believed rows that are tied together by columns which they share.
    """
    shift = np.zeros(len(y))
    if there.sum() < 2:
        return shift
    tied = _tied(y)
    for _ in range(5):
        left = y - _mean(y - shift[:, None])
        shift[there] = np.nanmedian(left[there], axis=1)
        for part in np.unique(tied[there]):
            rows = there & (tied == part)
            shift[rows] -= shift[rows].mean()
    return shift


def _tied(y: FloatArray) -> IntArray:
    """Return (rows,) numbers of the sets of rows that share columns, directly or through others."""
    from scipy.sparse import csr_array  # late: a measuring process needs none of it
    from scipy.sparse.csgraph import connected_components

    there = csr_array((~np.isnan(y)).astype(np.int32))
    return np.asarray(connected_components(there @ there.T, directed=False)[1], dtype=np.int64)
