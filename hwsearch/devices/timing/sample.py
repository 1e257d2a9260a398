"""How a latency is measured: candidates interleaved, loaded afresh in several processes, the host's speed estimated from all."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hwsearch._json import JsonObject
from hwsearch._typing import FloatArray
from hwsearch.errors import MeasurementError


@dataclass(frozen=True)
class Sample:
    """What one process found of one candidate.

    ratio : (loads,) latency over the reference's, the host's speed divided out
    reference, quiet : the reference's latency, as it was and at the quiet level, ms; reference_error : relative
    raw, minima, runs : block medians, block minima and single runs as timed, ms
    """

    ratio: FloatArray = field(default_factory=lambda: np.empty(0))
    reference: float = math.nan
    reference_error: float = math.nan
    quiet: float = math.nan
    raw: FloatArray = field(default_factory=lambda: np.empty(0))
    minima: FloatArray = field(default_factory=lambda: np.empty(0))
    runs: FloatArray = field(default_factory=lambda: np.empty(0))
    throttled: int = 0
    failure: str | None = None

    def to_dict(self) -> JsonObject:
        """JSON-able; `from_dict` gives an equal one."""
        plain = {
            k: [round(x, 7) for x in v.tolist()] if isinstance(v, np.ndarray) else v for k, v in vars(self).items()
        }
        return {"failure": self.failure} if self.failure is not None else plain

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Sample:
        """Raises `MeasurementError` for what is no sample: missing or unknown fields, numbers that are not positive."""
        if data.get("failure") is not None:
            return cls(failure=str(data["failure"]))
        try:
            arrays = {k: np.array(data[k], dtype=np.float64) for k in ("ratio", "raw", "minima", "runs")}
            sample = cls(**{**data, **arrays})
            numbers = [sample.reference, sample.quiet, *(v for a in arrays.values() for v in a)]
            sound = all(math.isfinite(v) and v > 0 for v in numbers) and all(len(a) for a in arrays.values())
            sound = sound and sample.reference_error >= 0 and isinstance(sample.throttled, int)
        except (KeyError, TypeError, ValueError) as error:
            raise MeasurementError(f"Invalid worker response: not a sample of a latency: {error!r}.") from error
        if not sound:
            raise MeasurementError("Invalid worker response: latencies must be positive.")
        return sample
