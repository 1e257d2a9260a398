"""Read what a campaign's store holds at one time, each part when it is first asked for."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from operator import itemgetter
from typing import Generic, TypeVar

import numpy as np

from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.latency_rows import LatencyColumns, LatencyRows
from hwsearch.campaigns.lookup import by_architecture, score_protocol, timing_protocols
from hwsearch.campaigns.purpose import VALIDATE, Purpose
from hwsearch.campaigns.score_table import ArchitectureTable, ScoreTable
from hwsearch.campaigns.split import Split
from hwsearch.campaigns.target import Target
from hwsearch.objectives.names import SCORE_METRICS
from hwsearch.store import Measurement, measurement_key
from hwsearch.store.measurement_table import Filters

Scores = Mapping[str, Measurement]
Key = TypeVar("Key")
Value = TypeVar("Value")
#: numbers of a measurement that are kept in memory
NUMBERS = ("value", "low", "high", "spread")


class OnDemand(Mapping[Key, Value], Generic[Key, Value]):
    """A mapping whose parts are read when one of their keys is asked for.

    Parameters
    ----------
    parts : mapping of str to callable
        Each reads the keys and values of one part.
    part_of : callable
        Tells in which part a key is.
    """

    def __init__(self, parts: Mapping[str, Callable[[], Mapping[Key, Value]]], part_of: Callable[[Key], str]) -> None:
        self._parts, self._part_of = parts, part_of
        self._read: dict[str, Mapping[Key, Value]] = {}

    def _part(self, name: str) -> Mapping[Key, Value]:
        if name not in self._read:
            self._read[name] = self._parts[name]() if name in self._parts else {}
        return self._read[name]

    def __getitem__(self, key: Key) -> Value:
        return self._part(self._part_of(key))[key]

    def __iter__(self) -> Iterator[Key]:
        return (key for name in self._parts for key in self._part(name))

    def __len__(self) -> int:
        return sum(len(self._part(name)) for name in self._parts)


class _Numbers:
    """Ids and numbers of rows, as they come."""

    def __init__(self, names: Sequence[str]) -> None:
        self.ids: list[str] = []
        self._columns = {name: array("d") for name in names}

    def add(self, arch_id: str, numbers: Sequence[float | None]) -> None:
        self.ids.append(arch_id)
        for column, number in zip(self._columns.values(), numbers, strict=True):
            column.append(np.nan if number is None else number)

    def table(self, fetch: Callable[[Sequence[str]], Mapping[str, Measurement]]) -> ScoreTable:
        columns = {name: np.array(column) for name, column in self._columns.items()}
        return ScoreTable(self.ids, {"ratio_low": columns["low"], "ratio_high": columns["high"]} | columns, fetch)


class DeviceReading:
    """Measurements of one device.

    Parameters
    ----------
    campaign : Campaign
        Whose store and protocols.
    target : Target
        The device.
    up_to : int
        See `hwsearch.store.measurement_table.Filters`.

    Attributes
    ----------
    latencies : LatencyRows
        All latencies of whole subnets.
    """

    def __init__(self, campaign: Campaign, target: Target, up_to: int) -> None:
        self._store, self._weights, self._up_to = campaign.store, campaign.loaded.digest, up_to
        self._name, self._subject = target.name, target.fingerprint
        self._protocols = timing_protocols(campaign)
        self.latencies = LatencyRows(self._protocols)
        self._scores: dict[bool, dict[tuple[str, str, Purpose], Scores]] = {}
        self._others: dict[tuple[str, Purpose], _Numbers] = {}
        self._purposes: dict[tuple[str, Purpose], dict[str, None]] = {}
        keys = {p.key for p in self._protocols.values()}
        fields = ("metric", *LatencyRows.FIELDS, *NUMBERS)
        where: Filters = {"subject": self._subject, "supernet": self._weights, "up_to": up_to, "protocols": keys}
        used: dict[tuple[str, str, str], Purpose | None] = {}
        for metric, *row, value, low, high, spread in self._store.scan(fields, **where):
            arch_id, purpose, protocol = row[:3]
            told = metric, purpose, protocol
            if told not in used:
                used[told] = self._used(*told)
            kind = used[told]
            if kind is None:
                continue
            if metric == "latency_ms":
                self.latencies.add(*row)
            else:
                self._others.setdefault((metric, kind), _Numbers(NUMBERS)).add(arch_id, (value, low, high, spread))

    def _used(self, metric: str, purpose: str, protocol: str) -> Purpose | None:
        """Return for which purpose such rows count, and note that there are some; None where they do not."""
        parsed = Purpose.parse(purpose)
        kind = VALIDATE if parsed.is_final else parsed
        if kind not in self._protocols or protocol != self._protocols[kind].key:
            return None
        self._purposes.setdefault((metric, kind), {})[purpose] = None
        return kind

    def scores(self, final: bool) -> dict[tuple[str, str, Purpose], Scores]:
        """Return everything by device, metric and purpose.

        Parameters
        ----------
        final : bool
            Whether latencies rest on the final measurements too.

        Returns
        -------
        dict
            By (device name, metric, purpose), then by architecture id.
        """
        if final not in self._scores:
            self._scores[final] = self._estimated(final)
        return self._scores[final]

    def latency(self, kind: Purpose) -> Scores:
        """Return the latencies, which rest on all measurements.

        Parameters
        ----------
        kind : Purpose
            `SEARCH` or `VALIDATE`.

        Returns
        -------
        mapping of str to Measurement
            By architecture id, in ms.
        """
        return self.scores(True).get((self._name, "latency_ms", kind), {})

    def _estimated(self, final: bool) -> dict[tuple[str, str, Purpose], Scores]:
        found: dict[tuple[str, str, Purpose], Scores] = {}
        kinds = [k for k in self._protocols if final or k != VALIDATE]
        if any(metric == "latency_ms" for metric, _ in self._purposes):
            for kind, columns in self.latencies.estimates(kinds).items():
                found[self._name, "latency_ms", kind] = self._latency_table(kind, columns)
        for metric in dict.fromkeys(metric for metric, _ in self._others):
            for kind in self._protocols:
                numbers = self._others.get((metric, kind), _Numbers(NUMBERS))
                found[self._name, metric, kind] = self._metric_table(metric, kind, numbers)
        return found

    def _rows(self, metric: str, kind: Purpose, ids: Sequence[str]) -> list[Measurement]:
        protocol = self._protocols[kind].key
        keys = [
            measurement_key(i, metric, self._subject, protocol, purpose, self._weights)
            for i in ids
            for purpose in self._purposes.get((metric, kind), ())
        ]
        return self._store.find(keys=keys, up_to=self._up_to) if keys else []

    def _latency_table(self, kind: Purpose, columns: LatencyColumns) -> Scores:
        places: dict[str, int] = {}

        def fetch(ids: Sequence[str]) -> dict[str, Measurement]:
            if not places:
                places.update({k: i for i, k in enumerate(columns.ids)})
            own: dict[str, list[Measurement]] = {}
            for m in self._rows("latency_ms", kind, ids):
                own.setdefault(m.arch_id, []).append(m)
            return {i: columns.measurement(places[i], own[i]) for i in ids}

        if (
            columns.level is None or np.isnan(columns.intervals).any()
        ):  # rows that tell nothing of the host are as they are
            return fetch(columns.ids)
        numbers = {name: columns.column(name) for name in ("value", "low", "high", "ratio_low", "ratio_high")}
        numbers["spread"] = (numbers["high"] - numbers["low"]) / 2
        return ScoreTable(columns.ids, numbers, fetch)

    def _metric_table(self, metric: str, kind: Purpose, numbers: _Numbers) -> Scores:
        confidence = self._protocols[kind].confidence

        def fetch(ids: Sequence[str]) -> dict[str, Measurement]:
            return by_architecture(self._rows(metric, kind, ids), kind, confidence)

        # final measurements of a subnet are pooled: these are few
        return fetch(list(dict.fromkeys(numbers.ids))) if kind == VALIDATE else numbers.table(fetch)


def device_reading(campaign: Campaign, target: Target) -> DeviceReading:
    """Read what was measured on a device until now.

    Parameters
    ----------
    campaign : Campaign
        Whose store.
    target : Target
        The device.

    Returns
    -------
    DeviceReading
        The last one, where nothing was added since.
    """
    up_to = campaign.store.last()
    protocols = tuple((p.key, p.confidence, p.half_width) for p in timing_protocols(campaign).values())
    state = (up_to, target.fingerprint, campaign.loaded.digest, *protocols)
    kept = _kept(campaign).devices
    if target.name not in kept or kept[target.name][0] != state:
        kept.pop(target.name, None)
        kept[target.name] = (state, DeviceReading(campaign, target, up_to))
    return kept[target.name][1]


class StoreReading:
    """Contents of a campaign's store at one time.

    Parameters
    ----------
    campaign : Campaign
        Whose store.
    """

    def __init__(self, campaign: Campaign) -> None:
        self._campaign_state = _key(campaign)
        self._store, self._space, self._weights = campaign.store, campaign.space, campaign.loaded.digest
        up_to = campaign.store.last()
        splits = [s for s in campaign.data if s != Split.CALIBRATION]
        self.subjects: dict[str, str] = {s: campaign.example_subject(s) for s in splits}
        self._protocols = {metric: score_protocol(campaign, metric) for metric in SCORE_METRICS}
        self._up_to = up_to
        #: by metric
        self.scores: dict[str, OnDemand[tuple[str, Purpose], Scores]] = {
            metric: OnDemand({s: partial(self._accuracies, metric, s) for s in splits}, itemgetter(0))
            for metric in SCORE_METRICS
        }
        targets = dict(campaign.targets)
        self.fingerprints = {name: t.fingerprint for name, t in targets.items()}
        self.devices: OnDemand[str, DeviceReading] = OnDemand(
            {name: partial(self._device, campaign, t) for name, t in targets.items()}, str
        )
        self.on_devices: dict[bool, OnDemand[tuple[str, str, Purpose], Scores]] = {
            final: OnDemand({n: partial(self._device_scores, n, final) for n in targets}, itemgetter(0))
            for final in (False, True)
        }

    @property
    def hosts(self) -> Mapping[str, LatencyRows]:
        """Facts that the latencies of each device tell of its host."""
        return OnDemand({n: partial(self._host, n) for n in self.fingerprints}, str)

    def _host(self, name: str) -> dict[str, LatencyRows]:
        return {name: self.devices[name].latencies}

    def _device_scores(self, name: str, final: bool) -> dict[tuple[str, str, Purpose], Scores]:
        return self.devices[name].scores(final)

    def _device(self, campaign: Campaign, target: Target) -> dict[str, DeviceReading]:
        """Read a device as it was at the time of this reading."""
        now = campaign.store.last() == self._up_to
        return {target.name: device_reading(campaign, target) if now else DeviceReading(campaign, target, self._up_to)}

    @classmethod
    def now(cls, campaign: Campaign) -> StoreReading:
        """Return a reading of a campaign's store as it is now: the last one, where nothing was added since.

        Parameters
        ----------
        campaign : Campaign
            Whose store.

        Returns
        -------
        StoreReading
            Shared by all that read at this time.
        """
        kept = _kept(campaign)
        if kept.whole is None or kept.whole._campaign_state != _key(campaign):
            kept.whole = cls(campaign)
        return kept.whole

    def _accuracies(self, metric: str, split: str) -> dict[tuple[str, Purpose], Scores]:
        found: dict[str, _Numbers] = {}
        where: Filters = {"metric": metric, "subject": self.subjects[split], "protocol": self._protocols[metric]}
        where |= {"supernet": self._weights, "up_to": self._up_to}
        for arch_id, purpose, details, *numbers in self._store.scan(
            ("arch_id", "purpose", "details", *NUMBERS), **where
        ):
            own = found.setdefault(purpose, _Numbers((*NUMBERS, "standard_error")))
            own.add(arch_id, (*numbers, details.get("standard_error")))
        return {
            (split, Purpose.parse(p)): numbers.table(partial(self._scored, metric, self.subjects[split], p))
            for p, numbers in found.items()
        }

    def _scored(self, metric: str, subject: str, purpose: str, ids: Sequence[str]) -> dict[str, Measurement]:
        keys = [measurement_key(i, metric, subject, self._protocols[metric], purpose, self._weights) for i in ids]
        return {m.arch_id: m for m in self._store.find(keys=keys, up_to=self._up_to)}

    @cached_property
    def architectures(self) -> ArchitectureTable:
        """The architectures of the campaign's space."""
        return ArchitectureTable(self._store, self._space)

    @cached_property
    def failures(self) -> dict[tuple[str, str], list[Measurement]]:
        """Failed attempts by (metric, split or device name), oldest first."""
        found: dict[tuple[str, str], list[Measurement]] = {("accuracy", split): [] for split in self.subjects}
        scored = {(m, subject): split for split, subject in self.subjects.items() for m in SCORE_METRICS}
        for m in self._store.failures(supernet=self._weights, up_to=self._up_to):
            if (m.metric, m.subject) in scored:
                found.setdefault((m.metric, scored[m.metric, m.subject]), []).append(m)
            for name, fingerprint in self.fingerprints.items():
                if m.subject == fingerprint:
                    found.setdefault((m.metric, name), []).append(m)
        return found


@dataclass
class _Kept:
    """The last readings of a campaign, by name of the device and of all."""

    devices: dict[str, tuple[object, DeviceReading]] = field(default_factory=dict)
    whole: StoreReading | None = None


def _kept(campaign: Campaign) -> _Kept:
    """Return the last readings; they are with the campaign, and end with it."""
    found: _Kept = vars(campaign).setdefault("_readings", _Kept())
    return found


def _key(campaign: Campaign) -> tuple[object, ...]:
    """Return what a reading of a campaign's store depends on."""
    subjects = [campaign.example_subject(s) for s in campaign.data if s != Split.CALIBRATION]
    protocols = [(p.key, p.confidence, p.half_width) for p in timing_protocols(campaign).values()]
    devices = [(t.name, t.fingerprint) for t in campaign.targets.values()]
    return (
        campaign.store.last(), campaign.loaded.digest, score_protocol(campaign, "verified_accuracy"), *subjects, *protocols,
        *devices,
    )  # fmt: skip
