"""Measured subnets as a table, together with their architectures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from hwsearch._typing import BoolArray, FloatArray
from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.known import Known
from hwsearch.campaigns.purpose import SEARCH, Purpose
from hwsearch.campaigns.score_table import encoded, numbers
from hwsearch.campaigns.split import Split
from hwsearch.campaigns.target import Target
from hwsearch.errors import HwsearchError
from hwsearch.objectives.computed import METRICS, computed_metric
from hwsearch.objectives.names import DIRECTIONS, SCORE_METRICS
from hwsearch.spaces import Architecture

#: columns of one subnet for all devices: latency as a share of each device's scale, of the worst device and weighted
WORST, WEIGHTED = "latency_share_worst", "latency_share_weighted"

#: subnets whose computed metrics are found together
TOGETHER = 20_000


@dataclass(frozen=True)
class MeasuredSet:
    """Measured subnets: a row each, with what is needed to read the rows.

    Parameters
    ----------
    frame : pandas.DataFrame
        Column ``arch_id`` and one an objective or metric, NaN where unmeasured.
    by_id : mapping of str to Architecture
        Architectures, of every row and possibly of more, by id.
    scales : FloatArray, optional
        (devices,) latencies in ms that count as 1 in the share columns; None in a set of one device.
    """

    frame: pd.DataFrame
    by_id: Mapping[str, Architecture] = field(default_factory=dict)
    scales: FloatArray | None = None

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def ids(self) -> list[str]:
        """Architecture ids, in the order of the rows."""
        return [str(i) for i in self.frame["arch_id"]]

    @property
    def archs(self) -> list[Architecture]:
        """Architectures, in the order of the rows."""
        return [self.by_id[i] for i in self.ids]

    def values(self, column: str) -> FloatArray:
        """Return one column.

        Parameters
        ----------
        column : str
            Its name.

        Returns
        -------
        FloatArray
            (rows,) values, NaN where unmeasured.
        """
        return self.frame[column].to_numpy(dtype=np.float64)

    def where(self, mask: BoolArray) -> MeasuredSet:
        """Keep some rows.

        Parameters
        ----------
        mask : BoolArray
            (rows,) which.

        Returns
        -------
        MeasuredSet
            The same with these rows only.
        """
        return replace(self, frame=self.frame[mask].reset_index(drop=True))

    def complete(self, columns: list[str]) -> MeasuredSet:
        """Keep the rows that have a value in all of some columns.

        Parameters
        ----------
        columns : list of str
            Names of columns.

        Returns
        -------
        MeasuredSet
            The same with these rows only.
        """
        return self.where(self.frame[columns].notna().all(axis=1).to_numpy())


def measured_set(campaign: Campaign, known: Known, target: Target, purpose: Purpose = SEARCH) -> MeasuredSet:
    """Collect everything measured for one device.

    Parameters
    ----------
    campaign : Campaign
        Whose objectives and metrics become columns.
    known : Known
        What the store holds.
    target : Target
        The device.
    purpose : Purpose
        `SEARCH` with validation accuracies, or `VALIDATE` with test accuracies.

    Returns
    -------
    MeasuredSet
        A row a subnet that has any measurement, by id.
    """
    split = Split.TEST if purpose.is_final else Split.VALIDATION
    asked = {objective.metric for objective in campaign.objectives(target.name)}
    scores = {m: known.score(m, split, purpose) for m in SCORE_METRICS if m == "accuracy" or m in asked}
    on_device = {m: known.metric(target.name, m, purpose) for m in campaign.device_metrics(target.name)}
    ids = sorted(i for i in set().union(*scores.values(), *on_device.values()) if i in known.architectures)
    frame = pd.DataFrame({"arch_id": ids})
    for name, found in {**scores, **on_device}.items():
        frame[name] = numbers(found, "value", ids)
    parts = [ids[k : k + TOGETHER] for k in range(0, len(ids), TOGETHER)]
    for name in METRICS.names():
        try:
            metric = computed_metric(name)
            values = [
                metric.values(campaign.loaded.net, encoded(known.architectures, campaign.space, part)) for part in parts
            ]
            frame[name] = np.concatenate(values) if ids else []
        except HwsearchError:  # a plug-in that this campaign did not ask for, perhaps made for another family
            if name in asked or name in DIRECTIONS:
                raise
    for objective in campaign.objectives(target.name):
        frame[objective.name] = frame[objective.metric]
    return MeasuredSet(frame, known.architectures)


def largest_values(campaign: Campaign, measured: MeasuredSet) -> dict[str, float]:
    """Return the largest subnet's values.

    Parameters
    ----------
    campaign : Campaign
        Whose space has the largest subnet.
    measured : MeasuredSet
        Where they are looked up.

    Returns
    -------
    dict of str to float
        By column; empty where the largest subnet has not been measured.
    """
    row = measured.frame[measured.frame["arch_id"] == campaign.space.largest().id]
    if not len(row):
        return {}
    numbers = row.drop(columns="arch_id").iloc[0]
    return {str(k): float(v) for k, v in numbers.items() if not pd.isna(v)}


def shares(latency: FloatArray, scale: FloatArray, weight: FloatArray) -> dict[str, FloatArray]:
    """Scalarise latencies on several devices, each divided by a scale of its own.

    The worst device's share is the scalarisation of Bowman (1976) and of min-max robust optimisation; the weighted mean is
    the weighted sum of Zadeh (1963).

    Parameters
    ----------
    latency : FloatArray
        (..., devices) in ms; NaN where unmeasured.
    scale : FloatArray
        (devices,) ms that count as 1.
    weight : FloatArray
        (devices,) how much each device counts in the mean; need not sum to 1.

    Returns
    -------
    dict of str to FloatArray
        (...,) by column name, `WORST` and `WEIGHTED`; NaN where a device lacks the latency.

    References
    ----------
    V. J. Bowman (1976). "On the relationship of the Tchebycheff norm and the efficient frontier of multiple-criteria
    objectives." Lecture Notes in Economics and Mathematical Systems 130.
    L. Zadeh (1963). "Optimality and non-scalar-valued performance criteria." IEEE Transactions on Automatic Control 8.

    Examples
    --------
    >>> found = shares(np.array([2.0, 9.0]), np.array([4.0, 6.0]), np.array([1.0, 3.0]))
    >>> float(found["latency_share_worst"]), float(found["latency_share_weighted"])
    (1.5, 1.25)
    """
    share = latency / scale
    return {WORST: share.max(axis=-1), WEIGHTED: share @ (weight / weight.sum())}
