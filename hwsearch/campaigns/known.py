"""`Known`: what the store holds for a campaign, read once and handed on by value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.estimates import latency_estimates
from hwsearch.campaigns.lookup import accuracy_protocol, by_architecture, failed_too_often, timing_protocols
from hwsearch.campaigns.purpose import SEARCH, Purpose
from hwsearch.campaigns.split import Split
from hwsearch.campaigns.states import MEMBERSHIP
from hwsearch.spaces import Architecture
from hwsearch.store import Measurement

Scores = Mapping[str, Measurement]


@dataclass(frozen=True)
class Known:
    """What the store of a campaign held when it was read; later measurements need a new one.

    A step reads it once, with one question a device and a few more, and hands it to all that evaluate measurements.

    Parameters
    ----------
    architectures : mapping of str to Architecture
        All architectures of the campaign's space, by id.
    scores : mapping
        Accuracies by (`Split`, `Purpose`), then by architecture id, oldest first.
    on_devices : mapping
        What is measured on devices by (device name, metric, `Purpose`), then by architecture id.
        `VALIDATE` stands for all final measurements of a subnet, pooled.
    failures : mapping
        Failed attempts by (metric, split or device name), oldest first.
    memberships : mapping
        By key of a view and architecture id: probability of being on that front on the same and on new test data.
    confidence : float, optional
        With which it was asked to be known who is on a front; None before `validate` has told.
    """

    architectures: Mapping[str, Architecture] = field(default_factory=dict)
    scores: Mapping[tuple[Split, Purpose], Scores] = field(default_factory=dict)
    on_devices: Mapping[tuple[str, str, Purpose], Scores] = field(default_factory=dict)
    failures: Mapping[tuple[str, str], list[Measurement]] = field(default_factory=dict)
    memberships: Mapping[str, Mapping[str, tuple[float, float]]] = field(default_factory=dict)
    confidence: float | None = None

    @classmethod
    def read(cls, campaign: Campaign, *, final: bool = True) -> Known:
        """Read what the store holds for a campaign's supernet, data, protocols and devices.

        Parameters
        ----------
        campaign : Campaign
            Whose store is read.
        final : bool
            Whether latencies rest on the final measurements too; without, they are what the search knew of its subnets.

        Returns
        -------
        Known
            A snapshot.

        Raises
        ------
        StoreError
            If the store cannot be read.
        """
        store, weights = campaign.store, campaign.loaded.digest
        splits = [s for s in Split if s in campaign.data and s is not Split.CALIBRATION]
        subjects = {s: campaign.example_subject(s) for s in splits}
        scores: dict[tuple[Split, Purpose], dict[str, Measurement]] = {}
        protocol = accuracy_protocol(campaign)
        for m in store.find(metric="accuracy", protocol=protocol, supernet=weights):
            for split in (s for s in splits if subjects[s] == m.subject):
                scores.setdefault((split, Purpose.parse(m.purpose)), {})[m.arch_id] = m
        on_devices: dict[tuple[str, str, Purpose], Scores] = {}
        failures: dict[tuple[str, str], list[Measurement]] = {}
        failed = store.failures(supernet=weights)
        for split in splits:
            failures["accuracy", split] = [m for m in failed if (m.metric, m.subject) == ("accuracy", subjects[split])]
        protocols = timing_protocols(campaign)
        for target in campaign.targets.values():
            rows = store.find(
                subject=target.fingerprint, supernet=weights, protocols={p.key for p in protocols.values()}
            )
            for metric in {m.metric for m in rows}:
                own = [m for m in rows if m.metric == metric]
                if metric == "latency_ms":
                    own = own if final else [m for m in own if not Purpose.parse(m.purpose).is_final]
                    estimates = latency_estimates(own, protocols)
                    on_devices |= {(target.name, metric, purpose): found for purpose, found in estimates.items()}
                    continue
                for purpose, wanted in protocols.items():
                    same = [m for m in own if m.protocol == wanted.key]
                    found = by_architecture(same, purpose, wanted.confidence)
                    on_devices[target.name, metric, purpose] = found
            for m in failed:
                if m.subject == target.fingerprint:
                    failures.setdefault((m.metric, target.name), []).append(m)
        state = store.get_state(MEMBERSHIP) or {}
        return cls(
            architectures={a.id: a for a in store.architectures(campaign.space)},
            scores=scores,
            on_devices=on_devices,
            failures=failures,
            memberships={
                view: {i: (p, q) for i, (p, q) in found.items()} for view, found in state.get("views", {}).items()
            },
            confidence=state.get("confidence"),
        )

    def accuracy(self, split: Split, purpose: Purpose = SEARCH) -> Scores:
        """Return the scores of subnets on a data split.

        Parameters
        ----------
        split : Split
            The data.
        purpose : Purpose
            What they were scored for.

        Returns
        -------
        mapping of str to Measurement
            By architecture id, oldest first; empty where there are none.
        """
        return self.scores.get((split, purpose), {})

    def metric(self, device: str, metric: str, purpose: Purpose = SEARCH) -> Scores:
        """Return the values of a metric on a device.

        Parameters
        ----------
        device : str
            The device's name.
        metric : str
            Such as ``latency_ms``.
        purpose : Purpose
            `SEARCH`, or `VALIDATE` for all final measurements, pooled.

        Returns
        -------
        mapping of str to Measurement
            By architecture id, oldest first; empty where there are none.
        """
        return self.on_devices.get((device, metric, purpose), {})

    def latency(self, device: str, purpose: Purpose = SEARCH) -> Scores:
        """Return the latencies on a device, in ms; see `metric`.

        Parameters
        ----------
        device : str
            The device's name.
        purpose : Purpose
            `SEARCH`, or `VALIDATE` for all final measurements, pooled.

        Returns
        -------
        mapping of str to Measurement
            By architecture id, oldest first.
        """
        return self.metric(device, "latency_ms", purpose)

    def failed_too_often(self, metric: str, places: Iterable[str]) -> set[str]:
        """Return the subnets that failed too often on any of some devices or splits to be tried again.

        Parameters
        ----------
        metric : str
            What could not be measured.
        places : iterable of str
            Names of devices, or splits.

        Returns
        -------
        set of str
            Architecture ids.
        """
        return set().union(*(failed_too_often(self.failures.get((metric, place), [])) for place in places))

    def failed_on(self, device: str) -> int:
        """Count the failed attempts at any metric on a device.

        Parameters
        ----------
        device : str
            The device's name.

        Returns
        -------
        int
            Failures, those included that got a value later.
        """
        return sum(len(rows) for (m, place), rows in self.failures.items() if place == device and m != "accuracy")
