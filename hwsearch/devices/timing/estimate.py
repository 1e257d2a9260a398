"""The estimate of latencies from what several processes found of the same candidates."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from hwsearch._typing import FloatArray
from hwsearch.devices.timing.calibration import Calibration
from hwsearch.devices.timing.protocol import TimingProtocol
from hwsearch.devices.timing.sample import Sample
from hwsearch.devices.timing.statistics import moderated, pooled_variance, student
from hwsearch.devices.timing.timing import Timing

#: fewest candidates by which a process is seen to shift them all alike
SHARED = 3


#: fewest candidates that tell how much a model differs from process to process
MANY = 8


#: degrees of freedom that a calibration's variances count for
CALIBRATED = 7.0


def not_converged(timings: Sequence[Timing], protocol: TimingProtocol) -> list[int]:
    """List the timings that are not yet as precise as the protocol asks.

    Parameters
    ----------
    timings : sequence of Timing
        As `combine` gives them.
    protocol : TimingProtocol
        Its `half_width` is asked for.

    Returns
    -------
    list of int
        Their places. Failures are not among them; a precision that is not known is.
    """
    return [i for i, t in enumerate(timings) if t.failure is None and not t.precision <= protocol.half_width]


def combine(
    samples: Sequence[Sequence[Sample | None]], protocol: TimingProtocol, calibration: Calibration | None = None
) -> list[Timing]:
    """Combine what several processes found of the same candidates; a candidate that failed in one has failed.

    Parameters
    ----------
    samples : sequence of sequence of Sample or None
        Shape (processes, candidates). A process may lack candidates that had converged before: then it has None there.
    protocol : TimingProtocol
        Confidence of the intervals, and the drift at which a timing counts as moved.
    calibration : Calibration, optional
        To whose baseline values are brought; by default the quietest process's own.

    Returns
    -------
    list of Timing
        One a candidate.

    References
    ----------
    Smyth (2004), "Linear models and empirical Bayes methods", doi 10.2202/1544-6115.1027, for the moderated variances.
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
                moved=abs(math.log(quiet / cal.baseline_ms)) > math.log1p(protocol.max_drift),
                throttled=sum(s.throttled for s in parts),
            )
        )
    return out


def _shifts(y: FloatArray) -> FloatArray:
    """Return (processes,) by how much each process makes all candidates differ, which is its reference's error; mean 0.

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
