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
from predictors.sources import LEAST, Source

#: rows of a source that are learnt from
ROWS = 512


def device_sources(campaign: Campaign, target: Target) -> dict[str, Source]:
    """Collect latencies of other devices.

    Parameters
    ----------
    campaign : Campaign
        Whose search space.
    target : Target
        The device that is not its own source.

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
            chosen = [ids[i] for i in sorted(rng.permutation(len(ids))[:ROWS])]
            archs = campaign.store.architectures(campaign.space, chosen)
            found[name] = Source(features(campaign, archs), np.array([latencies[a.id] for a in archs]))
    replayed = str(target.facts.get("table", ""))
    for name in latency_tables.devices():
        if campaign.space.name not in latency_tables.show(name)["tables"] or replayed.startswith(f"{name}/"):
            continue
        archs, y = _table(campaign, name, rng)
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


def _table(campaign: Campaign, name: str, rng: np.random.Generator) -> tuple[list[Architecture], FloatArray]:
    """Read some rows of a table; those that are not of the campaign's space are left out."""
    table = latency_tables.load(name, campaign.space.name)
    genes = [n for n in campaign.space.names if n in table.columns]
    archs, y = [], []
    for place in sorted(rng.permutation(len(table))[:ROWS]):
        row = table.iloc[place]
        plain = {n: row[n].item() if hasattr(row[n], "item") else row[n] for n in genes if not pd.isna(row[n])}
        try:
            archs.append(campaign.space.architecture(plain))
        except HwsearchError:
            continue
        y.append(float(row["latency_ms"]))
    return archs, np.array(y)
