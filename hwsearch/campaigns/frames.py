"""What a front is of: one device, or all devices of a campaign that one subnet is to serve."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from hwsearch._typing import FloatArray
from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.known import find_accuracy, find_metric
from hwsearch.campaigns.target import Target
from hwsearch.objectives.computed import computed_metrics
from hwsearch.spaces import Architecture

WORST, WEIGHTED = "latency_share_worst", "latency_share_weighted"


def measured_frame(campaign: Campaign, target: Target, *, purpose: str = "search") -> pd.DataFrame:
    """Everything measured for one device: `arch_id` and one column an objective or metric (NaN where unmeasured)."""
    split = "test" if purpose == "validate" else "validation"
    accuracy = find_accuracy(campaign, split, purpose)
    on_device = {m: find_metric(campaign, target, m, purpose) for m in campaign.device_metrics(target.name)}
    ids = sorted(set(accuracy).union(*on_device.values()))
    archs = {a.id: a for a in campaign.store.architectures(campaign.space)}
    ids = [i for i in ids if i in archs]
    frame = pd.DataFrame({"arch_id": ids})
    frame["accuracy"] = [accuracy[i].value if i in accuracy else np.nan for i in ids]
    for name, found in on_device.items():
        frame[name] = [found[i].value if i in found else np.nan for i in ids]
    rows = campaign.space.to_array([archs[i] for i in ids])
    for name, metric in computed_metrics().items():
        frame[name] = metric.compute(campaign.loaded.net, rows) if ids else []
    for objective in campaign.objectives(target.name):
        frame[objective.name] = frame[objective.metric]
    frame.attrs["archs"] = _Shared(archs)
    return frame


class _Shared(dict[str, Architecture]):
    """Architectures by id; pandas copies a frame's attributes deeply at every step, and these need not be."""

    def __deepcopy__(self, memo: dict[int, Any]) -> _Shared:
        return self


def archs_of(frame: pd.DataFrame) -> list[Architecture]:
    return [frame.attrs["archs"][i] for i in frame["arch_id"]]


def largest_values(campaign: Campaign, frame: pd.DataFrame) -> dict[str, float]:
    """The largest subnet's values by column of a `measured_frame`; {} where it has not been measured."""
    row = frame[frame["arch_id"] == campaign.space.largest().id]
    if not len(row):
        return {}
    numbers = row.drop(columns="arch_id").iloc[0]
    return {str(k): float(v) for k, v in numbers.items() if not pd.isna(v)}


def shares(latency: FloatArray, scale: FloatArray, weight: FloatArray) -> dict[str, FloatArray]:
    """Latencies (..., devices), each divided by `scale` (devices,), as two numbers a subnet (...,).

    The worst device's share is the scalarisation of Bowman 1976 and of min-max robust optimisation; the mean weighted by
    `weight` (devices,) is the weighted sum of Zadeh 1963. NaN where a device lacks the latency.
    """
    share = latency / scale
    return {WORST: share.max(axis=-1), WEIGHTED: share @ (weight / weight.sum())}
