"""How a latency is measured: candidates interleaved, loaded afresh in several processes, the host's speed estimated from all.

On a shared host one contiguous burst says little: speed comes in waves that outlast it. And the same model loaded twice
has two latencies, because its weights and buffers lie elsewhere in memory; in another process all of it does. So a
candidate is measured in several *processes*, *loaded* several times in each, and each load is *visited* several times: in
each round every candidate of a group is run for a short block, in random order, a reference model among them. All blocks
together tell how fast the host was at each moment; that is divided out. What is left varies from process to process, and
this variation, not that between runs, makes the interval.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from hwsearch.devices.device import Session
from hwsearch.devices.host import throttled
from hwsearch.errors import DeviceError, HwsearchError, MeasurementError

FloatArray = NDArray[np.float64]
#: loads a workload afresh
Load = Callable[[], Session]

#: share of the blocks in which the host is called quiet
QUIET = 0.05
#: fewest candidates by which a process is seen to shift them all alike
SHARED = 3
#: fewest candidates that tell how much a model differs from process to process
MANY = 8
#: degrees of freedom that a calibration's variances count for
CALIBRATED = 7.0


@dataclass(frozen=True)
class Protocol:
    """Settings of a measurement; a different protocol is a different measurement.

    processes : fewest and most processes a candidate is measured in
    loads : times it is loaded afresh in each; visits : blocks a load
    block_runs, block_ms : a block lasts at least that many runs and that long
    half_width : a candidate is done when the interval of this measurement alone is within ± this share
    confidence : of all intervals
    warmup_ms : at most this long a load is run until three blocks in a row agree to 2 %
    moved : a group on a host that was never within this share of the calibrated speed is measured again
    group : candidates measured together, at most
    calibrate : measuring processes that a calibration rests on
    budget_s : how long a group of candidates takes in one process; each load gets its share, and one visit at least. The
        round that is under way, and the load that nothing is known without, may go beyond it
    """

    processes: tuple[int, int] = (2, 4)
    loads: int = 2
    visits: int = 6
    block_runs: int = 3
    block_ms: float = 2.0
    half_width: float = 0.01
    confidence: float = 0.95
    warmup_ms: float = 20.0
    moved: float = 0.1
    group: int = 40
    budget_s: float = 120.0
    calibrate: int = 8

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": "interleaved visits to fresh loads",
            "version": 2,
            **asdict(self),
            "processes": [*self.processes],
        }

    @property
    def key(self) -> str:
        """A short text that names the protocol in the store."""
        low, high = self.processes
        return (
            f"visits2:{low}-{high}x{self.loads}x{self.visits}x{self.block_runs}/{self.block_ms:g}ms "
            f"h{self.half_width:g} c{self.confidence:g}"
        )


@dataclass(frozen=True)
class Calibration:
    """What a device's reference model takes while the host is undisturbed, and what varies from process to process.

    quiet : (processes,) the reference's latency at each measuring process's quiet level, milliseconds
    process_var : relative variance of a model's latency between processes, beyond what its loads explain
    group_var : the same of what all models of a process share, which is the error of its reference; both are unbiased
        estimates, and so may be a little below zero
    """

    quiet: tuple[float, ...]
    process_var: float = 0.0
    group_var: float = 0.0

    @property
    def baseline_ms(self) -> float:
        """The reference's latency on the undisturbed host: the mean of the fastest third of the processes.

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
        """With the quiet levels of further processes."""
        return replace(self, quiet=(*self.quiet, *quiet))

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "quiet": list(self.quiet)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Calibration:
        return cls(tuple(data["quiet"]), data["process_var"], data["group_var"])


def _fastest_third(quiet: FloatArray) -> float:
    return float(np.sort(quiet)[: max(1, round(len(quiet) / 3))].mean())


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

    def to_dict(self) -> dict[str, Any]:
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
            raise MeasurementError(f"the answer is no sample of a latency: {error!r}.") from error
        if not sound:
            raise MeasurementError("the answer is no sample of a latency: it has numbers that are not positive.")
        return sample


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

    def summary(self, half_width: float) -> dict[str, Any]:
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


# ---------------------------------------------------------------------- estimating
def two_way(
    y: FloatArray, who: NDArray[np.int64], n: int, window: int, *, rounds: int = 4
) -> tuple[FloatArray, FloatArray]:
    """(effect of each candidate (n,), level of the host at each block (m,)) of logarithms y (m,) in the order of time.

    The host's level is the running median, over `window` blocks, of what the candidates' effects leave; the effects are
    medians of what the level leaves; both are improved in turn (a median polish, Tukey 1977, along time).
    """
    effects = np.array([np.median(y[who == i]) if (who == i).any() else np.nan for i in range(n)])
    level = np.zeros(len(y))
    for _ in range(rounds):
        level = _running_median(y - effects[who], window)
        left = y - level
        effects = np.array([np.median(left[who == i]) if (who == i).any() else np.nan for i in range(n)])
    return effects, level


