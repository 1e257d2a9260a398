"""The order of a measurement in one process: fresh loads, interleaved visits, and what they say of each candidate."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import median
from typing import Any

import numpy as np

from hwsearch.devices.host import throttled
from hwsearch.devices.runtimes.base import Session
from hwsearch.devices.timing.estimate import combine, not_converged
from hwsearch.devices.timing.protocol import TimingProtocol
from hwsearch.devices.timing.sample import Sample
from hwsearch.devices.timing.sensitivity import block_sensitivity, pooled_sensitivities
from hwsearch.devices.timing.statistics import load_effects, median_polish
from hwsearch.devices.timing.timing import Timing
from hwsearch.errors import DeviceError, HwsearchError, MeasurementError

#: equal parts of a process's time whose levels are kept
PARTS = 16

#: loads a workload afresh
Load = Callable[[], Session]


# ---------------------------------------------------------------------- measuring
class _Candidate:
    """One model of a group: its loader, and every block that was timed."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.session: Session | None = None
        self.runs_per_block = 1
        self.blocks: list[tuple[int, int, list[float]]] = []  # (place in time, load, milliseconds)
        self.failure: str | None = None

    def fail(self, error: Exception) -> None:
        self.failure = str(error)
        self.close()

    def close(self) -> None:
        if self.session is not None:
            self.session.close()
            self.session = None

    def timed(self, runs: int) -> list[float]:
        assert self.session is not None
        times = self.session.time(runs)
        if len(times) != runs or not all(math.isfinite(t) and t > 0 for t in times):
            raise MeasurementError(
                f"{runs} runs were asked for and the device answered {times[:5]}{' …' if len(times) > 5 else ''} ms.",
                hint="Times must be as many as asked for, finite and positive.",
            )
        return times

    def warm_up(self, p: TimingProtocol) -> None:
        """Load and run until three blocks in a row agree to 2 %, or the time for it is over."""
        self.session = self.load()
        best = min(self.timed(2))
        runs = max(p.block_runs, math.ceil(p.block_ms / best))
        spent, last = 0.0, [math.inf, 0.0]
        while spent < p.warmup_ms:
            times = self.timed(runs)
            spent += sum(times)
            last.append(median(times))
            if max(last[-3:]) <= 1.02 * min(last[-3:]):
                break
        self.runs_per_block = runs


def reference_loads(candidates: int) -> int:
    """Return how many loads of the reference take part in a group.

    Parameters
    ----------
    candidates : int
        Size of the group.

    Returns
    -------
    int
        One for ten candidates, and two at least.
    """
    return max(2, round(candidates / 10))


def measure_process(
    loads: Sequence[Load],
    reference: Load,
    protocol: TimingProtocol,
    rng: np.random.Generator,
    *,
    tick: Callable[[float], None] | None = None,
) -> list[Sample]:
    """Time candidates together in this process.

    A candidate that fails has a `failure` and spoils nothing.

    Parameters
    ----------
    loads : sequence of callable
        How each candidate is loaded; it is, several times, so that only one load of each is alive at once.
    reference : callable
        How the model is loaded that ties groups and campaigns together; it is several of the candidates.
    protocol : TimingProtocol
        How long to measure.
    rng : numpy.random.Generator
        Draws the order of loads and visits.
    tick : callable, optional
        Told the share of the work that is done, after each round.

    Returns
    -------
    list of Sample
        One a candidate.

    Raises
    ------
    DeviceError
        If the reference cannot be loaded.
    MeasurementError
        If the reference fails later.
    """
    p = protocol
    candidates = [_Candidate(load) for load in loads]
    fixed = [_Candidate(reference) for _ in range(reference_loads(len(loads)))]
    quota, started, place = throttled(), time.monotonic(), 0
    for load in range(p.loads):
        alive = _load_all([*(c for c in candidates if c.failure is None), *fixed], fixed, p, rng)
        for visit in range(p.visits):
            for i in rng.permutation(len(alive)):
                place = _visit(alive[i], place, load, fixed)
            alive = [c for c in alive if c.session is not None]
            if tick is not None:
                tick((load * p.visits + visit + 1) / (p.loads * p.visits))
            if time.monotonic() - started > p.budget_s * (load + 1) / p.loads:
                break
        for c in alive:
            c.close()
        if time.monotonic() - started > p.budget_s:
            break
    now = throttled()
    cut = now - quota if now is not None and quota is not None else 0
    return [replace(s, throttled=cut) for s in _samples([*candidates, *fixed], len(fixed))]


