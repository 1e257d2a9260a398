"""How a latency is measured: interleaved visits, a reference between them, an honest interval.

On a shared host one contiguous burst says little about the long run: speeds come in waves that last
longer than a burst. So the sampling unit is the *visit*: in each round every candidate of a group is
run for a short block, in random order, and a fixed reference model runs before each block. Each
block's median is divided by the reference level around it and multiplied by the reference's
baseline, which removes the waves that both see.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from hwsearch.devices.device import Session
from hwsearch.devices.host import throttled


@dataclass(frozen=True)
class Protocol:
    """Settings of a measurement; a different protocol is a different measurement.

    visits : fewest and most visits a candidate
    block_runs, block_ms : a block lasts at least that many runs and that long
    half_width : stop when the interval of the median is within ± this share
    confidence : of that interval
    warmup_ms : a session is run at least this long before its first visit
    budget_s : a group of candidates takes at most this long; what is not settled then says so
    """

    visits: tuple[int, int] = (12, 24)
    block_runs: int = 5
    block_ms: float = 4.0
    half_width: float = 0.02
    confidence: float = 0.90
    warmup_ms: float = 20.0
    group: int = 40
    budget_s: float = 120.0

    def to_dict(self) -> dict[str, Any]:
        return {"name": "interleaved visits", "version": 1, **asdict(self), "visits": list(self.visits)}

    @property
    def key(self) -> str:
        """A short text that names the protocol in the store."""
        low, high = self.visits
        return f"visits1:{low}-{high}x{self.block_runs}/{self.block_ms:g}ms h{self.half_width:g} c{self.confidence:g}"


@dataclass
class Timing:
    """What the visits to one candidate gave; milliseconds.

    corrected : (visits,) block medians, drift removed; raw : the same as timed
    minima : (visits,) fastest run of each block
    """

    corrected: NDArray[np.float64]
    raw: NDArray[np.float64]
    minima: NDArray[np.float64]
    runs: NDArray[np.float64]
    confidence: float
    baseline: float
    reference: float
    throttled: int = 0

    @property
    def value(self) -> float:
        """The latency: median of the corrected block medians."""
        return float(np.median(self.corrected))

    @property
    def interval(self) -> tuple[float, float]:
        return median_interval(self.corrected, self.confidence)

    def half_width(self) -> float:
        """Half the interval, as a share of the value."""
        low, high = self.interval
        return max(high - self.value, self.value - low) / self.value

    def summary(self, half_width: float) -> dict[str, Any]:
        """Every kept number of this measurement, rounded to nanoseconds."""
        c, r = self.corrected, self.runs
        ns = lambda v: round(float(v), 6)  # noqa: E731
        return {
            "min": ns(r.min()),
            "p50": ns(np.median(r)),
            "p90": ns(np.quantile(r, 0.9)),
            "mean": ns(r.mean()),
            "sd": ns(r.std(ddof=1)) if len(r) > 1 else 0.0,
            "mad": ns(np.median(np.abs(c - np.median(c)))),
            "quiet": ns(np.quantile(self.minima, 0.25)),
            "runs": len(r),
            "visits": len(c),
            "outliers": int((r > np.median(r) * 1.5).sum()),
            "reference_ms": ns(self.reference),
            "baseline_ms": ns(self.baseline),
            "drift_pct": round(100 * (self.reference / self.baseline - 1), 2),
            "converged": bool(self.half_width() <= half_width),
            "throttled": self.throttled,
        }


def median_interval(values: NDArray[np.float64], confidence: float) -> tuple[float, float]:
    """An interval for the median of visits, which may be alike when they are near in time.

    The wider of two on each side: order statistics (independent visits; exact binomial), and
    the t interval of means over groups of four visits in a row (batch means).
    """
    ordered = np.sort(values)
    n = len(ordered)
    centre = float(np.median(ordered))
    k = int(stats.binom.ppf((1 - confidence) / 2, n, 0.5))
    low, high = float(ordered[max(0, k - 1)]), float(ordered[min(n - 1, n - k)])
    groups = [values[i : i + 4] for i in range(0, n - n % 4, 4)]
    if len(groups) >= 3:
        means = np.array([np.median(g) for g in groups])
        width = float(stats.t.ppf((1 + confidence) / 2, len(means) - 1) * means.std(ddof=1) / math.sqrt(len(means)))
        low, high = min(low, centre - width), max(high, centre + width)
    return max(low, 0.0), high


@dataclass
class _Candidate:
    session: Session
    runs_per_block: int = 1
    medians: list[float] = field(default_factory=list)
    minima: list[float] = field(default_factory=list)
    runs: list[float] = field(default_factory=list)
    at: list[int] = field(default_factory=list)
    done: bool = False


def measure_group(
    sessions: Sequence[Session],
    reference: Session,
    protocol: Protocol,
    rng: np.random.Generator,
    *,
    baseline: float | None = None,
    tick: Callable[[float], None] | None = None,
) -> list[Timing]:
    """Measure all sessions together; one `Timing` each, in their order.

    reference : the fixed model that runs between visits
    baseline : the reference's level (ms) to which values are corrected; None takes this group's own
    tick : told the share of the work done, after each round
    """
    p = protocol
    candidates = [_Candidate(s, _warm_up(s, p)) for s in sessions]
    reference_runs = _warm_up(reference, p)
    levels: list[float] = []
    quota = throttled()
    started = time.monotonic()
    for visit in range(p.visits[1]):
        open_ = [c for c in candidates if not c.done]
        if not open_ or (visit >= 3 and time.monotonic() - started > p.budget_s):
            break
        for i in rng.permutation(len(open_)):
            c = open_[i]
            levels.append(float(np.median(reference.time(reference_runs))))
            times = c.session.time(c.runs_per_block)
            c.medians.append(float(np.median(times)))
            c.minima.append(min(times))
            c.runs.extend(times)
            c.at.append(len(levels) - 1)
        if visit + 1 >= p.visits[0]:
            level = np.array(levels)
            for c in open_:
                low, high = median_interval(_corrected(c, level, float(np.median(level))), p.confidence)
                middle = float(np.median(_corrected(c, level, float(np.median(level)))))
                c.done = max(high - middle, middle - low) <= p.half_width * middle
        if tick is not None:
            finished = sum(len(c.medians) if not c.done else p.visits[1] for c in candidates)
            tick(finished / (len(candidates) * p.visits[1]))
    levels.append(float(np.median(reference.time(reference_runs))))
    level = np.array(levels)
    now = throttled()
    cut = (now - quota) if now is not None and quota is not None else 0
    base = baseline if baseline is not None else float(np.median(level))
    return [
        Timing(
            corrected=_corrected(c, level, base),
            raw=np.array(c.medians),
            minima=np.array(c.minima),
            runs=np.array(c.runs),
            confidence=p.confidence,
            baseline=base,
            reference=float(np.median(level)),
            throttled=cut,
        )
        for c in candidates
    ]


def _corrected(c: _Candidate, levels: NDArray[np.float64], baseline: float) -> NDArray[np.float64]:
    """Block medians over the mean of the reference blocks before and after, times the baseline."""
    at = np.array(c.at)
    after = np.minimum(at + 1, len(levels) - 1)
    return np.array(c.medians) / (0.5 * (levels[at] + levels[after])) * baseline


def _warm_up(session: Session, p: Protocol) -> int:
    """Run until warm; returns how many runs make a block."""
    started = time.perf_counter()
    best = math.inf
    count = 0
    while count < 3 or (time.perf_counter() - started) * 1e3 < p.warmup_ms:
        best = min(best, session.time(1)[0])
        count += 1
    return max(p.block_runs, math.ceil(p.block_ms / best))
