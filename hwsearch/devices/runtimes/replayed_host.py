"""A host that can be replayed: its level along time from a recorded trace, and what a process does to single models."""

from __future__ import annotations

import hashlib
import math
from functools import cache
from importlib import resources
from pathlib import Path

import numpy as np
from scipy.signal import lfilter

from hwsearch._typing import FloatArray
from hwsearch.devices.traces import Moment, read_trace
from hwsearch.errors import DeviceError, nearest

#: seconds of a step of a host's level, and of the series that is played again and again
STEP_S, LENGTH_S = 0.5, 7200.0
#: shortest and longest part of a trace that is played as it was, seconds
PART_S = (20.0, 120.0)
#: named hosts: relative standard deviation of what a process does to a model, beside the level
PROCESS_SD = {"quiet": 0.003, "wandering": 0.05, "hostile": 0.05}
#: that of how much more than others a model slows down with the host, as two recorded virtual machines showed
SENSITIVITY_SD = {"quiet": 0.1, "wandering": 0.3, "hostile": 0.1}
#: those of a host of which only a trace is known
TRACED_SD, TRACED_SENSITIVITY_SD = 0.05, 0.2


class ReplayedHost:
    """The speed of a host along time, the same for the same seed.

    Parameters
    ----------
    name : str
        ``quiet``: a level that varies by 0.4 %, slowly. ``wandering``: parts of 20 to 120 s of a recorded trace (a virtual
        machine of two cores, of ten minutes), in random order. ``hostile``: a neighbour comes for about 12 s, goes for about
        20 s, and makes the host 40 % slower. Otherwise the path of a trace that ``hwsearch doctor --record`` wrote, played
        as ``wandering`` is.
    seed : int
        Of the order, and of what processes do to models.

    Raises
    ------
    DeviceError
        For an unknown name, and a trace that cannot be read or has fewer than two moments.

    Examples
    --------
    >>> host = ReplayedHost("quiet", 1)
    >>> 0.97 < host.level(0.0) < 1.03, host.level(10.0) == ReplayedHost("quiet", 1).level(10.0)
    (True, True)
    """

    def __init__(self, name: str, seed: int = 0) -> None:
        self.name, self.seed = name, seed
        self.process_sd = PROCESS_SD.get(name, TRACED_SD)
        self.sensitivity_sd = SENSITIVITY_SD.get(name, TRACED_SENSITIVITY_SD)
        rng = np.random.default_rng([seed, 1])
        steps = int(LENGTH_S / STEP_S)
        if name == "quiet":
            self._log = _slow(rng, steps, 0.004, 20.0)
        elif name == "hostile":
            self._log = _two_speeds(rng, steps)
        else:
            self._log = _parts(_trace(name), rng, steps)

    def level(self, at_s: float) -> float:
        """Return by how much the host is slower than in the median.

        Parameters
        ----------
        at_s : float
            When, seconds; the series repeats after two hours.

        Returns
        -------
        float
            Factor of a latency.
        """
        return math.exp(float(self._log[int(at_s / STEP_S) % len(self._log)]))

    def sensitivity(self, model: str) -> float:
        """Return by how much more than the host a model slows down; the same for all seeds, as it is the model's own.

        Parameters
        ----------
        model : str
            Names it.

        Returns
        -------
        float
            Exponent of the level: 1 for a model that slows down as the host does.
        """
        return max(0.0, 1 + self.sensitivity_sd * _normal(f"{self.name}:{model}"))

    def effect(self, process: str, model: str) -> float:
        """Return what one process does to one model, beside the level.

        Parameters
        ----------
        process, model : str
            Name them.

        Returns
        -------
        float
            Factor of a latency, log-normal.
        """
        return math.exp(self.process_sd * _normal(f"{self.seed}:{process}:{model}"))


def _normal(name: str) -> float:
    """Draw from the standard normal distribution, the same for the same name."""
    digest = hashlib.sha256(name.encode()).digest()
    return float(np.random.default_rng(int.from_bytes(digest[:8], "big")).standard_normal())


def _slow(rng: np.random.Generator, steps: int, sd: float, seconds: float) -> FloatArray:
    """Return a stationary first-order series (steps,) with that standard deviation and correlation time."""
    keep = math.exp(-STEP_S / seconds)
    drawn = rng.standard_normal(steps) * math.sqrt(1 - keep**2)
    drawn[0] = rng.standard_normal()
    return sd * np.asarray(lfilter([1.0], [1.0, -keep], drawn))


def _two_speeds(rng: np.random.Generator, steps: int) -> FloatArray:
    found: list[float] = []
    slow = bool(rng.random() < 0.4)
    while len(found) < steps:
        size = 1 + int(rng.exponential(12.0 if slow else 20.0) / STEP_S)
        found += [0.35 if slow else 0.0] * size
        slow = not slow
    return np.array(found[:steps]) + 0.02 * rng.standard_normal(steps)


def _parts(log: FloatArray, rng: np.random.Generator, steps: int) -> FloatArray:
    """Play parts of a trace (moments,) in random order; a part may go on from its end to its beginning."""
    found: list[FloatArray] = []
    total = 0
    while total < steps:
        size = int(rng.uniform(*PART_S) / STEP_S)
        places = (rng.integers(len(log)) + np.arange(size)) % len(log)
        found.append(log[places])
        total += size
    return np.concatenate(found)[:steps]


@cache
def _trace(name: str) -> FloatArray:
    """Return the log level (moments,) of a named or recorded trace, each half second, around its median."""
    if name in PROCESS_SD:
        with resources.as_file(resources.files("hwsearch.devices.runtimes").joinpath(f"hosts/{name}.csv.gz")) as path:
            moments = read_trace(path)
    elif Path(name).suffix in (".csv", ".gz"):
        moments = read_trace(Path(name))
    else:
        raise DeviceError(
            f"unknown host {name!r}.",
            hint=f"{nearest(name, PROCESS_SD)} Or give the path of a recorded trace, FILE.csv.",
        )
    if len(moments) < 2:
        raise DeviceError(f"the trace {name!r} has {len(moments)} moments.", hint="Record a minute or more.")
    return _even(moments)


def _even(moments: list[Moment]) -> FloatArray:
    at = np.array([m.seconds for m in moments])
    log = np.log([m.latency_ms for m in moments])
    order = np.argsort(at, kind="stable")
    grid = np.arange(at.min(), at.max() + STEP_S / 2, STEP_S)
    return np.asarray(np.interp(grid, at[order], log[order]) - np.median(log))
