"""Ratios of candidates to the reference, from looks in several processes and periods, and how well they are known."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np

from hwsearch._typing import BoolArray, FloatArray, IntArray
from hwsearch.devices.timing.cells import Cells
from hwsearch.devices.timing.level import BURST, PERIOD_S, Visit, period_labels
from hwsearch.devices.timing.sensitivity import UNKNOWN, Sensitivity, column_sensitivities
from hwsearch.devices.timing.statistics import pooled_variance, students

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


class Looks(NamedTuple):
    """Looks of many candidates, as columns: a million take some 60 MiB.

    Attributes
    ----------
    candidate : numpy.ndarray
        Shape (looks,): whose they are, ascending from 0.
    at_s, log_ratio, variance, reference_ms, reference_error, sensitivity, sensitivity_error : numpy.ndarray
        Shape (looks,): as in `Look`.
    """

    candidate: IntArray
    at_s: FloatArray
    log_ratio: FloatArray
    variance: FloatArray
    reference_ms: FloatArray
    reference_error: FloatArray
    sensitivity: FloatArray
    sensitivity_error: FloatArray

    @classmethod
    def of(cls, looks: Sequence[Sequence[Look]]) -> Self:
        """Put looks into columns.

        Parameters
        ----------
        looks : sequence of sequence of Look
            Of each candidate.

        Returns
        -------
        Looks
            The same.
        """
        candidate = np.repeat(np.arange(len(looks)), [len(own) for own in looks])
        columns = zip(*(look[:7] for own in looks for look in own), strict=True)
        rest = [np.array(c, dtype=np.float64) for c in columns] or [np.zeros(0)] * 7
        return cls(candidate, *rest)

    def processes(self) -> tuple[IntArray, IntArray]:
        """Tell the processes of the looks.

        Looks with the same time and reference are of one process; those of a coarse clock are told apart by their order.

        Returns
        -------
        process : numpy.ndarray
            Shape (looks,): the process of each, in the order of time.
        first : numpy.ndarray
            Shape (processes,): one look of each.
        """
        own = (self.reference_error, self.reference_ms, self.at_s)
        order = np.lexsort((*own, self.candidate))  # looks of a candidate that seem to be of one process, side by side
        again = np.zeros(len(order), dtype=np.int64)
        again[1:] = np.logical_and.reduce([np.diff(c[order]) == 0 for c in (*own, self.candidate)])
        place = np.arange(len(order))
        nth = np.empty(len(order), dtype=np.int64)
        nth[order] = place - np.maximum.accumulate(np.where(again == 0, place, 0))
        order = np.lexsort((nth, *own))
        new = np.ones(len(order), dtype=np.int64)
        new[1:] = ~np.logical_and.reduce([np.diff(c[order]) == 0 for c in (nth, *own)])
        process = np.empty(len(order), dtype=np.int64)
        process[order] = np.cumsum(new) - 1
        return process, order[np.flatnonzero(new)]


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
    slope, slope_error : numpy.ndarray
        Shape (n,): how much each ratio moves with the host's level, and the standard error of that; see `sensitivity`.
    """

    centre: FloatArray
    wide: FloatArray
    freedom: FloatArray
    precision: FloatArray
    processes: IntArray
    periods: IntArray
    slope: FloatArray
    slope_error: FloatArray

    @property
    def sensitivity(self) -> tuple[Sensitivity, ...]:
        """Of each candidate: how much its ratio moves with the host's level."""
        return tuple(Sensitivity(*s) for s in zip(self.slope.tolist(), self.slope_error.tolist(), strict=True))


class _Known(NamedTuple):
    """Variances, and their degrees of freedom, (n,)."""

    variance: FloatArray
    freedom: FloatArray


class _Spread(NamedTuple):
    """Variances in a table of looks: of each candidate, of all, and how well they are known."""

    centre: FloatArray
    shift: FloatArray
    own: FloatArray
    looks: IntArray
    pooled: float
    prior: float

    @property
    def known(self) -> _Known:
        """Variance of each candidate from row to row, drawn to that of all."""
        return _moderated(self.own, self.looks - 1, self.pooled, self.prior)


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


