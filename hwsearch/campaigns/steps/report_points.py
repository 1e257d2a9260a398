"""The points of a report: what the search measured on a device, and what was measured afresh."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.intervals import score_error
from hwsearch.campaigns.known import Known
from hwsearch.campaigns.measured import MeasuredSet, measured_set
from hwsearch.campaigns.predictions import predict
from hwsearch.campaigns.profile_set import ProfileSet
from hwsearch.campaigns.purpose import VALIDATE
from hwsearch.campaigns.score_table import numbers
from hwsearch.campaigns.split import Split
from hwsearch.campaigns.target import Target


def searched_points(campaign: Campaign, known: Known, target: Target, profiled: ProfileSet) -> pd.DataFrame:
    """Collect everything the search measured on one device, with predictions of the profile's fit.

    Parameters
    ----------
    campaign : Campaign
        Whose predictors.
    known : Known
        What the store holds.
    target : Target
        The device.
    profiled : ProfileSet
        Tells the role of each point: ``random``, ``profile`` or ``search``.

    Returns
    -------
    pandas.DataFrame
        A row a subnet; ``evaluation`` is its place in the order of evaluations.
    """
    measured = measured_set(campaign, known, target)
    frame, ids, archs = measured.frame, measured.ids, measured.archs
    in_profile, in_random = {a.id for a in profiled.timed}, {a.id for a in profiled.random}
    accuracy, latency = known.accuracy(Split.VALIDATION), known.latency(target.name)
    order = {k: i for i, k in enumerate(accuracy)}
    rows = pd.DataFrame(
        {
            "arch_id": frame["arch_id"],
            "role": ["random" if i in in_random else "profile" if i in in_profile else "search" for i in ids],
            "genes": [a.to_dict() for a in archs],
            "accuracy": frame["accuracy"],
            "latency_ms": frame["latency_ms"],
            "accuracy_se": numbers(accuracy, "standard_error", ids),
            **{f"latency_{end}": numbers(latency, end, ids) for end in ("low", "high", "ratio_low", "ratio_high")},
            "macs": frame["macs"],
            "params": frame["params"],
            "evaluation": [order.get(i, math.nan) for i in ids],
        }
    )
    unseen = (rows["role"] == "search").to_numpy()
    for column, metric, device in _predicted(target):
        rows[column] = np.nan
        if unseen.any():
            found = predict(campaign, metric, device, [a for a, u in zip(archs, unseen, strict=True) if u])
            rows.loc[unseen, column] = found["value"].to_numpy()
    return rows


def validated_points(
    campaign: Campaign, known: Known, target: Target, fresh: MeasuredSet, on_front: set[str], profiled: ProfileSet
) -> pd.DataFrame:
    """Collect the final measurements of one device; accuracy is that on the test data.

    Parameters
    ----------
    campaign : Campaign
        Whose predictors.
    known : Known
        What the store holds.
    target : Target
        The device.
    fresh : MeasuredSet
        Its final measurements.
    on_front : set of str
        Ids of the subnets on the device's front.
    profiled : ProfileSet
        What the predictors were fitted on; it has no predictions.

    Returns
    -------
    pandas.DataFrame
        A row a subnet.
    """
    test = known.accuracy(Split.TEST, VALIDATE)
    frame, ids, archs = fresh.frame, fresh.ids, fresh.archs
    seen = {a.id for a in profiled.timed}
    rows = pd.DataFrame(
        {
            "arch_id": ids,
            "role": "validated",
            "genes": [a.to_dict() for a in archs],
            "accuracy": frame["accuracy"],
            "latency_ms": frame["latency_ms"],
            "accuracy_se": [score_error(test.get(i)) for i in ids],
            "latency_low": frame["latency_ms_low"],
            "latency_high": frame["latency_ms_high"],
            "latency_ratio_low": frame["latency_ms_ratio_low"],
            "latency_ratio_high": frame["latency_ms_ratio_high"],
            "macs": frame["macs"],
            "params": frame["params"],
            "on_front": [i in on_front for i in ids],
            "front_probability": frame["front_probability"],
        }
    )
    for column, metric, device in _predicted(target):
        found = predict(campaign, metric, device, archs)["value"].to_numpy()
        rows[column] = np.where([i in seen for i in ids], np.nan, found)
    return rows


def pick_entry(card: dict[str, Any], validated: pd.DataFrame) -> dict[str, Any]:
    """Return what a report tells of an exported pick.

    Parameters
    ----------
    card : dict
        Of `export`.
    validated : pandas.DataFrame
        Of `validated_points`.

    Returns
    -------
    dict
        Label, files and values.
    """
    row = validated[validated["arch_id"] == card["architecture"]["id"]].iloc[0]
    ends = ("latency_low", "latency_high", "latency_ratio_low", "latency_ratio_high")
    values = ("accuracy", "accuracy_se", "latency_ms", *ends, "macs", "params")
    return {
        "label": card["label"],
        "arch_id": row["arch_id"],
        "file": f"models/{card['device']}/{card['file']}",
        "sha256": card["sha256"],
        "size_bytes": card["bytes"],
        "further_files": [
            {"file": f"models/{card['device']}/{f['file']}", "sha256": f["sha256"]} for f in card["files"][1:]
        ],
        "genes": row["genes"],
        **{k: float(row[k]) for k in values},
    }


def _predicted(target: Target) -> tuple[tuple[str, str, str | None], ...]:
    return (("predicted_accuracy", "accuracy", None), ("predicted_latency_ms", "latency_ms", target.name))
