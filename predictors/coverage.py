"""Running coverage: prediction intervals against measurements made after the fit, and how these widen them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from predictors._typing import FloatArray
from predictors.conformal import CoverageReport, coverage_report, quantile_rank
from predictors.errors import PredictorError

#: later measurements that the fit's own interval counts for
WEIGHT = 20.0
#: factor that an interval is widened by, at most
MOST = 10.0
#: what `RunningCoverage.to_dict` holds
FIELDS = ("n", "inside", "below", "above", "coverage", "low", "high", "asked", "factor")


@dataclass(frozen=True)
class RunningCoverage:
    """Coverage of intervals over what was measured after the fit, and the factor by which that widens them.

    Attributes
    ----------
    report : CoverageReport
        Of the intervals as the fit gave them.
    factor : float
        By which both arms of an interval are made longer; 1 where the coverage is not below what was asked by more than chance.
    """

    report: CoverageReport
    factor: float

    @property
    def warning(self) -> str | None:
        """A sentence where intervals are widened, else None."""
        if self.factor == 1.0:
            return None
        r = self.report
        return (
            f"Intervals of {100 * r.asked:g} % held {r.inside} of {r.n} values measured after the fit "
            f"({100 * r.low:.0f} to {100 * r.high:.0f} %): they are made {self.factor:.3g} times as wide."
        )

    def widen(self, value: ArrayLike, low: ArrayLike, high: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Widen intervals by the factor.

        Parameters
        ----------
        value, low, high : array-like (m,)
            Predictions and the ends of their intervals as the fit gives them.

        Returns
        -------
        low, high : ndarray (m,)
            Wider ends. One that was not negative stays so: latencies, memory and energy have no others.
        """
        centre, lower, upper = (np.asarray(a, dtype=np.float64) for a in (value, low, high))
        if self.factor == 1.0:
            return lower, upper
        wide = centre - self.factor * (centre - lower)
        return np.where(lower >= 0.0, np.maximum(wide, 0.0), wide), centre + self.factor * (upper - centre)

    def to_dict(self) -> dict[str, float | int]:
        """Describe it by values that JSON knows, for a card.

        Returns
        -------
        dict
            ``n``, ``inside``, ``below``, ``above``, ``coverage`` with ``low`` and ``high``, ``asked`` and ``factor``.
        """
        return {name: getattr(self if name == "factor" else self.report, name) for name in FIELDS}


def running_coverage(
    y: ArrayLike, value: ArrayLike, low: ArrayLike, high: ArrayLike, *, asked: float = 0.9, confidence: float = 0.95
) -> RunningCoverage:
    """Compare measurements that a fit had not seen with its intervals, and find by how much these must be widened.

    A measurement's ratio is the factor by which its interval would just hold it. Where the exact interval of the coverage lies
    below what was asked, the factor is (20 + m q) / (20 + m), with q the conformal quantile of the m ratios: few measurements
    widen a little, many as much as they need.

    Parameters
    ----------
    y : array-like (m,)
        Measurements, each of another architecture, none of them in the fit.
    value, low, high : array-like (m,)
        Predictions and the ends of their intervals.
    asked : float
        Coverage that the intervals were made for, in (0, 1).
    confidence : float
        Of the interval of the coverage that decides, in (0, 1).

    Returns
    -------
    RunningCoverage
        The coverage and the factor.

    Raises
    ------
    PredictorError
        As of `predictors.coverage_report`, and for predictions outside of their intervals.

    References
    ----------
    Clopper and Pearson 1934, "The use of confidence or fiducial limits illustrated in the case of the binomial".
    Vovk, Gammerman, Shafer 2005, "Algorithmic learning in a random world", of conformal quantiles.

    Examples
    --------
    >>> y = np.linspace(-3.0, 3.0, 40)
    >>> found = running_coverage(y, np.zeros(40), np.full(40, -1.0), np.full(40, 1.0))
    >>> found.report.inside, round(found.factor, 2)
    (14, 2.23)
    """
    report = coverage_report(y, low, high, asked=asked, confidence=confidence)
    found, centre, lower, upper = (np.asarray(a, dtype=np.float64) for a in (y, value, low, high))
    if centre.shape != found.shape or not ((lower <= centre) & (centre <= upper)).all():
        raise PredictorError("a running coverage needs a prediction inside of each interval.")
    if not report.too_narrow:
        return RunningCoverage(report, 1.0)
    arm = np.where(found > centre, upper - centre, centre - lower)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.minimum(np.nan_to_num(np.abs(found - centre) / arm, nan=0.0, posinf=MOST), MOST)
    needed = float(np.sort(ratio)[min(quantile_rank(report.n, asked), report.n) - 1])
    return RunningCoverage(report, (WEIGHT + report.n * max(needed, 1.0)) / (WEIGHT + report.n))
