"""Latencies of operators: profiles of many networks in interleaved rounds, with the host's speed and the profiler taken out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from hwsearch.devices import Workload
from hwsearch.devices.operators import Profile, Signature
from hwsearch.devices.profiler import Profiled, profile
from hwsearch.devices.timing.level import UNDISTURBED_QUANTILE
from hwsearch.devices.timing.statistics import median_polish

Tick = Callable[[float], None]


#: how operators are measured, as the store names it
PROTOCOL = "profile1: starts, 4 rounds x 50 runs"


ROUNDS, RUNS = 4, 50


#: rounds have one visit to the reference for so many others
REFERENCE_EACH = 8


@dataclass(frozen=True)
class OperatorLatency:
    """Time of one signature, less what the profiler adds; never below zero.

    Attributes
    ----------
    signature : Signature
        The work.
    ms : float
        Median over visits, ms.
    low, high : float
        Quartiles over visits, ms.
    visits : int
        Profiles in which it occurred.
    """

    signature: Signature
    ms: float
    low: float
    high: float
    visits: int


@dataclass(frozen=True)
class ProfilingSession:
    """Operators that were measured together.

    Attributes
    ----------
    operators : dict of str to OperatorLatency
        By signature id.
    reference_ms : float
        The reference on the quiet host, under the profiler, ms.
    profiler_ms : float
        What the profiler adds to each kernel, ms.
    """

    operators: dict[str, OperatorLatency]
    reference_ms: float
    profiler_ms: float


def profile_operators(
    runtime: Profiled,
    works: Sequence[Callable[[], Workload]],
    reference: Callable[[], Workload],
    rng: np.random.Generator,
    *,
    rounds: int = ROUNDS,
    runs: int = RUNS,
    reference_ms: float | None = None,
    tick: Tick | None = None,
) -> ProfilingSession:
    """Profile workloads in interleaved rounds, the reference among them, and take the host's speed out.

    The speed at each visit is what the logarithms of the profiles' totals say, each less its workload's own effect
    (`median_polish`); times are those at the quiet level. What the profiler adds to a kernel is measured, not fitted: the
    profiled inference less the plain one, which is run in turn with it, over the number of kernels.

    Parameters
    ----------
    runtime : OnnxRuntime
        The device's runtime.
    works : sequence of callable
        Each gives a workload when called.
    reference : callable
        Gives the reference workload.
    rng : numpy.random.Generator
        Draws the order of each round.
    rounds, runs : int
        Visits to each workload, and profiled inferences a visit.
    reference_ms : float, optional
        Of an earlier session of this device, to whose speed all are brought.
    tick : callable, optional
        Told the share of the work that is done.

    Returns
    -------
    ProfilingSession
        The operators that occurred.
    """
    order = [
        i
        for _ in range(rounds)
        for place, i in enumerate(rng.permutation(len(works)))
        for i in ([len(works), i] if place % REFERENCE_EACH == 0 else [i])
    ]
    visits: list[list[tuple[Profile, int]]] = []
    for done, i in enumerate(order):
        work = (works[i] if i < len(works) else reference)()
        visits.append([(profile(runtime, m, runs=runs), m.runs) for m in work.parts])
        if tick is not None:
            tick((done + 1) / len(order))
    totals = np.array([sum(times * float(p.kernel_ms.sum()) for p, times in parts) for parts in visits])
    effects, level = median_polish(np.log(totals), np.array(order), len(works) + 1, 2 * REFERENCE_EACH + 1)
    quiet = float(np.exp(effects[-1] + np.quantile(level, UNDISTURBED_QUANTILE)))
    speed = np.exp(level - np.quantile(level, UNDISTURBED_QUANTILE)) * quiet / (reference_ms or quiet)
    added = [
        (float(p.kernel_ms.sum()) - p.whole_ms) / len(p.kernels) / s
        for parts, s in zip(visits, speed, strict=True)
        for p, _ in parts
    ]
    profiler = float(np.median(added))
    seen: dict[str, Signature] = {}
    times: dict[str, list[float]] = defaultdict(list)
    for parts, s in zip(visits, speed, strict=True):
        own: dict[str, list[float]] = defaultdict(list)
        for p, _ in parts:
            for kernel, ms in zip(p.kernels, p.kernel_ms, strict=True):
                seen[kernel.signature.id] = kernel.signature
                own[kernel.signature.id].append(float(ms) / s)
        for k, values in own.items():
            times[k].append(float(np.mean(values)))
    operators = {}
    for k, values in times.items():
        low, middle, high = np.maximum(np.quantile(values, [0.25, 0.5, 0.75]) - profiler, 0.0)
        operators[k] = OperatorLatency(seen[k], float(middle), float(low), float(high), len(values))
    return ProfilingSession(operators, quiet, profiler)
