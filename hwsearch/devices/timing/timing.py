"""The measured latency of one candidate."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from hwsearch._json import JsonObject, finite_or_none
from hwsearch._typing import FloatArray
from hwsearch.devices.timing.ratios import Look


@dataclass(frozen=True)
class Timing:
    """Timing of one candidate by all processes; latencies in milliseconds.

    Attributes
    ----------
    value : float
        The typical latency on this host over the time of measuring: the ratio to the reference times its typical latency.
    low, high : float
        Where another campaign of the same length, on another day on this host, finds it, with the protocol's confidence.
    ratio_low, ratio_high : float
        Where it finds the ratio to the reference, times the same typical latency: for comparisons on one device.
    undisturbed : float
        The latency while nothing disturbs the host, ms; NaN where that cannot be told.
    precision : float
        Half the interval of these looks alone, as a share: whether more of them at once are worth their time.
    looks : tuple of Look
        What each process found, in the order of measuring.
    loads : numpy.ndarray
        Shape (loads,): latency of each load, the host's speed divided out.
    raw, minima : numpy.ndarray
        Shape (blocks,): medians and minima of blocks as timed.
    runs : numpy.ndarray
        Shape (runs,): single runs as timed.
    typical, reference : float
        The reference's latency: typical of the host, and as it was in the median process, ms.
    throttled : int
        How often a CPU quota stopped the processes meanwhile.
    failure : str or None
        Why there is no value.
    """

    value: float = math.nan
    low: float = math.nan
    high: float = math.nan
    ratio_low: float = math.nan
    ratio_high: float = math.nan
    undisturbed: float = math.nan
    precision: float = math.nan
    looks: tuple[Look, ...] = ()
    loads: FloatArray = field(default_factory=lambda: np.empty(0))
    raw: FloatArray = field(default_factory=lambda: np.empty(0))
    minima: FloatArray = field(default_factory=lambda: np.empty(0))
    runs: FloatArray = field(default_factory=lambda: np.empty(0))
    typical: float = math.nan
    reference: float = math.nan
    throttled: int = 0
    failure: str | None = None

    @property
    def interval(self) -> tuple[float, float]:
        """Both ends of the interval, (low, high), ms."""
        return self.low, self.high

    def half_width(self) -> float:
        """Return half the interval, as a share of the value.

        Returns
        -------
        float
            The wider half.
        """
        return max(self.high - self.value, self.value - self.low) / self.value

    def summary(self, half_width: float) -> JsonObject:
        """Summarise every number that is kept of this measurement, rounded to nanoseconds.

        Parameters
        ----------
        half_width : float
            What the protocol asks for; decides ``converged``.

        Returns
        -------
        dict
            As the store keeps it in a measurement's details; times in ms, the rest percents and counts.
        """
        r = self.runs
        ns = lambda v: round(float(v), 6)  # noqa: E731
        return {
            "min": ns(r.min()),
            "p50": ns(np.median(r)),
            "p90": ns(np.quantile(r, 0.9)),
            "mean": ns(r.mean()),
            "sd": ns(r.std(ddof=1)) if len(r) > 1 else 0.0,
            "mad": ns(np.median(np.abs(r - np.median(r)))),
            "fastest_quarter": ns(np.quantile(self.minima, 0.25)),
            "runs": len(r),
            "visits": len(self.raw),
            "loads": len(self.loads),
            "processes": len(self.looks),
            "outliers": int((r > np.median(r) * 1.5).sum()),
            "precision_pct": round(100 * self.precision, 3),
            "reference_ms": ns(self.reference),
            "typical_ms": ns(self.typical),
            "ratio_low": ns(self.ratio_low),
            "ratio_high": ns(self.ratio_high),
            "undisturbed_ms": finite_or_none(self.undisturbed, 6),
            "converged": bool(self.precision <= half_width),
            "throttled": self.throttled,
            "looks": [
                [
                    round(look.at_s, 2),
                    *(finite_or_none(x, 8) for x in look[1:-1]),
                    [float(f"{x:.8g}") for x in look.levels_ms],
                ]
                for look in self.looks
            ],
        }
