"""Latencies of a device as the store holds them, kept as columns, and the estimates from all of them."""

from __future__ import annotations

import math
from array import array
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from hwsearch._json import finite_or_none
from hwsearch._typing import FloatArray
from hwsearch.campaigns.purpose import VALIDATE, Purpose
from hwsearch.devices.timing.estimate import LatencyInterval, each_interval
from hwsearch.devices.timing.level import HostLevel, Visit, host_level
from hwsearch.devices.timing.protocol import TimingProtocol
from hwsearch.devices.timing.ratios import Look, Looks, ratio_estimates
from hwsearch.store import Measurement

#: load for each core above which a host does other work as well: a campaign by itself keeps at most all cores busy
BUSY = 1.25


def look_of(told: Sequence[Any]) -> Look:
    """Read a look as the details of a latency keep it.

    Parameters
    ----------
    told : sequence
        Of the fields of `Look`; None where one is not known.

    Returns
    -------
    Look
        With NaN in place of None.
    """
    at_s, *numbers, levels = told
    ratio, variance, reference, error, slope, its_error = (math.nan if x is None else float(x) for x in numbers)
    own = tuple(map(float, levels))
    return Look(float(at_s), ratio, variance, reference, error, slope, its_error, own)


def busy_load(loads: Collection[float]) -> float | None:
    """Tell whether a host was busy with other programs.

    Parameters
    ----------
    loads : collection of float
        For each core, one a group of measurements.

    Returns
    -------
    float or None
        The median, where it is more than a campaign makes by itself; None where it is not, or is not told.
    """
    found = median(loads) if loads else 0.0
    return found if found > BUSY else None


@dataclass(frozen=True)
class LatencyColumns:
    """Estimated latencies of one device and purpose.

    Attributes
    ----------
    ids : list of str
        Architectures, oldest first.
    intervals : numpy.ndarray
        Shape (ids, 6): rows of `LatencyInterval`, NaN where a row does not tell of the host.
    precision : numpy.ndarray
        Shape (ids,): see `hwsearch.devices.timing.ratios.RatioEstimates`.
    level : HostLevel or None
        Of the host.
    half_width : float
        What the protocol asks for.
    """

    ids: list[str]
    intervals: FloatArray
    precision: FloatArray
    level: HostLevel | None
    half_width: float

    def column(self, name: str) -> FloatArray:
        """Return one number of all intervals.

        Parameters
        ----------
        name : str
            A field of `LatencyInterval`.

        Returns
        -------
        numpy.ndarray
            Shape (ids,), ms.
        """
        return self.intervals[:, LatencyInterval._fields.index(name)]

    def measurement(self, place: int, rows: Sequence[Measurement]) -> Measurement:
        """Join the rows of one subnet.

        Parameters
        ----------
        place : int
            Of its id in `ids`.
        rows : sequence of Measurement
            All its latencies of this purpose, oldest first.

        Returns
        -------
        Measurement
            The first of them with the value and the intervals of all: ``value``, ``low`` and ``high`` are at the host's typical
            level, the interval for another campaign on another day; `details` hold the ends of the ratio's own interval at the same level
            (``ratio_low``, ``ratio_high``), the latency on the undisturbed host (``undisturbed_ms``; None where it cannot be
            told), the level (``typical_ms``), and how many ``rounds`` there were. Where no row tells of the host, the last row.
        """
        if self.level is None or math.isnan(self.intervals[place, 0]):
            return rows[-1]
        found = LatencyInterval(*self.intervals[place].tolist())
        return _estimated(rows, found, float(self.precision[place]), self.level, self.half_width)


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


class _Kind(NamedTuple):
    """Where rows of one purpose go, and the key of their protocol."""

    protocol: str
    column: dict[str, int]
    visited: set[Visit]
    loads: dict[tuple[str, str], float]


