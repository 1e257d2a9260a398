"""Latencies of a device from all that its measuring processes found: what the store holds is what each of them saw."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from hwsearch.campaigns.latency_rows import LatencyRows, busy_load, look_of
from hwsearch.campaigns.purpose import VALIDATE, Purpose
from hwsearch.devices.timing.level import Visit
from hwsearch.devices.timing.protocol import TimingProtocol
from hwsearch.devices.timing.ratios import Look, visits_of
from hwsearch.store import Measurement

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
    return [look_of(found) for found in row.details.get("looks", ())]


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
    return busy_load(loads.values())


def latency_estimates(
    rows: Sequence[Measurement], protocols: Mapping[Purpose, TimingProtocol]
) -> dict[Purpose, Latencies]:
    """Estimate the typical latencies on one device over the time of the campaign; see `LatencyRows`.

    Parameters
    ----------
    rows : sequence of Measurement
        All latencies of one device and supernet, oldest first; failed ones are left out.
    protocols : mapping of Purpose to TimingProtocol
        By `SEARCH` and `VALIDATE`; rows of other protocols are left out.

    Returns
    -------
    dict of Purpose to dict
        By architecture id, oldest first, as `LatencyColumns.measurement` makes them.
    """
    kept = [m for m in rows if m.value is not None]
    table = LatencyRows(protocols)
    own: dict[tuple[Purpose, str], list[Measurement]] = {}
    for m in kept:
        table.add(*(getattr(m, name) for name in LatencyRows.FIELDS))
        purpose = Purpose.parse(m.purpose)
        kind = VALIDATE if purpose.is_final else purpose
        if kind in protocols and m.protocol == protocols[kind].key:
            own.setdefault((kind, m.arch_id), []).append(m)
    return {
        kind: {arch_id: found.measurement(i, own[kind, arch_id]) for i, arch_id in enumerate(found.ids)}
        for kind, found in table.estimates().items()
    }
