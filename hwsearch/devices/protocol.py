"""How a latency is measured: candidates interleaved, loaded afresh several times, the host's speed estimated from all.

On a shared host one contiguous burst says little: speed comes in waves that outlast it. And the same model loaded twice
has two latencies, because its weights and buffers lie elsewhere in memory. So a candidate is *loaded* several times, and
each load is *visited* several times: in each round every candidate of a group is run for a short block, in random order,
a reference model among them. All blocks together tell how fast the host was at each moment; that is divided out. What is
left varies from load to load, and this variation, not that between runs, makes the interval.
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


@dataclass(frozen=True)
class Protocol:
    """Settings of a measurement; a different protocol is a different measurement.

    loads : fewest and most times a candidate is loaded afresh
    visits : blocks a load
    block_runs, block_ms : a block lasts at least that many runs and that long
    half_width : a candidate is done when the interval of this measurement alone is within ± this share
    confidence : of all intervals
    warmup_ms : at most this long a load is run until three blocks in a row agree to 2 %
    moved : a group on a host that was never within this share of the calibrated speed is measured again
    group : candidates measured together, at most
    calibrate : measuring processes that a calibration rests on
    budget_s : a group of candidates takes at most this long; what is not settled then says so
    """

    loads: tuple[int, int] = (4, 8)
    visits: int = 6
    block_runs: int = 3
    block_ms: float = 2.0
    half_width: float = 0.01
    confidence: float = 0.95
    warmup_ms: float = 50.0
    moved: float = 0.1
    group: int = 40
    budget_s: float = 120.0
    calibrate: int = 8

    def to_dict(self) -> dict[str, Any]:
        return {"name": "interleaved visits to fresh loads", "version": 2, **asdict(self), "loads": list(self.loads)}

    @property
    def key(self) -> str:
        """A short text that names the protocol in the store."""
        low, high = self.loads
        return (
            f"visits2:{low}-{high}x{self.visits}x{self.block_runs}/{self.block_ms:g}ms "
            f"h{self.half_width:g} c{self.confidence:g}"
        )


@dataclass(frozen=True)
class Calibration:
    """What a device's reference model takes while the host is undisturbed, and what varies from process to process.

    quiet : (processes,) the reference's latency at each measuring process's quiet level, milliseconds
    process_sd : relative standard deviation of a model's latency between processes, beyond that between loads
    group_sd : the same of what all models of a process share, which is the error of its reference beyond its loads
    """

    quiet: tuple[float, ...]
    process_sd: float = 0.0
    group_sd: float = 0.0

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
        return cls(tuple(data["quiet"]), data["process_sd"], data["group_sd"])


def _fastest_third(quiet: FloatArray) -> float:
    return float(np.sort(quiet)[: max(1, round(len(quiet) / 3))].mean())


@dataclass(frozen=True)
class Timing:
    """What the visits to one candidate gave; milliseconds.

    value : the latency on the undisturbed host; low, high : where a repeated campaign finds it, with the protocol's
    confidence, on the same calibration; precision : half the interval of this measurement alone, as a share
    loads : (loads,) latency of each load, the host's speed divided out; raw : (visits,) block medians as timed
    failure : why there is no value
    """

    value: float = math.nan
    low: float = math.nan
    high: float = math.nan
    precision: float = math.nan
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
        self.done = False

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


def measure_group(
    loads: Sequence[Load],
    reference: Load,
    protocol: Protocol,
    rng: np.random.Generator,
    *,
    calibration: Calibration | None = None,
    tick: Callable[[float], None] | None = None,
) -> list[Timing]:
    """Measure all candidates together; one `Timing` each, in their order. One that fails has a `failure` and spoils nothing.

    loads : how each candidate is loaded; it is, several times, so that only one load of each is alive at once
    reference : how the model is loaded that ties groups and campaigns together; it is several of the candidates
    calibration : to whose baseline values are brought; None takes this group's own quiet level
    tick : told the share of the work done, after each round

    Raises `DeviceError` when the reference cannot be loaded, `MeasurementError` when it fails later.
    """
    p = protocol
    candidates = [_Candidate(load) for load in loads]
    fixed = [_Candidate(reference) for _ in range(anchors(len(loads)))]
    everyone = [*candidates, *fixed]
    quota, started, place = throttled(), time.monotonic(), 0
    result: list[Timing] = []
    for load in range(p.loads[1]):
        open_ = [c for c in candidates if c.failure is None and not c.done]
        if candidates and not open_:
            break
        alive = _load_all([*open_, *fixed], fixed, p, rng)
        for visit in range(p.visits):
            for i in rng.permutation(len(alive)):
                place = _visit(alive[i], place, load, fixed)
            alive = [c for c in alive if c.session is not None]
            if tick is not None:
                tick((load * p.visits + visit + 1) / (p.loads[1] * p.visits))
        for c in alive:
            c.close()
        late = time.monotonic() - started > p.budget_s
        if load + 1 >= (2 if late else p.loads[0]):
            result = _estimate(everyone, len(fixed), p, calibration)
            for c, timing in zip(candidates, result, strict=True):
                c.done = timing.failure is None and timing.precision <= p.half_width
            if late:
                break
    result = _estimate(everyone, len(fixed), p, calibration)
    now = throttled()
    cut = now - quota if now is not None and quota is not None else 0
    return [replace(t, throttled=cut) for t in result]


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


def _estimate(everyone: list[_Candidate], n_anchors: int, p: Protocol, calibration: Calibration | None) -> list[Timing]:
    """Timings of all but the last `n_anchors`, which are loads of the reference."""
    n = len(everyone) - n_anchors
    blocks = sorted(
        (place, i, load, float(np.median(times)))
        for i, c in enumerate(everyone)
        if c.failure is None
        for place, load, times in c.blocks
    )
    if not blocks:
        return [Timing(failure=c.failure or "no block was timed.") for c in everyone[:n]]
    who = np.array([b[1] for b in blocks])
    when = np.array([b[2] for b in blocks])
    y = np.log([b[3] for b in blocks])
    # the anchors are one model: they share one effect
    label = np.minimum(who, n)
    effects, level = two_way(y, label, n + 1, window=max(15, len(set(who.tolist()))))
    left = y - level
    loads = [_load_effects(left[who == i], when[who == i]) for i in range(len(everyone))]
    own = np.array([x.var(ddof=1) if len(x) > 1 else np.nan for x in loads])
    freedom = np.array([max(len(x) - 1, 0) for x in loads])
    pooled, prior = pooled_variance(own, freedom)
    anchor = np.concatenate(loads[n:])
    mean_var = float(np.average(own[freedom > 0], weights=freedom[freedom > 0])) if (freedom > 0).any() else 0.0
    anchor_effect, anchor_var = float(anchor.mean()), mean_var / len(anchor)
    quiet = float(np.exp(anchor_effect + np.quantile(level, QUIET)))
    cal = calibration or Calibration((quiet,))
    baseline = cal.baseline_ms
    moved = abs(math.log(quiet / baseline)) > math.log1p(p.moved)
    reference = float(np.exp(anchor_effect + np.median(level)))
    out = []
    for i, c in enumerate(everyone[:n]):
        if c.failure is not None or not len(loads[i]):
            out.append(Timing(failure=c.failure or "no block was timed."))
            continue
        k = len(loads[i])
        spread, known = moderated(own[i], k - 1, pooled, prior)
        t = student(p.confidence, max(known, 1.0))
        again = 2 * (spread / k + anchor_var + cal.group_sd**2 + cal.process_sd**2)
        value = float(np.exp(loads[i].mean() - anchor_effect) * baseline)
        wide = t * math.sqrt(again)
        times = [b[2] for b in c.blocks]
        out.append(
            Timing(
                value=value,
                low=value * math.exp(-wide),
                high=value * math.exp(wide),
                precision=math.expm1(t * math.sqrt(spread / k)),
                loads=np.exp(loads[i] - anchor_effect) * baseline,
                raw=np.array([np.median(x) for x in times]),
                minima=np.array([min(x) for x in times]),
                runs=np.concatenate(times),
                baseline=baseline,
                reference=reference,
                quiet=quiet,
                moved=moved,
            )
        )
    return out


def _load_effects(left: FloatArray, when: NDArray[np.int64]) -> FloatArray:
    """Median of what is left of each load's blocks, in the order of the loads."""
    return np.array([np.median(left[when == k]) for k in np.unique(when)])