def _running_median(values: FloatArray, window: int) -> FloatArray:
    half = min(window // 2, len(values) - 1)
    if half < 1:
        return np.full(len(values), np.median(values))
    padded = np.concatenate([values[half:0:-1], values, values[-2 : -half - 2 : -1]])
    return np.asarray(np.median(np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1), axis=1))


def pooled_variance(own: FloatArray, freedom: FloatArray) -> tuple[float, float]:
    """(common variance, how many degrees of freedom it is worth to one candidate) of sample variances (n,).

    The empirical Bayes estimate of Smyth (2004, doi 10.2202/1544-6115.1027): the more alike the candidates' variances are
    beyond what chance makes them differ, the more each is drawn to the common one; infinite when chance explains all.
    """
    use = (freedom > 0) & (own > 0)
    if use.sum() < 3:
        s, d = own[use], freedom[use]
        return (float((s * d).sum() / d.sum()) if len(d) else 0.0), 0.0
    half = freedom[use] / 2
    e = np.log(own[use]) - special.digamma(half) + np.log(half)
    excess = float(e.var(ddof=1) - special.polygamma(1, half).mean())
    if excess <= 1e-3:
        return float(np.exp(e.mean())), math.inf
    prior = 2 * _inverse_trigamma(excess)
    return float(np.exp(e.mean() + special.digamma(prior / 2) - math.log(prior / 2))), prior


def _inverse_trigamma(y: float) -> float:
    x = 0.5 + 1 / y
    for _ in range(50):  # Newton on 1/trigamma, which is nearly linear
        value = float(special.polygamma(1, x))
        step = value * (1 - value / y) / float(special.polygamma(2, x))
        x += step
        if abs(step) < 1e-8 * x:
            break
    return x


def moderated(own: float, freedom: float, pooled: float, prior: float) -> tuple[float, float]:
    """(variance, degrees of freedom) of one candidate, drawn to the pooled variance as far as that is worth."""
    if math.isinf(prior):
        return pooled, math.inf
    if freedom < 1:
        return pooled, prior
    return (prior * pooled + freedom * own) / (prior + freedom), prior + freedom


def student(confidence: float, freedom: float) -> float:
    """The two-sided quantile of Student's t; of the normal distribution when `freedom` is infinite."""
    return float(
        special.ndtri((1 + confidence) / 2) if math.isinf(freedom) else special.stdtrit(freedom, (1 + confidence) / 2)
    )


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

    def warm_up(self, p: Protocol) -> None:
        """Load and run until three blocks in a row agree to 2 %, or the time for it is over."""
        self.session = self.load()
        best = min(self.timed(2))
        runs = max(p.block_runs, math.ceil(p.block_ms / best))
        spent, last = 0.0, [math.inf, 0.0]
        while spent < p.warmup_ms:
            times = self.timed(runs)
            spent += sum(times)
            last.append(float(np.median(times)))
            if max(last[-3:]) <= 1.02 * min(last[-3:]):
                break
        self.runs_per_block = runs


def anchors(candidates: int) -> int:
    """How many loads of the reference take part in a group."""
    return max(2, round(candidates / 10))


def measure_process(
    loads: Sequence[Load],
    reference: Load,
    protocol: Protocol,
    rng: np.random.Generator,
    *,
    tick: Callable[[float], None] | None = None,
) -> list[Sample]:
    """What this process finds of all candidates, measured together; one that fails has a `failure` and spoils nothing.

    loads : how each candidate is loaded; it is, several times, so that only one load of each is alive at once
    reference : how the model is loaded that ties groups and campaigns together; it is several of the candidates
    tick : told the share of the work done, after each round

    Raises `DeviceError` when the reference cannot be loaded, `MeasurementError` when it fails later.
    """
    p = protocol
    candidates = [_Candidate(load) for load in loads]
    fixed = [_Candidate(reference) for _ in range(anchors(len(loads)))]
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
    protocol: Protocol,
    rng: np.random.Generator,
    *,
    calibration: Calibration | None = None,
    tick: Callable[[float], None] | None = None,
) -> list[Timing]:
    """Measure all candidates in this process alone, as often as the protocol asks for processes; one `Timing` each.

    Arguments and errors: see `measure_process`; calibration : to whose baseline values are brought, None takes this
    group's own quiet level.
    """
    p = protocol
    found: list[list[Sample]] = []
    for k in range(p.processes[1]):
        share = (lambda x, k=k: tick(min(1.0, (k + x) / p.processes[0]))) if tick is not None else None
        found.append(measure_process(loads, reference, p, rng, tick=share))
        if k + 1 >= p.processes[0] and not unsettled(combine(found, p, calibration), p):
            break
    return combine(found, p, calibration)


