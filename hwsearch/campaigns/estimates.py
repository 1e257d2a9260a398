"""Latencies of a device from all that its measuring processes found: what the store holds is what each of them saw."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from statistics import median
from typing import Any

from hwsearch._json import finite_or_none
from hwsearch.campaigns.purpose import VALIDATE, Purpose
from hwsearch.devices.timing.estimate import LatencyInterval, latency_intervals
from hwsearch.devices.timing.level import HostLevel, Visit, host_level
from hwsearch.devices.timing.protocol import TimingProtocol
from hwsearch.devices.timing.ratios import Look, ratio_estimates, visits_of
from hwsearch.store import Measurement

#: load for each core above which a host does other work as well: a campaign by itself keeps at most all cores busy
BUSY = 1.25
#: subnets by id
Latencies = dict[str, Measurement]


def measured_looks(row: Measurement) -> list[Look]:
    """Return what each measuring process found, as the row of a latency keeps it.

    Parameters
    ----------
    row : Measurement
        A latency.

    Returns
    -------
    list of Look
        Empty where the row was not measured by the protocol.
    """
    return [_look(*found) for found in row.details.get("looks", ())]


def _look(at_s: float, *told: Any) -> Look:
    *numbers, levels = told
    ratio, variance, reference, error, slope, its_error = (math.nan if x is None else float(x) for x in numbers)
    own = tuple(map(float, levels))
    return Look(float(at_s), ratio, variance, reference, error, slope, its_error, own)


def host_visits(rows: Iterable[Measurement]) -> list[Visit]:
    """Collect what the measuring processes behind some latencies found of the reference.

    Parameters
    ----------
    rows : iterable of Measurement
        Latencies of one device; those of one group share their processes, which count once.

    Returns
    -------
    list of Visit
        One a process, in the order of time.
    """
    return visits_of(look for row in rows for look in measured_looks(row))


def other_work(rows: Iterable[Measurement]) -> float | None:
    """Tell whether a host was busy with other programs while latencies were measured on it.

    Parameters
    ----------
    rows : iterable of Measurement
        Latencies of one device.

    Returns
    -------
    float or None
        The median load for each core, where it is more than a campaign makes by itself; None where it is not, or is not told.
    """
    loads = {}
    for m in rows:
        load, cores = m.details.get("load_before"), m.details.get("cores")
        if load is not None and cores:
            loads[m.started_at, m.ended_at] = float(load) / float(cores)
    found = median(loads.values()) if loads else 0.0
    return found if found > BUSY else None


def campaign_level(rows: Sequence[Measurement], confidence: float) -> HostLevel | None:
    """Estimate the level of a device's host from all latencies that were measured on it.

    Parameters
    ----------
    rows : sequence of Measurement
        Latencies of one device.
    confidence : float
        Of the interval, which reaches to the undisturbed latency where the host was busy with `other_work`.

    Returns
    -------
    HostLevel or None
        None where no row tells of the host.
    """
    visits = host_visits(rows)
    if not visits:
        return None
    level = host_level(visits, confidence)
    return level if other_work(rows) is None else level.beside_other_work()


def latency_estimates(
    rows: Sequence[Measurement], protocols: Mapping[Purpose, TimingProtocol]
) -> dict[Purpose, Latencies]:
    """Estimate the typical latencies on one device over the time of the campaign.

    What the search and what the final measurements found are estimated apart, so that the front is not chosen by the same
    noise twice; the host's level, and how much ratios vary between periods, rest on both.

    Parameters
    ----------
    rows : sequence of Measurement
        All latencies of one device and supernet, oldest first; failed ones are left out.
    protocols : mapping of Purpose to TimingProtocol
        By `SEARCH` and `VALIDATE`; rows of other protocols are left out.

    Returns
    -------
    dict of Purpose to dict
        By architecture id, oldest first. ``value``, ``low`` and ``high`` are at the host's typical level, the interval for
        another campaign on another day; `details` hold the ends of the ratio's own interval at the same level
        (``ratio_low``, ``ratio_high``), the latency on the undisturbed host (``undisturbed_ms``; None where it cannot be told),
        the level (``typical_ms``), and how many ``rounds`` there were.
    """
    columns: dict[tuple[Purpose, str], list[Measurement]] = {}
    for m in rows:
        purpose = Purpose.parse(m.purpose)
        kind = VALIDATE if purpose.is_final else purpose
        if m.value is not None and kind in protocols and m.protocol == protocols[kind].key:
            columns.setdefault((kind, m.arch_id), []).append(m)
    looks = {k: [look for m in found for look in measured_looks(m)] for k, found in columns.items()}
    out: dict[Purpose, Latencies] = {p: {} for p in protocols}
    there = [k for k in columns if looks[k]]
    confidence = next(iter(protocols.values())).confidence
    level = campaign_level([m for k in there for m in columns[k]], confidence)
    if level is not None:
        found = ratio_estimates([looks[k] for k in there], confidence, level.typical_ms)
        intervals = latency_intervals(found, level, confidence)
        values = {k: (own, float(p)) for k, own, p in zip(there, intervals, found.precision, strict=True)}
    for key, same in columns.items():
        kind, arch_id = key
        out[kind][arch_id] = (
            _estimated(same, *values[key], level, protocols[kind].half_width) if level and looks[key] else same[-1]
        )
    return out


def _estimated(
    rows: Sequence[Measurement], found: LatencyInterval, precision: float, level: HostLevel, half_width: float
) -> Measurement:
    """Return the first of a subnet's rows with the value and the intervals of all."""
    first, last = rows[0], rows[-1]
    details: dict[str, Any] = {
        **first.details,
        "rounds": len(rows),
        "looks": [look for m in rows for look in m.details["looks"]],
        "processes": sum(int(m.details["processes"]) for m in rows),
        "loads": sum(int(m.details["loads"]) for m in rows),
        "throttled": sum(int(m.details.get("throttled") or 0) for m in rows),
        "precision_pct": round(100 * precision, 3),
        "converged": precision <= half_width,
        "typical_ms": level.typical_ms,
        "ratio_low": found.ratio_low,
        "ratio_high": found.ratio_high,
        "undisturbed_ms": finite_or_none(found.undisturbed),
    }
    return replace(
        first,
        value=found.value,
        low=found.low,
        high=found.high,
        spread=(found.high - found.low) / 2,
        repeats=sum(m.repeats for m in rows),
        ended_at=max(m.ended_at for m in rows),
        run=last.run,
        details=details,
    )
