"""Latencies of other devices from which those of a device are predicted: of the campaign, of reused ones, and shipped tables."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

import latency_tables
from hwsearch._typing import FloatArray
from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.known import Known
from hwsearch.campaigns.predictions import feature_matrix
from hwsearch.campaigns.score_table import numbers
from hwsearch.campaigns.states import REUSED
from hwsearch.campaigns.target import Target
from hwsearch.errors import HwsearchError
from hwsearch.spaces import Architecture
from predictors import PredictorError
from predictors.sourced import SourcedPredictor, no_worse
from predictors.sources import LEAST, Source

#: rows of a source that are learnt from: to plan what to time, and for a predictor that is kept, with its sources
ROWS, FITTED = 512, 200
#: from so many latencies on a device is predicted from its own alone
OWN = 50


def device_sources(campaign: Campaign, target: Target, most: int = ROWS) -> dict[str, Source]:
    """Collect latencies of other devices.

    Parameters
    ----------
    campaign : Campaign
        Whose search space.
    target : Target
        The device that is not its own source.
    most : int
        Rows of a source that are learnt from.

    Returns
    -------
    dict of str to Source
        By name of the device: the campaign's others and those of a reused campaign that were timed on `LEAST` subnets, and
        ``table:NAME`` of shipped tables of the space.
    """
    found: dict[str, Source] = {}
    rng = campaign.rng("sources")
    measured = {
        other.name: timed(campaign, other)
        for other in campaign.targets.values()
        if other.fingerprint != target.fingerprint
    }
    for name, latencies in (campaign.store.get_state(REUSED) or {}).get("latencies", {}).items():
        measured.setdefault(name, latencies)
    for name, latencies in measured.items():
        if len(latencies) >= LEAST:
            ids = sorted(latencies)
            chosen = [ids[i] for i in sorted(rng.permutation(len(ids))[:most])]
            archs = campaign.store.architectures(campaign.space, chosen)
            found[name] = Source(features(campaign, archs), np.array([latencies[a.id] for a in archs]))
    replayed = str(target.facts.get("table", ""))
    for name in latency_tables.devices():
        if campaign.space.name not in latency_tables.show(name)["tables"] or replayed.startswith(f"{name}/"):
            continue
        archs, y = _table(campaign, name, rng, most)
        if len(y) >= LEAST:
            found[f"table:{name}"] = Source(features(campaign, archs), y)
    return found


def timed(campaign: Campaign, target: Target) -> dict[str, float]:
    """Read the latencies of a device, as they are estimated from all of them.

    Parameters
    ----------
    campaign : Campaign
        Whose store.
    target : Target
        The device.

    Returns
    -------
    dict of str to float
        In ms, by architecture id.
    """
    found = Known.read(campaign).latency(target.name)
    ids = list(found)
    return {i: float(v) for i, v in zip(ids, numbers(found, "value", ids), strict=True) if np.isfinite(v)}


def features(campaign: Campaign, archs: Sequence[Architecture]) -> FloatArray:
    """Encode architectures for predictors.

    Parameters
    ----------
    campaign : Campaign
        Whose supernet.
    archs : sequence of Architecture
        The n architectures.

    Returns
    -------
    ndarray (n, columns)
        As of `feature_matrix`.
    """
    return feature_matrix(campaign, campaign.space.to_array(list(archs)))


def _table(campaign: Campaign, name: str, rng: np.random.Generator, most: int) -> tuple[list[Architecture], FloatArray]:
    """Read some rows of a table; those that are not of the campaign's space are left out."""
    table = latency_tables.load(name, campaign.space.name)
    genes = [n for n in campaign.space.names if n in table.columns]
    archs, y = [], []
    for place in sorted(rng.permutation(len(table))[:most]):
        row = table.iloc[place]
        plain = {n: row[n].item() if hasattr(row[n], "item") else row[n] for n in genes if not pd.isna(row[n])}
        try:
            archs.append(campaign.space.architecture(plain))
        except HwsearchError:
            continue
        y.append(float(row["latency_ms"]))
    return archs, np.array(y)


def fit_with_sources(
    campaign: Campaign,
    target: Target,
    measured: tuple[FloatArray, FloatArray, FloatArray],
    without: FloatArray,
) -> tuple[SourcedPredictor | None, str]:
    """Fit latencies of a device with what is known of others, where that predicts no worse.

    Parameters
    ----------
    campaign : Campaign
        Whose other devices and search space.
    target : Target
        The device.
    measured : (X, y, noise)
        Features (n, columns), latencies in ms (n,), and their standard deviations (n,).
    without : ndarray (n,)
        Predictions of rows left out, without other devices.

    Returns
    -------
    predictor : SourcedPredictor or None
        None where there are no other devices, or its left-out error is larger than that of `without`.
    said : str
        What was trusted and why, in a sentence without a full stop; empty where there are no other devices.
    """
    sources = device_sources(campaign, target, FITTED)
    if not sources:
        return None, ""
    X, y, noise = measured
    given = {name: (source.X, source.y) for name, source in sources.items()}
    try:
        found = SourcedPredictor(campaign.loaded.net.schema(), given, seed=campaign.config.search.seed)
        found.fit(X, y, noise)
    except PredictorError as error:
        return None, f"other devices are not used: {error.message}"
    left = 100.0 * float(np.abs(found.oof_predictions_ / y - 1.0).mean())
    own = 100.0 * float(np.abs(without / y - 1.0).mean())
    errors = f"left-out error {left:.1f} % with other devices, {own:.1f} % without"
    if not no_worse(found.oof_predictions_, without, y):
        return None, f"other devices do not help and are not used: {errors}"
    return found, f"{found.trusted_}; {errors}"