def measure_group(
    loads: Sequence[Load],
    reference: Load,
    protocol: TimingProtocol,
    rng: np.random.Generator,
    *,
    tick: Callable[[float], None] | None = None,
) -> list[Timing]:
    """Time candidates in this process alone, as often as the protocol asks for processes.

    Parameters
    ----------
    loads, reference, protocol, rng
        As in `measure_process`.
    tick : callable, optional
        Told the share of the work that is done.

    Returns
    -------
    list of Timing
        One a candidate.

    Raises
    ------
    DeviceError, MeasurementError
        As `measure_process` raises them.
    """
    p = protocol
    found: list[list[Sample]] = []
    at: list[float] = []
    for k in range(p.processes[1]):
        share = (lambda x, k=k: tick(min(1.0, (k + x) / p.processes[0]))) if tick is not None else None
        at.append(time.monotonic())
        found.append(measure_process(loads, reference, p, rng, tick=share))
        if k + 1 >= p.processes[0] and not not_converged(combine(found, p, at=at), p):
            break
    return combine(found, p, at=at)


def _load_all(
    wanted: list[_Candidate], references: list[_Candidate], p: TimingProtocol, rng: np.random.Generator
) -> list[_Candidate]:
    """Load and warm up in random order; those that can be run."""
    for i in rng.permutation(len(wanted)):
        _attempt(wanted[i], lambda c=wanted[i]: c.warm_up(p), references)  # type: ignore[misc]
    return [c for c in wanted if c.session is not None]


def _visit(c: _Candidate, place: int, load: int, references: list[_Candidate]) -> int:
    """Time one block; returns the next place in time."""
    if c.session is None:
        return place
    times = _attempt(c, lambda: c.timed(c.runs_per_block), references)
    if times is None:
        return place
    c.blocks.append((place, load, times))
    return place + 1


def _attempt(c: _Candidate, call: Callable[[], Any], references: list[_Candidate]) -> Any:
    try:
        return call()
    except (HwsearchError, OSError) as error:
        if c in references:
            for other in references:
                other.close()
            if isinstance(error, DeviceError):
                raise
            raise MeasurementError(
                f"the reference model failed: {error}", hint="Without it nothing can be compared; check the device."
            ) from error
        c.fail(error)
        return None


def _samples(everyone: list[_Candidate], n_references: int) -> list[Sample]:
    """Make samples of all but the last `n_references`, which are loads of the reference."""
    n = len(everyone) - n_references
    blocks = sorted(
        (place, i, load, median(times))
        for i, c in enumerate(everyone)
        if c.failure is None
        for place, load, times in c.blocks
    )
    if not blocks:
        return [Sample(failure=c.failure or "no block was timed.") for c in everyone[:n]]
    who = np.array([b[1] for b in blocks])
    when = np.array([b[2] for b in blocks])
    y = np.log([b[3] for b in blocks])
    label = np.minimum(who, n)  # the references are one model: they share one effect
    _, level = median_polish(y, label, n + 1, window=max(15, len(set(who.tolist()))))
    mean = float(level.mean())  # a host of two speeds has no median to rely on; the running median left no peaks
    left = y - level
    loads, slopes = [], []
    for i in range(len(everyone)):
        own = who == i
        slopes.append(block_sensitivity(left[own], when[own], level[own]))
        (known,) = pooled_sensitivities([slopes[-1:]])
        loads.append(load_effects(left[own] - known.value * (level[own] - mean), when[own]))
    (fixed,) = pooled_sensitivities([slopes[n:]])
    shared = np.concatenate(loads[n:])
    effect = float(shared.mean())
    error = float(shared.std(ddof=1) / math.sqrt(len(shared)))
    reference = math.exp(effect + mean)
    levels = np.exp(effect + np.quantile(level, (np.arange(PARTS) + 0.5) / PARTS))
    out = []
    for c, found, slope in zip(everyone[:n], loads[:n], slopes[:n], strict=True):
        if c.failure is not None:
            out.append(Sample(failure=c.failure))
            continue
        times = [b[2] for b in c.blocks]
        raw, minima = np.array([median(x) for x in times]), np.array([min(x) for x in times])
        ratio = np.exp(found - effect)
        apart = slope.over(fixed)
        runs = np.concatenate(times)
        out.append(Sample(ratio, reference, error, apart.value, apart.error, levels, raw, minima, runs))
    return out