class LatencyRows:
    """Latencies of one device and supernet, taken row by row and kept as columns.

    What the search and what the final measurements found are estimated apart, so that the front is not chosen by the same
    noise twice; the host's level, and how much ratios vary between periods, rest on both.

    Parameters
    ----------
    protocols : mapping of Purpose to TimingProtocol
        By `SEARCH` and `VALIDATE`; rows of other protocols are left out.
    """

    #: what a row is added by, in this order
    FIELDS = ("arch_id", "purpose", "protocol", "details", "started_at", "ended_at")

    def __init__(self, protocols: Mapping[Purpose, TimingProtocol]) -> None:
        self.protocols = dict(protocols)
        self._kinds: dict[str, _Kind | None] = {}
        self._columns = 0
        self._column: dict[Purpose, dict[str, int]] = {p: {} for p in protocols}
        self._looks: list[array[float]] = [array("d") for _ in range(7)]
        self._owner = array("q")
        self._visited: dict[Purpose, set[Visit]] = {p: set() for p in protocols}
        self._loads: dict[Purpose, dict[tuple[str, str], float]] = {p: {} for p in protocols}

    def add(
        self, arch_id: str, purpose: str, protocol: str, details: Mapping[str, Any], started_at: str, ended_at: str
    ) -> None:
        """Take one row; it is left out where it is of another protocol.

        Parameters
        ----------
        arch_id, purpose, protocol, details, started_at, ended_at
            As in `Measurement`.
        """
        if purpose not in self._kinds:
            self._kinds[purpose] = self._kind(purpose)
        kind = self._kinds[purpose]
        if kind is None or protocol != kind.protocol:
            return
        column = kind.column.setdefault(arch_id, self._columns)
        self._columns += column == self._columns
        looks = details.get("looks", ())
        for found in looks:
            look = look_of(found)
            self._owner.append(column)
            for values, number in zip(self._looks, look[:7], strict=True):
                values.append(number)
            kind.visited.add(Visit(look.at_s, look.reference_ms, look.levels_ms))
        load, cores = details.get("load_before"), details.get("cores")
        if looks and load is not None and cores:
            kind.loads[started_at, ended_at] = float(load) / float(cores)

    def _kind(self, purpose: str) -> _Kind | None:
        parsed = Purpose.parse(purpose)
        kind = VALIDATE if parsed.is_final else parsed
        if kind not in self.protocols:
            return None
        return _Kind(self.protocols[kind].key, self._column[kind], self._visited[kind], self._loads[kind])

    def level(self, confidence: float, kinds: Iterable[Purpose] | None = None) -> HostLevel | None:
        """Estimate the level of the device's host; see `campaign_level`.

        Parameters
        ----------
        confidence : float
            Of the interval.
        kinds : iterable of Purpose, optional
            What it rests on; by default all.

        Returns
        -------
        HostLevel or None
            None where no row tells of the host.
        """
        wanted = list(self.protocols if kinds is None else kinds)
        visits = sorted(set().union(*(self._visited[k] for k in wanted)))
        if not visits:
            return None
        level = host_level(visits, confidence)
        return level if self.other_work(wanted) is None else level.beside_other_work()

    def other_work(self, kinds: Iterable[Purpose] | None = None) -> float | None:
        """Tell whether the host was busy with other programs; see `other_work`.

        Parameters
        ----------
        kinds : iterable of Purpose, optional
            Of what was measured; by default of all.

        Returns
        -------
        float or None
            The median load for each core, where it is more than a campaign makes by itself.
        """
        loads: dict[tuple[str, str], float] = {}
        for kind in self.protocols if kinds is None else kinds:
            loads |= self._loads[kind]
        return busy_load(loads.values())

    def estimates(self, kinds: Iterable[Purpose] | None = None) -> dict[Purpose, LatencyColumns]:
        """Estimate the typical latencies over the time of the campaign.

        Parameters
        ----------
        kinds : iterable of Purpose, optional
            What they rest on; by default all.

        Returns
        -------
        dict of Purpose to LatencyColumns
            Of each kind, oldest first.
        """
        wanted = list(self.protocols if kinds is None else kinds)
        confidence = next(iter(self.protocols.values())).confidence
        level = self.level(confidence, wanted)
        used = {kind: self._column[kind] if kind in wanted else {} for kind in self.protocols}
        owner = np.array(self._owner, dtype=np.int64)
        has_looks = np.bincount(owner, minlength=self._columns) > 0
        intervals = np.full((self._columns, len(LatencyInterval._fields)), np.nan)
        precision = np.full(self._columns, np.nan)
        if level is not None:
            own = np.array(sorted(k for places in used.values() for k in places.values()), dtype=np.int64)
            there = own[has_looks[own]]
            number = np.full(self._columns, -1, dtype=np.int64)
            number[there] = np.arange(len(there))
            use = np.flatnonzero(number[owner] >= 0)
            use = use[np.argsort(number[owner[use]], kind="stable")]
            looks = Looks(number[owner[use]], *(np.array(c)[use] for c in self._looks))
            found = ratio_estimates(looks, confidence, level.typical_ms, len(there))
            numbers = (x for interval in each_interval(found, level, confidence) for x in interval)
            intervals[there] = np.fromiter(numbers, dtype=np.float64).reshape(len(there), -1)
            precision[there] = found.precision
        out = {}
        for kind in self.protocols:
            ids, places = list(used[kind]), list(used[kind].values())
            half_width = self.protocols[kind].half_width
            out[kind] = LatencyColumns(ids, intervals[places], precision[places], level, half_width)
        return out