def unsettled(timings: Sequence[Timing], protocol: Protocol) -> list[int]:
    """Which timings are not as precise yet as the protocol asks; failures are settled."""
    return [i for i, t in enumerate(timings) if t.failure is None and not t.precision <= protocol.half_width]


def _load_all(
    wanted: list[_Candidate], anchors: list[_Candidate], p: Protocol, rng: np.random.Generator
) -> list[_Candidate]:
    """Load and warm up in random order; those that can be run."""
    for i in rng.permutation(len(wanted)):
        _attempt(wanted[i], lambda c=wanted[i]: c.warm_up(p), anchors)  # type: ignore[misc]
    return [c for c in wanted if c.session is not None]


def _visit(c: _Candidate, place: int, load: int, anchors: list[_Candidate]) -> int:
    """Time one block; returns the next place in time."""
    if c.session is None:
        return place
    times = _attempt(c, lambda: c.timed(c.runs_per_block), anchors)
    if times is None:
        return place
    c.blocks.append((place, load, times))
    return place + 1


def _attempt(c: _Candidate, call: Callable[[], Any], anchors: list[_Candidate]) -> Any:
    try:
        return call()
    except (HwsearchError, OSError) as error:
        if c in anchors:
            for other in anchors:
                other.close()
            if isinstance(error, DeviceError):
                raise
            raise MeasurementError(
                f"the reference model failed: {error}", hint="Without it nothing can be compared; check the device."
            ) from error
        c.fail(error)
        return None


def _samples(everyone: list[_Candidate], n_anchors: int) -> list[Sample]:
    """Samples of all but the last `n_anchors`, which are loads of the reference."""
    n = len(everyone) - n_anchors
    blocks = sorted(
        (place, i, load, float(np.median(times)))
        for i, c in enumerate(everyone)
        if c.failure is None
        for place, load, times in c.blocks
    )
    if not blocks:
        return [Sample(failure=c.failure or "no block was timed.") for c in everyone[:n]]
    who = np.array([b[1] for b in blocks])
    when = np.array([b[2] for b in blocks])
    y = np.log([b[3] for b in blocks])
    label = np.minimum(who, n)  # the anchors are one model: they share one effect
    _, level = two_way(y, label, n + 1, window=max(15, len(set(who.tolist()))))
    left = y - level
    loads = [_load_effects(left[who == i], when[who == i]) for i in range(len(everyone))]
    anchor = np.concatenate(loads[n:])
    effect = float(anchor.mean())
    error = float(anchor.std(ddof=1) / math.sqrt(len(anchor)))
    reference = math.exp(effect + float(np.median(level)))
    quiet = math.exp(effect + float(np.quantile(level, QUIET)))
    out = []
    for c, found in zip(everyone[:n], loads[:n], strict=True):
        if c.failure is not None:
            out.append(Sample(failure=c.failure))
            continue
        times = [b[2] for b in c.blocks]
        raw, minima = np.array([np.median(x) for x in times]), np.array([min(x) for x in times])
        out.append(Sample(np.exp(found - effect), reference, error, quiet, raw, minima, np.concatenate(times)))
    return out