# ---------------------------------------------------------------------- calibrating
def calibrate(quiet: Sequence[float], loads: Sequence[Sequence[Sequence[float]]]) -> Calibration:
    """The calibration that follows from the same models measured in several fresh processes.

    quiet : (processes,) the reference's latency at each process's quiet level, milliseconds
    loads : (processes, models, loads) latencies, each on the quiet level of its process

    Of the two-way table process × model, what a process does to all its models alike is the reference's error; what it
    does to single models is their own; both less what the loads explain.
    """
    level = np.array(quiet)
    n, models = len(loads), min((len(m) for m in loads), default=0)
    if n < 3 or models < 2:
        return Calibration(tuple(level.tolist()))
    logs = [[np.log(np.array(times) / q) for times in row] for row, q in zip(loads, level, strict=True)]
    ratio = np.array([[x.mean() for x in row] for row in logs])
    left = ratio - ratio.mean(axis=0)
    shared = left.mean(axis=1)
    own = left - shared[:, None]
    explained = np.mean([x.var(ddof=1) / len(x) if len(x) > 1 else 0.0 for row in logs for x in row])
    specific = float((own**2).sum() / ((n - 1) * (models - 1)))
    common = float((shared**2).sum() / (n - 1)) - specific / models - float(explained) / anchors(models)
    return Calibration(
        tuple(level.tolist()), math.sqrt(max(specific - float(explained), 0.0)), math.sqrt(max(common, 0.0))
    )
