"""View of a campaign that a front is of: one device, or all devices of a campaign that one subnet is to serve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from hwsearch._typing import FloatArray
from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.known import Known
from hwsearch.campaigns.measured import WEIGHTED, WORST, MeasuredSet, largest_values, measured_set, shares
from hwsearch.campaigns.purpose import SEARCH, Purpose
from hwsearch.campaigns.search_config import Deployment
from hwsearch.campaigns.target import Target
from hwsearch.errors import CampaignError
from hwsearch.objectives.limit import Limit
from hwsearch.objectives.names import DEVICE_METRICS, metric_name
from hwsearch.objectives.objective import Objective


@dataclass(frozen=True)
class View:
    """One front of a campaign.

    A view of one device has that device's name and objectives. A joint view, of all devices, has in place of their
    latencies a share (`hwsearch.campaigns.measured.shares`): of each device's limit, or else of the largest subnet's
    latency there. It is at most 1 where some device has a limit; a device without one then bounds it by the largest subnet.

    Parameters
    ----------
    campaign : Campaign
        Whose front it is.
    name : str
        The device's name, or ``all devices``.
    targets : tuple of Target
        The devices.
    objectives : tuple of Objective
        As configured; limits may be shares of the largest subnet's values.
    deployment : {"per-device", "worst-case", "weighted"}
        What a subnet of this front is for; all but the first make it a joint view.
    """

    campaign: Campaign
    name: str
    targets: tuple[Target, ...]
    objectives: tuple[Objective, ...]
    deployment: Deployment = "per-device"

    @property
    def joint(self) -> bool:
        """Whether one subnet is to serve all devices."""
        return self.deployment != "per-device"

    @property
    def key(self) -> str:
        """A text that tells the view from the campaign's other views."""
        return f"{self.name}, {self.deployment}" if self.joint else self.name

    @property
    def front_objectives(self) -> list[Objective]:
        """Objectives of the front: all but the bound of the worst device that a weighted mean needs."""
        weighted = any(o.name == WEIGHTED for o in self.objectives)
        return [o for o in self.objectives if not (o.name == WORST and weighted)]

    @property
    def reference(self) -> dict[str, float]:
        """Configured values to be reached (``[search] reference``), by the names of this view's objectives."""
        given = self.campaign.config.search.reference or {}
        found: dict[str, float] = {}
        for name, value in given.items():
            metric, at, device = name.partition("@")
            wanted = metric_name(metric) + at + device
            found |= {o.name: value for o in self.front_objectives if wanted in (o.name, o.metric)}
        return found

    @property
    def weights(self) -> FloatArray:
        """(devices,) how much each device counts in a weighted mean; not normalised."""
        return np.array([d.weight for t in self.targets for d in self.campaign.config.device if d.name == t.name])

    def measured(self, known: Known, purpose: Purpose = SEARCH) -> MeasuredSet:
        """Collect everything measured for this front.

        Parameters
        ----------
        known : Known
            What the store holds.
        purpose : Purpose
            `SEARCH` or `VALIDATE`.

        Returns
        -------
        MeasuredSet
            As `measured_set` of its device; in a joint view with ``latency_ms@DEVICE`` and both shares.
        """
        sets = [measured_set(self.campaign, known, t, purpose) for t in self.targets]
        return self.join(sets, known, purpose) if self.joint else sets[0]

    def join(self, sets: Sequence[MeasuredSet], known: Known, purpose: Purpose = SEARCH) -> MeasuredSet:
        """Join the measured sets of this view's devices.

        Parameters
        ----------
        sets : sequence of MeasuredSet
            One a device, in the order of `targets`.
        known : Known
            What the store holds, for the scales of the shares.
        purpose : Purpose
            What the sets were measured for.

        Returns
        -------
        MeasuredSet
            A row a subnet of any of them; columns of a device's metrics are named ``METRIC@DEVICE``.

        Raises
        ------
        CampaignError
            If latencies are judged by the largest subnet's, and that has not been measured.
        """
        frames = [s.frame for s in sets]
        joined = frames[0].drop(columns=[c for c in frames[0].columns if _of_device(c)])
        for target, frame in zip(self.targets, frames, strict=True):
            own = [c for c in frame.columns if _of_device(c) and "@" not in c]
            part = frame[["arch_id", *own]].rename(columns={c: f"{c}@{target.name}" for c in own})
            joined = joined.merge(part, on="arch_id", how="outer")
        for column in [c for c in joined.columns if c != "arch_id" and "@" not in c]:
            values = pd.concat([f[["arch_id", column]] for f in frames if column in f.columns])
            values = values.dropna().drop_duplicates("arch_id")
            joined[column] = joined["arch_id"].map(dict(zip(values["arch_id"], values[column], strict=True)))
        latency = joined[[f"latency_ms@{t.name}" for t in self.targets]].to_numpy(dtype=np.float64)
        scales = self.scales(known, purpose)
        for name, share in self.shares(latency, scales).items():
            joined[name] = share
        return MeasuredSet(joined, sets[0].by_id, scales)

    def shares(self, latency: FloatArray, scales: FloatArray) -> dict[str, FloatArray]:
        """Scalarise latencies with this view's weights; see `hwsearch.campaigns.measured.shares`.

        Parameters
        ----------
        latency : FloatArray
            (..., devices) in ms.
        scales : FloatArray
            (devices,) ms that count as 1.

        Returns
        -------
        dict of str to FloatArray
            (...,) by column name.
        """
        return shares(latency, scales, self.weights)

    def scales(self, known: Known, purpose: Purpose = SEARCH) -> FloatArray:
        """Return the latencies that count as 1: each device's limit, or else the largest subnet's latency.

        Parameters
        ----------
        known : Known
            What the store holds.
        purpose : Purpose
            What the latencies that are divided by these were measured for. The largest subnet's is then the one of that purpose,
            so that its own share is 1; where it has none, that of the search. A limit that is a share stays one of the search's.

        Returns
        -------
        FloatArray
            (devices,) in ms.

        Raises
        ------
        CampaignError
            If the largest subnet's latency is needed and has not been measured.
        """
        found = []
        for target in self.targets:
            largest = known.latency(target.name).get(self.campaign.space.largest().id)
            limit = latency_limit(self.campaign, target)
            value = largest.value if largest is not None else None
            if limit is not None and (value is not None or not limit.relative):
                value = limit.resolve(value).value
            elif limit is None and (final := known.latency(target.name, purpose).get(self.campaign.space.largest().id)):
                value = final.value
            if value is None:
                raise CampaignError(
                    f"the largest subnet has not been measured on {target.name!r}, by whose latency others are judged.",
                    hint="Run 'hwsearch profile' first.",
                )
            found.append(float(value))
        return np.array(found)

    def resolved(self, measured: MeasuredSet) -> list[Objective]:
        """Return the objectives with limits as numbers.

        Parameters
        ----------
        measured : MeasuredSet
            Of the search, for the largest subnet's values.

        Returns
        -------
        list of Objective
            The same objectives; a limit such as ``<= 60 %`` is replaced by its value.
        """
        if not any(o.limit is not None and o.limit.relative for o in self.objectives):
            return list(self.objectives)
        largest = largest_values(self.campaign, measured)
        return [
            replace(o, limit=o.limit.resolve(largest.get(o.name))) if o.limit is not None else o
            for o in self.objectives
        ]


def latency_limit(campaign: Campaign, target: Target) -> Limit | None:
    """Return the upper limit on a device's latency, as configured.

    Parameters
    ----------
    campaign : Campaign
        Whose configuration.
    target : Target
        The device.

    Returns
    -------
    Limit or None
        None where there is no upper limit.
    """
    limits = [o.limit for o in campaign.objectives(target.name) if o.metric == "latency_ms" and o.limit is not None]
    return next((limit for limit in limits if limit.op == "<="), None)


def _of_device(column: str) -> bool:
    return any(column == m or column.startswith((f"{m}_", f"{m}@")) for m in DEVICE_METRICS)
