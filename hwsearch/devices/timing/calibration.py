"""The calibration of a device: its latency scale while the host is undisturbed, and what varies between processes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from hwsearch._json import JsonObject
from hwsearch._typing import FloatArray
from hwsearch.devices.timing.sample import Sample


@dataclass(frozen=True)
class Calibration:
    """What a device's reference model takes while the host is undisturbed, and what varies from process to process.

    Attributes
    ----------
    quiet : tuple of float
        The reference's latency at each measuring process's quiet level, ms.
    process_var : float
        Relative variance of a model's latency between processes, beyond what its loads explain.
    group_var : float
        The same of what all models of a process share, which is the error of its reference. Both are unbiased estimates,
        and so may be a little below zero.
    """

    quiet: tuple[float, ...]
    process_var: float = 0.0
    group_var: float = 0.0

    @property
    def baseline_ms(self) -> float:
        """The reference's latency on the undisturbed host, ms: the mean of the fastest third of the processes.

        A neighbour on the same machine can only slow a process down, and does so for many seconds at a time.
        """
        return _fastest_third(np.array(self.quiet))

    @property
    def baseline_sd(self) -> float:
        """Relative standard error of the baseline, by resampling the processes; it shifts all values alike."""
        rng = np.random.default_rng(0)
        quiet = np.array(self.quiet)
        again = [_fastest_third(rng.choice(quiet, len(quiet))) for _ in range(200)]
        return float(np.std(again) / self.baseline_ms)

    def extended(self, quiet: Iterable[float]) -> Calibration:
        """Add the quiet levels of further processes.

        Parameters
        ----------
        quiet : iterable of float
            Latencies of the reference at their quiet levels, ms.

        Returns
        -------
        Calibration
            With the same variances.
        """
        return replace(self, quiet=(*self.quiet, *quiet))

    def to_dict(self) -> JsonObject:
        """Write the calibration as JSON.

        Returns
        -------
        dict
            From which `from_dict` makes an equal one.
        """
        return {**asdict(self), "quiet": list(self.quiet)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Calibration:
        """Read a calibration that `to_dict` wrote.

        Parameters
        ----------
        data : mapping
            The JSON object.

        Returns
        -------
        Calibration
            Equal to the one that was written.
        """
        return cls(tuple(data["quiet"]), data["process_var"], data["group_var"])


def _fastest_third(quiet: FloatArray) -> float:
    return float(np.sort(quiet)[: max(1, round(len(quiet) / 3))].mean())


# ---------------------------------------------------------------------- calibrating
def calibrate(samples: Sequence[Sequence[Sample]]) -> Calibration:
    """Calibrate a device from what several fresh processes found of the same models.

    Of the two-way table process × model, what a process does to all its models alike is the reference's error; what it does
    to single models is their own; both less what the loads explain.

    Parameters
    ----------
    samples : sequence of sequence of Sample
        Shape (processes, models), without failures.

    Returns
    -------
    Calibration
        With variances of zero where fewer than three processes or two models were timed.
    """
    level = tuple(row[0].quiet for row in samples)
    n, models = len(samples), len(samples[0])
    if n < 3 or models < 2:
        return Calibration(level)
    logs = [[np.log(s.ratio) for s in row] for row in samples]
    ratio = np.array([[x.mean() for x in row] for row in logs])
    left = ratio - ratio.mean(axis=0)
    shared = left.mean(axis=1)
    own = left - shared[:, None]
    explained = float(np.mean([x.var(ddof=1) / len(x) if len(x) > 1 else 0.0 for row in logs for x in row]))
    specific = float((own**2).sum() / ((n - 1) * (models - 1)))
    error = float(np.mean([row[0].reference_error ** 2 for row in samples]))
    common = float((shared**2).sum() / (n - 1)) - specific / models - error
    return Calibration(level, specific - explained, common)
