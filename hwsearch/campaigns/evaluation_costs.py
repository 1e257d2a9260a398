"""Seconds of measuring a subnet, from those that the measurements of a campaign took."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import numpy as np
from scipy.optimize import nnls

from hwsearch._typing import FloatArray
from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.purpose import SEARCH
from hwsearch.errors import CampaignError
from hwsearch.spaces import Architecture
from hwsearch.store.measurement_table import Filters

#: evaluations that took this many times the median a shown example were disturbed, and tell nothing
DISTURBED = 5.0
#: least seconds of anything, so that a gain can be divided by them
LEAST_S = 1e-4


class EvaluationCosts:
    """Seconds of evaluations and latencies, fitted to those of a campaign.

    An evaluation takes a constant, and for each example shown, recalibration included, a part that is alike for all subnets
    and one that grows with the subnet's cost: three numbers, none negative, by least squares. A latency takes the mean of
    its device; devices of other hosts work at the same time.

    Parameters
    ----------
    campaign : Campaign
        Whose accuracies have been measured.

    Raises
    ------
    CampaignError
        If no evaluation has told what it took.
    """

    def __init__(self, campaign: Campaign) -> None:
        self._campaign = campaign
        where: Filters = {"metric": "accuracy", "supernet": campaign.loaded.digest}
        took: list[tuple[str, float, float]] = []
        for arch_id, purpose, details, begun, ended in campaign.store.scan(
            ("arch_id", "purpose", "details", "started_at", "ended_at"), **where
        ):
            if purpose == str(SEARCH) and details.get("shown"):
                took.append((arch_id, float(details["shown"]), _seconds(begun, ended)))
        if not took:
            raise CampaignError(
                "no evaluation of this campaign has told how long it took, so [search] fidelities cannot weigh by seconds.",
                hint="Evaluate some subnets with this version, or leave [search] fidelities out.",
            )
        shown, seconds = (np.array([t[k] for t in took]) for k in (1, 2))
        found = {a.id: a for a in campaign.store.architectures(campaign.space, {t[0] for t in took})}
        cost = self._relative([found[t[0]] for t in took])
        each = seconds / shown
        usual = each <= DISTURBED * np.median(each)
        design = np.stack([np.ones(len(shown)), shown, shown * cost], axis=1)[usual]
        self.weights: FloatArray = nnls(design / seconds[usual, None].clip(LEAST_S), np.ones(len(design)))[0]
        timed = {t.name: self._timing(t.name) for t in campaign.targets.values()}
        self.latency_s: dict[str, float] = {name: s for name, s in timed.items() if s is not None}

    def evaluation(self, archs: Sequence[Architecture], shown: FloatArray) -> FloatArray:
        """Predict what evaluations take.

        Parameters
        ----------
        archs : sequence of Architecture
            The k subnets.
        shown : ndarray (k, l)
            Examples that each is shown, recalibration included; 0 for no evaluation.

        Returns
        -------
        ndarray (k, l)
            Seconds.
        """
        constant, alike, by_cost = self.weights
        each = alike + by_cost * self._relative(archs)
        return np.where(shown > 0, constant + shown * each[:, None], 0.0)

    def timing(self, devices: Sequence[str]) -> float:
        """Predict what it takes to time one subnet.

        Parameters
        ----------
        devices : sequence of str
            Names of the devices.

        Returns
        -------
        float
            Seconds; a device of which nothing is known takes none.
        """
        remote = self._campaign.config.fleet.remote
        here = sum(self.latency_s.get(name, 0.0) for name in devices if name not in remote)
        return max([here, *(self.latency_s.get(name, 0.0) for name in devices if name in remote)])

    def _relative(self, archs: Sequence[Architecture]) -> FloatArray:
        """Return the costs of subnets as shares of the largest one's."""
        space, cost = self._campaign.space, self._campaign.loaded.balanced_cost
        rows = space.to_array([*archs, space.largest()])
        found = np.asarray(cost(rows), dtype=np.float64)
        return found[:-1] / max(float(found[-1]), 1e-300)

    def _timing(self, name: str) -> float | None:
        """Return the mean seconds of a latency on a device; subnets of one group share their time."""
        fingerprint = self._campaign.targets[name].fingerprint
        where: Filters = {"metric": "latency_ms", "subject": fingerprint, "supernet": self._campaign.loaded.digest}
        spans: list[tuple[str, str]] = [
            (begun, ended)
            for purpose, begun, ended in self._campaign.store.scan(("purpose", "started_at", "ended_at"), **where)
            if purpose == str(SEARCH)
        ]
        if not spans:
            return None
        return max(LEAST_S, sum(_seconds(*span) for span in set(spans)) / len(spans))


def _seconds(begun: str, ended: str) -> float:
    between = datetime.fromisoformat(ended) - datetime.fromisoformat(begun)
    return max(0.0, between.total_seconds())