def combine(
    samples: Sequence[Sequence[Sample | None]], protocol: Protocol, calibration: Calibration | None = None
) -> list[Timing]:
    """Timings from what several processes found of the same candidates; a candidate that failed in one has failed.

    samples : (processes, candidates); a process may lack candidates that were settled before: then it has None there
    calibration : to whose baseline values are brought; None takes the quietest process's own
    """
    if not samples:
        return []
    n = len(samples[0])
    rows = [[(k, s) for k, row in enumerate(samples) if (s := row[i]) is not None] for i in range(n)]
    failures = [next((s.failure for _, s in row if s.failure is not None), None) for row in rows]
    good = [i for i in range(n) if failures[i] is None]
    if not good:
        return [Timing(failure=f) for f in failures]
    y = np.full((len(samples), n), np.nan)
    within = np.full((len(samples), n), np.nan)
    for i in good:
        for k, s in rows[i]:
            logs = np.log(s.ratio)
            y[k, i] = logs.mean()
            within[k, i] = logs.var(ddof=1) / len(logs) if len(logs) > 1 else np.nan
    first: dict[int, Sample] = {}
    for i in good:
        for k, s in rows[i]:
            first.setdefault(k, s)
    cal = calibration or Calibration((min(s.quiet for s in first.values()),))
    shift = _shifts(y[:, good])
    level = y - shift[:, None]
    count = (~np.isnan(y)).sum(axis=0)
    centre = np.array([np.nanmean(level[:, i]) if count[i] else np.nan for i in range(n)])
    there = (~np.isnan(y)).sum(axis=1)
    shifted = there >= SHARED
    taken = np.where(shifted, there / np.maximum(there - 1, 1), 1.0)  # a shift takes its part of each deviation away
    own = np.array(
        [
            np.nansum(taken * (level[:, i] - centre[i]) ** 2) / (count[i] - 1) if count[i] > 1 else np.nan
            for i in range(n)
        ]
    )
    pooled, prior = pooled_variance(own[good], (count[good] - 1).astype(float))
    known = float((count[good] - 1).sum())  # what is drawn to the pool is not better known than the pool is
    loads = float(np.nanmean(within)) if not np.isnan(within).all() else 0.0
    if prior == 0.0:  # too few candidates to learn from: what the calibration says of processes, and the loads
        pooled, prior, known = max(cal.process_var + loads, 0.0), CALIBRATED, math.inf
    # the reference is a model as the candidates are: where they are many, it differs from process to process as they do
    errors = [s.reference_error**2 for s in first.values()]
    reference = pooled if len(good) >= MANY else max(cal.group_var + float(np.mean(errors)), 0.0)
    seen = int(shifted.sum())
    if seen > 1:
        observed = float(shift[shifted].var(ddof=1))
        reference = (CALIBRATED * reference + (seen - 1) * observed) / (CALIBRATED + seen - 1)
    out = []
    for i in range(n):
        if failures[i] is not None:
            out.append(Timing(failure=failures[i]))
            continue
        k = int(count[i])
        spread, freedom = moderated(float(own[i]), k - 1, pooled, prior)
        t = student(protocol.confidence, max(min(freedom, known), 1.0))
        wide = t * math.sqrt(2 * (spread + reference) / k)
        value = math.exp(float(centre[i])) * cal.baseline_ms
        parts = [s for _, s in rows[i]]
        quiet = float(np.median([s.quiet for s in parts]))
        out.append(
            Timing(
                value=value,
                low=value * math.exp(-wide),
                high=value * math.exp(wide),
                precision=math.expm1(t * math.sqrt(spread / k)),
                processes=k,
                loads=np.concatenate([s.ratio for s in parts]) * cal.baseline_ms,
                raw=np.concatenate([s.raw for s in parts]),
                minima=np.concatenate([s.minima for s in parts]),
                runs=np.concatenate([s.runs for s in parts]),
                baseline=cal.baseline_ms,
                reference=float(np.median([s.reference for s in parts])),
                quiet=quiet,
                moved=abs(math.log(quiet / cal.baseline_ms)) > math.log1p(protocol.moved),
                throttled=sum(s.throttled for s in parts),
            )
        )
    return out


def _shifts(y: FloatArray) -> FloatArray:
    """(processes,) by how much each process makes all candidates differ, which is its reference's error; mean 0.

    y : (processes, candidates) logarithms, NaN where a process lacks a candidate. A process of one or two candidates tells
    nothing of what is common to them, and is taken as it is: its shift would be their own deviation.
    """
    there = (~np.isnan(y)).sum(axis=1) >= SHARED
    shift = np.zeros(len(y))
    if there.sum() < 2:
        return shift
    for _ in range(5):
        left = y - np.nanmean(y - shift[:, None], axis=0)
        shift[there] = np.nanmedian(left[there], axis=1)
        shift[there] -= shift[there].mean()
    return shift


def _load_effects(left: FloatArray, when: NDArray[np.int64]) -> FloatArray:
    """Median of what is left of each load's blocks, in the order of the loads."""
    return np.array([np.median(left[when == k]) for k in np.unique(when)])


# ---------------------------------------------------------------------- calibrating
def calibrate(samples: Sequence[Sequence[Sample]]) -> Calibration:
    """The calibration that follows from what several fresh processes found of the same models.

    samples : (processes, models), without failures

    Of the two-way table process × model, what a process does to all its models alike is the reference's error; what it
    does to single models is their own; both less what the loads explain.
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
