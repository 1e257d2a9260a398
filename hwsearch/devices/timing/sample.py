"""Timings of one candidate by one process."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hwsearch._json import JsonObject
from hwsearch._typing import FloatArray
from hwsearch.devices.timing.sensitivity import UNKNOWN
from hwsearch.errors import MeasurementError

#: fields of a sample that are arrays
ARRAYS = ("ratio", "levels", "raw", "minima", "runs")


@dataclass(frozen=True)
class Sample:
    """Latencies that one process found of one candidate.

    Attributes
    ----------
    ratio : numpy.ndarray
        Shape (loads,): latency over the reference's, the host's speed divided out.
    reference : float
        The reference's latency, ms: the geometric mean over time.
    reference_error : float
        Relative standard error of the reference in this process.
    sensitivity, sensitivity_error : float
        How much more than the reference it slows down with the host, and the standard error of that
        (`hwsearch.devices.timing.sensitivity.Sensitivity`).
    levels : numpy.ndarray
        Shape (parts,): the reference's latency along the process, each for an equal part of its time, in the order of size, ms.
    raw, minima, runs : numpy.ndarray
        Block medians, block minima and single runs as timed, ms.
    throttled : int
        How often a CPU quota stopped the process meanwhile.
    failure : str or None
        Why there are no numbers.
    """

    ratio: FloatArray = field(default_factory=lambda: np.empty(0))
    reference: float = math.nan
    reference_error: float = math.nan
    sensitivity: float = 0.0
    sensitivity_error: float = UNKNOWN
    levels: FloatArray = field(default_factory=lambda: np.empty(0))
    raw: FloatArray = field(default_factory=lambda: np.empty(0))
    minima: FloatArray = field(default_factory=lambda: np.empty(0))
    runs: FloatArray = field(default_factory=lambda: np.empty(0))
    throttled: int = 0
    failure: str | None = None

    def to_dict(self) -> JsonObject:
        """Write the sample as JSON, rounded to 7 decimal places.

        Returns
        -------
        dict
            From which `from_dict` makes an equal one.
        """
        plain = {
            k: [round(x, 7) for x in v.tolist()] if isinstance(v, np.ndarray) else v for k, v in vars(self).items()
        }
        return {"failure": self.failure} if self.failure is not None else plain

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Sample:
        """Read a sample that `to_dict` wrote, believing nothing that it has not checked.

        Parameters
        ----------
        data : mapping
            The JSON object.

        Returns
        -------
        Sample
            The sample, or one with its failure.

        Raises
        ------
        MeasurementError
            For missing or unknown fields, and for latencies that are not positive.
        """
        if data.get("failure") is not None:
            return cls(failure=str(data["failure"]))
        try:
            arrays = {k: np.array(data[k], dtype=np.float64) for k in ARRAYS}
            sample = cls(**{**data, **arrays})
            numbers = [sample.reference, *(v for a in arrays.values() for v in a)]
            sound = all(math.isfinite(v) and v > 0 for v in numbers) and all(len(a) for a in arrays.values())
            sound = sound and math.isfinite(sample.sensitivity) and sample.sensitivity_error >= 0
            sound = sound and sample.reference_error >= 0 and isinstance(sample.throttled, int)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise MeasurementError(f"Invalid worker response: not a sample of a latency: {error!r}.") from error
        if not sound:
            raise MeasurementError("Invalid worker response: latencies must be positive.")
        return sample
