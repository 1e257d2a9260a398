"""Start of a message and seconds a byte, from all-reduces between local gloo processes."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import nnls

from hwsearch._typing import FloatArray
from hwsearch.devices.processes import kill_family, python_command
from hwsearch.errors import ConfigError, TrainingError
from hwsearch.training.planning.collectives import rounds_of

#: the program of each process
MODULE = "hwsearch.training.planning.gloo_rank"
#: bytes of the sums that are timed: a decade, every second one is held out of the fit
SIZES = tuple(int(10 ** (5.6 + k / 8)) // 4 * 4 for k in range(9))
#: interleaved rounds over all sizes
REPEATS = 40
#: seconds after which the processes are given up
TIMEOUT_S = 180.0


@dataclass(frozen=True)
class Calibration:
    """Cost of exchanges between local processes, and how well that predicts others.

    Attributes
    ----------
    processes : int
        How many took part.
    alpha_s : float
        Start of a message, in s.
    beta_s : float
        Seconds a byte.
    sizes : tuple of int
        Bytes of each sum.
    measured_s, predicted_s : tuple of float
        Time of one exchange of each size, the median over repeats; and by the fit.
    held_out : tuple of bool
        Which sizes the fit has not seen.
    """

    processes: int
    alpha_s: float
    beta_s: float
    sizes: tuple[int, ...]
    measured_s: tuple[float, ...]
    predicted_s: tuple[float, ...]
    held_out: tuple[bool, ...]

    @property
    def mape_pct(self) -> float:
        """Mean absolute error of the sizes that the fit has not seen, in % of what was measured."""
        rows = zip(self.measured_s, self.predicted_s, self.held_out, strict=True)
        return 100 * float(np.mean([abs(p - m) / m for m, p, out in rows if out]))


def design(sizes: Sequence[int], world: int) -> FloatArray:
    """Count messages and bytes, one after the other, of an exchange.

    Parameters
    ----------
    sizes : sequence of int
        Bytes of each sum.
    world : int
        Processes.

    Returns
    -------
    ndarray
        Shape ``(n, 2)``: 2 (world - 1) messages, and 2 (world - 1) / world of the bytes.

    Examples
    --------
    >>> design([1000], 4).tolist()
    [[6.0, 1500.0]]
    """
    found = []
    for size in sizes:
        rounds = rounds_of("exchange", world, size)
        found.append([sum(r.times for r in rounds), sum(r.times * r.size for r in rounds)])
    return np.array(found, dtype=np.float64)


def fit(sizes: Sequence[int], seconds: Sequence[float], world: int) -> Calibration:
    """Fit start and seconds a byte to every other size, by least squares of relative errors; neither is negative.

    Parameters
    ----------
    sizes : sequence of int
        Bytes of each sum, rising.
    seconds : sequence of float
        Time of each.
    world : int
        Processes.

    Returns
    -------
    Calibration
        With predictions for all sizes.

    Raises
    ------
    TrainingError
        If a time is not positive, or there are fewer than three sizes.
    """
    measured = np.asarray(seconds, dtype=np.float64)
    if len(sizes) < 3 or not (np.isfinite(measured).all() and (measured > 0).all()):
        raise TrainingError(f"times {measured.tolist()} of {len(sizes)} sizes cannot be fitted.")
    rows = design(sizes, world)
    held_out = np.arange(len(sizes)) % 2 == 1
    seen = rows[~held_out] / measured[~held_out, None]
    scale = seen.max(axis=0)
    found = nnls(seen / scale, np.ones(len(seen)))[0] / scale
    predicted = rows @ found
    return Calibration(
        processes=world,
        alpha_s=float(found[0]),
        beta_s=float(found[1]),
        sizes=tuple(sizes),
        measured_s=tuple(measured.tolist()),
        predicted_s=tuple(predicted.tolist()),
        held_out=tuple(held_out.tolist()),
    )


def calibrate(
    processes: int,
    environment: Mapping[str, str] | None = None,
    *,
    sizes: Sequence[int] = SIZES,
    repeats: int = REPEATS,
) -> Calibration:
    """Time exchanges between local processes, and fit what a message costs.

    Parameters
    ----------
    processes : int
        From 2 to 4.
    environment : mapping, optional
        Environment variables of the processes beside this one's.
    sizes : sequence of int
        Bytes of each sum, multiples of 4.
    repeats : int
        Interleaved rounds over all sizes.

    Returns
    -------
    Calibration
        The fit.

    Raises
    ------
    ConfigError
        If `processes` is not from 2 to 4.
    TrainingError
        If a process ends or is silent.
    """
    if not isinstance(processes, int) or isinstance(processes, bool) or not 2 <= processes <= 4:
        raise ConfigError(f"calibrate={processes!r} is not valid: give 2, 3 or 4 local processes.")
    with tempfile.TemporaryDirectory(prefix="hwsearch-calibrate-") as folder:
        place = Path(folder)
        given = {"world": processes, "folder": folder, "sizes": list(sizes), "repeats": repeats}
        variables = {**os.environ, **(environment or {}), "OMP_NUM_THREADS": "1"}
        started: list[subprocess.Popen[bytes]] = []
        try:
            for rank in range(processes):
                with (place / f"rank-{rank}.txt").open("wb") as said:
                    process = subprocess.Popen(
                        [*python_command(MODULE)],
                        stdin=subprocess.PIPE,
                        stdout=subprocess.DEVNULL,
                        stderr=said,
                        start_new_session=True,
                        env=variables,
                    )
                started.append(process)
                assert process.stdin is not None
                with suppress(OSError):
                    process.stdin.write(json.dumps({"rank": rank, **given}).encode() + b"\n")
                    process.stdin.flush()
            _wait(started, place)
        finally:
            for process in started:
                kill_family(process)
                if process.stdin is not None:
                    with suppress(OSError):
                        process.stdin.close()
        rows = np.array(json.loads((place / "found.json").read_text()), dtype=np.float64)
    return fit(sizes, np.median(rows, axis=0).tolist(), processes)


def _wait(started: Sequence[subprocess.Popen[bytes]], place: Path) -> None:
    until = time.monotonic() + TIMEOUT_S
    while any(process.poll() is None for process in started):
        failed = next((rank for rank, process in enumerate(started) if process.poll()), None)
        if failed is not None or time.monotonic() > until:
            said = (place / f"rank-{failed or 0}.txt").read_text(errors="replace").strip().splitlines()
            what = (
                f"process {failed} ended" if failed is not None else f"the processes are silent after {TIMEOUT_S:g} s"
            )
            raise TrainingError(f"the calibration failed: {what}{': ' + said[-1][:500] if said else ''}.")
        time.sleep(0.02)
    for rank, process in enumerate(started):
        if process.returncode:
            said = (place / f"rank-{rank}.txt").read_text(errors="replace").strip().splitlines()
            raise TrainingError(f"the calibration failed: process {rank}: {said[-1][:500] if said else 'no message'}.")
