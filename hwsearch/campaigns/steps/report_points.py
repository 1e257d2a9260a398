"""The points of a report: what the search measured on a device, and what was measured afresh."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from hwsearch._typing import BoolArray
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
from hwsearch.objectives.objective import Objective
from hwsearch.objectives.pareto import non_dominated

#: most subnets of a search that a report draws: a browser does not show more
MOST_DRAWN = 2000


def searched_points(campaign: Campaign, known: Known, target: Target, profiled: ProfileSet) -> pd.DataFrame:
    """Collect everything the search measured on one device.

    Parameters
    ----------
    campaign : Campaign
        Whose measurements.
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
    frame, ids = measured.frame, measured.ids
    in_profile, in_random = {a.id for a in profiled.timed}, {a.id for a in profiled.random}
    accuracy, latency = known.accuracy(Split.VALIDATION), known.latency(target.name)
    order = {k: i for i, k in enumerate(accuracy)}
    return pd.DataFrame(
        {
            "arch_id": frame["arch_id"],
            "role": ["random" if i in in_random else "profile" if i in in_profile else "search" for i in ids],
            "accuracy": frame["accuracy"],
            "latency_ms": frame["latency_ms"],
            "accuracy_se": numbers(accuracy, "standard_error", ids),
            **{f"latency_{end}": numbers(latency, end, ids) for end in ("low", "high", "ratio_low", "ratio_high")},
            "macs": frame["macs"],
            "params": frame["params"],
            "evaluation": [order.get(i, math.nan) for i in ids],
        }
    )


def drawn_points(campaign: Campaign, known: Known, target: Target, points: pd.DataFrame) -> pd.DataFrame:
    """Choose the points that are drawn, and add their genes and what the profile's fit predicted of them.

    Parameters
    ----------
    campaign : Campaign
        Whose predictors.
    known : Known
        What the store holds.
    target : Target
        The device.
    points : pandas.DataFrame
        Of `searched_points`.

    Returns
    -------
    pandas.DataFrame
        The rows of `chosen`, in their order, with ``genes``, ``predicted_accuracy`` and ``predicted_latency_ms``.
    """
    rows = points[chosen(points)].reset_index(drop=True)
    archs = [known.architectures[i] for i in rows["arch_id"]]
    rows["genes"] = pd.Series([a.to_dict() for a in archs], dtype=object)
    unseen = (rows["role"] == "search").to_numpy()
    for column, metric, device in _predicted(target):
        rows[column] = np.nan
        if unseen.any():
            found = predict(campaign, metric, device, [a for a, u in zip(archs, unseen, strict=True) if u])
            rows.loc[unseen, column] = found["value"].to_numpy()
    return rows


def chosen(points: pd.DataFrame, most: int = MOST_DRAWN) -> BoolArray:
    """Choose points that show what all of them do.

    Parameters
    ----------
    points : pandas.DataFrame
        Of `searched_points`.
    most : int
        How many, as far as not more have to be there.

    Returns
    -------
    numpy.ndarray
        Shape (rows,), which: random subnets, what nothing dominates, and the largest subnet; of the others as many as are
        left, evenly over the order of their evaluation.
    """
    if len(points) <= most:
        return np.ones(len(points), dtype=bool)
    both = points[["accuracy", "latency_ms"]].to_numpy(dtype=np.float64)
    keep = non_dominated(both, [Objective("accuracy"), Objective("latency_ms")])
    keep |= (points["role"] == "random").to_numpy()
    macs = points["macs"].to_numpy(dtype=np.float64)
    if np.isfinite(macs).any():
        keep[int(np.nanargmax(macs))] = True
    others = np.flatnonzero(~keep)
    others = others[np.argsort(points["evaluation"].to_numpy(dtype=np.float64)[others], kind="stable")]
    n = max(0, most - int(keep.sum()))
    keep[others[np.linspace(0, len(others) - 1, n).round().astype(np.int64)]] = True
    return keep


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
