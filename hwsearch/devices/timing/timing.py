"""The measured latency of one candidate."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from hwsearch._json import JsonObject
from hwsearch._typing import FloatArray


@dataclass(frozen=True)
class Timing:
    """What the processes found of one candidate; milliseconds.

    value : the latency on the undisturbed host; low, high : where a repeated campaign finds it, with the protocol's
    confidence, on the same calibration; precision : half the interval of this measurement alone, as a share
    loads : latency of each load, the host's speed divided out; raw : block medians as timed
    failure : why there is no value
    """

    value: float = math.nan
    low: float = math.nan
    high: float = math.nan
    precision: float = math.nan
    processes: int = 0
    loads: FloatArray = field(default_factory=lambda: np.empty(0))
    raw: FloatArray = field(default_factory=lambda: np.empty(0))
    minima: FloatArray = field(default_factory=lambda: np.empty(0))
    runs: FloatArray = field(default_factory=lambda: np.empty(0))
    baseline: float = math.nan
    reference: float = math.nan
    quiet: float = math.nan
    moved: bool = False
    throttled: int = 0
    failure: str | None = None

    @property
    def interval(self) -> tuple[float, float]:
        return self.low, self.high

    def half_width(self) -> float:
        """Half the interval, as a share of the value."""
        return max(self.high - self.value, self.value - self.low) / self.value

    def summary(self, half_width: float) -> JsonObject:
        """Every kept number of this measurement, rounded to nanoseconds."""
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
            "processes": self.processes,
            "outliers": int((r > np.median(r) * 1.5).sum()),
            "precision_pct": round(100 * self.precision, 3),
            "reference_ms": ns(self.reference),
            "baseline_ms": ns(self.baseline),
            "drift_pct": round(100 * (self.reference / self.baseline - 1), 2),
            "quiet_ms": ns(self.quiet),
            "quiet_pct": round(100 * (self.quiet / self.baseline - 1), 2),
            "moved": self.moved,
            "converged": bool(self.precision <= half_width),
            "throttled": self.throttled,
        }
