"""`Known`: what the store holds for a campaign at one time, for all that evaluates it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.latency_rows import LatencyRows
from hwsearch.campaigns.lookup import failed_too_often
from hwsearch.campaigns.purpose import SEARCH, Purpose
from hwsearch.campaigns.reading import StoreReading
from hwsearch.campaigns.split import Split
from hwsearch.campaigns.states import MEMBERSHIP
from hwsearch.objectives.names import SCORE_METRICS
from hwsearch.spaces import Architecture
from hwsearch.store import Measurement

Scores = Mapping[str, Measurement]


@dataclass(frozen=True)
class Known:
    """Contents of a campaign's store when it was read; later measurements need a new one.

    A step takes it once and hands it to all that evaluate measurements. What nobody asks for is not read, and what has been
    read serves until something is added.

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
    hosts : mapping of str to LatencyRows
        What the latencies of each device tell of its host.
    verified : mapping
        Verified accuracies by (`Split`, `Purpose`), then by architecture id, oldest first.
    """

    architectures: Mapping[str, Architecture] = field(default_factory=dict)
    scores: Mapping[tuple[str, Purpose], Scores] = field(default_factory=dict)
    on_devices: Mapping[tuple[str, str, Purpose], Scores] = field(default_factory=dict)
    failures: Mapping[tuple[str, str], list[Measurement]] = field(default_factory=dict)
    memberships: Mapping[str, Mapping[str, tuple[float, float]]] = field(default_factory=dict)
    confidence: float | None = None
    hosts: Mapping[str, LatencyRows] = field(default_factory=dict)
    verified: Mapping[tuple[str, Purpose], Scores] = field(default_factory=dict)

    @classmethod
    def read(cls, campaign: Campaign, *, final: bool = True) -> Known:
        """Take what the store holds for a campaign's supernet, data, protocols and devices.

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
        reading = StoreReading.now(campaign)
        state = campaign.store.get_state(MEMBERSHIP) or {}
        return cls(
            architectures=reading.architectures,
            scores=reading.scores["accuracy"],
            verified=reading.scores["verified_accuracy"],
            on_devices=reading.on_devices[final],
            failures=reading.failures,
            memberships={
                view: {i: (p, q) for i, (p, q) in found.items()} for view, found in state.get("views", {}).items()
            },
            confidence=state.get("confidence"),
            hosts=reading.hosts,
        )

    def accuracy(self, split: str, purpose: Purpose = SEARCH) -> Scores:
        """Return the scores of subnets on a data split.

        Parameters
        ----------
        split : str
            The data.
        purpose : Purpose
            What they were scored for.

        Returns
        -------
        mapping of str to Measurement
            By architecture id, oldest first; empty where there are none.
        """
        return self.scores.get((split, purpose), {})

    def score(self, metric: str, split: Split, purpose: Purpose = SEARCH) -> Scores:
        """Return the accuracies or verified accuracies of subnets on a data split.

        Parameters
        ----------
        metric : str
            ``accuracy`` or ``verified_accuracy``.
        split : Split
            The data.
        purpose : Purpose
            What they were scored for.

        Returns
        -------
        mapping of str to Measurement
            By architecture id, oldest first; empty where there are none.
        """
        return (self.scores if metric == "accuracy" else self.verified).get((split, purpose), {})

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
        return sum(
            len(rows) for (m, place), rows in self.failures.items() if place == device and m not in SCORE_METRICS
        )