def ratio_estimates(
    looks: Sequence[Sequence[Look]] | Looks, confidence: float, typical_ms: float | None = None, n: int | None = None
) -> RatioEstimates:
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
    looks : sequence of sequence of Look, or Looks
        Of each candidate, in any order; looks with the same time and reference are of one process.
    confidence : float
        Of the intervals.
    typical_ms : float, optional
        The reference's typical latency, ms; by default the geometric mean over the processes.
    n : int, optional
        Number of candidates, where `looks` are columns; by default the last with a look is the last of all.

    Returns
    -------
    RatioEstimates
        In the order of the candidates.

    References
    ----------
    Smyth (2004), "Linear models and empirical Bayes methods", doi 10.2202/1544-6115.1027, for the moderated variances.
    Satterthwaite (1946), "An approximate distribution of estimates of variance components", doi 10.2307/3002019.
    """
    if isinstance(looks, Looks):
        n = n if n is not None else int(looks.candidate.max(initial=-1)) + 1
    else:
        n, looks = len(looks), Looks.of(looks)
    process, first = looks.processes()
    level = np.log(looks.reference_ms[first])
    level -= math.log(typical_ms) if typical_ms is not None else level.mean() if len(level) else 0.0
    slope, slope_error = column_sensitivities(looks.sensitivity, looks.sensitivity_error, looks.candidate, n)
    order = np.lexsort((looks.candidate, process))
    row, column = process[order], looks.candidate[order]
    y = Cells(row, column, looks.log_ratio[order] - slope[column] * level[row], (len(first), n))
    errors = looks.reference_error[first] ** 2
    labels = period_labels(looks.at_s[first], PERIOD_S)
    table = y.joined_rows(labels)
    shared = np.array([part.mean() for part in np.split(errors, np.flatnonzero(np.diff(labels)) + 1)])
    each, periods = _spread(y), _spread(table)
    between = _between_periods(each, periods, looks.variance[order])
    reference = _reference_variance(periods, table, shared, between)
    most = int(periods.looks.max(initial=0))
    freedom_of_periods = max(PRIOR, most - 1.0) * _independent(table, periods)
    seen = periods.looks > 0
    counts, places = np.maximum(each.looks, 1), np.maximum(periods.looks, 1)
    spread, freedom = (
        each.known if each.pooled > 0 or each.prior > 0 else _Known(np.full(n, between), np.full(n, PRIOR))
    )
    most_known = max(float((each.looks[each.looks > 0] - 1).sum()), 1.0)
    half = students(confidence, np.maximum(np.minimum(freedom, most_known), 1.0)) * np.sqrt(spread / counts)
    precision = np.array([math.expm1(min(x, 700.0)) for x in half.tolist()])
    if most >= ENOUGH:
        spread, freedom = periods.known
    else:
        spread, freedom = _moderated(periods.own, periods.looks - 1, between, PRIOR)
    known = np.maximum(np.minimum(freedom, freedom_of_periods), 1.0)
    wide = students(confidence, known) * np.sqrt(2 * (spread + reference) / places)
    centre, wide, known, precision = (
        np.asarray(np.where(seen, values, np.nan)) for values in (periods.centre, wide, known, precision)
    )
    return RatioEstimates(centre, wide, known, precision, each.looks, periods.looks, slope, slope_error)


def _moderated(own: FloatArray, freedom: IntArray, pooled: float, prior: float) -> _Known:
    """Draw variances to the pooled one; see `hwsearch.devices.timing.statistics.moderated`."""
    if math.isinf(prior):
        return _Known(np.full(len(own), pooled), np.full(len(own), math.inf))
    few = freedom < 1
    drawn = (prior * pooled + freedom * np.where(few, 0.0, own)) / np.where(few, 1.0, prior + freedom)
    return _Known(np.where(few, pooled, drawn), np.where(few, prior, prior + freedom))


def _spread(y: Cells) -> _Spread:
    """Take out what shifts rows as a whole; give centres and variances of the columns."""
    count, there = y.column_counts, y.row_counts
    shift = y.row_shifts(there >= SHARED)
    level = y.value - shift[y.row]
    centre = y.filled(level).column_means()
    taken = np.where(
        there >= SHARED, there / np.maximum(there - 1, 1), 1.0
    )  # a shift takes its part of each deviation away
    squares = y.filled(taken[y.row] * (level - centre[y.column]) ** 2).column_sums()
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


def _independent(table: Cells, periods: _Spread) -> float:
    """Effective number of independent movements among candidates that have several periods."""
    use = periods.looks[table.column] > 1
    row, column = table.row[use], table.column[use]
    left = table.value[use] - periods.shift[row] - periods.centre[column]
    _, numbered = np.unique(column, return_inverse=True)
    return Cells(row, numbered, left, (table.shape[0], int(numbered.max(initial=-1)) + 1)).movements()


def _reference_variance(periods: _Spread, table: Cells, errors: FloatArray, between: float) -> float:
    """Variance of the reference from row to row: it is a model as the candidates are, and what shifts them alike is its own."""
    if int((periods.looks > 0).sum()) >= MANY:
        reference = periods.pooled if int(periods.looks.max()) >= ENOUGH else between
    else:
        reference = BURST * float(errors.mean()) if len(errors) else 0.0
    shifted = table.row_counts >= SHARED
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
    return Cells.of(y).row_shifts(there)
