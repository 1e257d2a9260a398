"""Latencies of a device on which little has been measured, from those of other devices: which subnets to time, and what follows."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

import latency_tables
from hwsearch._json import JsonObject
from hwsearch._typing import FloatArray
from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.jobs.latency import measure_latency
from hwsearch.campaigns.known import Known
from hwsearch.campaigns.predictions import feature_matrix, predictor_errors
from hwsearch.campaigns.score_table import numbers
from hwsearch.campaigns.split import Split
from hwsearch.campaigns.target import Target
from hwsearch.errors import CampaignError, HwsearchError
from hwsearch.objectives.objective import Objective
from hwsearch.objectives.pareto import non_dominated
from hwsearch.spaces import Architecture
from predictors.sources import LEAST, Source
from predictors.transfer import WEIGHED, DeviceTransferPredictor

#: architectures among which it is chosen what to time; rows of a source that are learnt from
POOL, ROWS = 300, 512
#: most subnets that one plan names
MOST = 200


@dataclass(frozen=True)
class DevicePlan:
    """What to time on a device, and what is known of it then.

    Attributes
    ----------
    device : str
        Its name.
    sources : dict of str to int
        Other devices that were learnt from, and latencies of each: devices of the campaign, and ``table:NAME`` of shipped tables.
    measured : int
        Subnets that have been timed on the device, the new ones included.
    subnets : pandas.DataFrame
        What to time, the most telling first: ``arch_id``, ``genes``, and ``latency_ms`` where it has been timed by now.
    trusted : str or None
        What the prediction rests on, in a clause; None while nothing has been timed.
    front : pandas.DataFrame
        Of the subnets that have been scored, those that no other dominates by its measured accuracy and predicted latency:
        ``arch_id``, ``genes``, ``accuracy`` (validation data), ``latency_ms``, ``latency_ms_low``, ``latency_ms_high``. Nothing in
        it is a measurement of this device; empty while nothing has been timed or scored.
    """

    device: str
    sources: dict[str, int]
    measured: int
    subnets: pd.DataFrame
    trusted: str | None = None
    front: pd.DataFrame = field(default_factory=pd.DataFrame)

    def to_dict(self) -> JsonObject:
        """Describe the plan by values that JSON knows.

        Returns
        -------
        dict
            Its attributes; frames as lists of rows.
        """
        frames = {"subnets": self.subnets.to_dict("records"), "front": self.front.to_dict("records")}
        plain = {"device": self.device, "sources": self.sources, "measured": self.measured, "trusted": self.trusted}
        return plain | frames


def plan_device(
    campaign: Campaign, target: Target, samples: int = 10, *, measure: bool = False, coverage: float = 0.95
) -> DevicePlan:
    """Choose which subnets tell most about a device, time them if asked, and predict the others.

    Parameters
    ----------
    campaign : Campaign
        Whose other devices are sources, together with shipped tables of its search space.
    target : Target
        The device.
    samples : int
        How many subnets.
    measure : bool
        Whether to time them: the first three together, then one after the other, each chosen by what the former told.
    coverage : float
        Share of new measurements that the intervals of the front are to hold.

    Returns
    -------
    DevicePlan
        What to time, and the predicted front.

    Raises
    ------
    CampaignError
        If `samples` or `coverage` is out of range.
    DeviceError
        If the device is lost; what has been timed is kept.
    """
    if not 0 < samples <= MOST:
        raise CampaignError(f"samples {samples} is not from 1 to {MOST}.", hint="Ten tell most of what can be told.")
    if not 0.0 < coverage < 1.0:
        raise CampaignError(f"coverage {coverage!r} is not between 0 and 1.", hint="Give a share such as 0.95.")
    with predictor_errors(f"latencies on {target.name!r} cannot be predicted"):
        with campaign.progress.task("learn from others", 2, "parts") as task:
            sources = _sources(campaign, target)
            task.update(1)
            model = DeviceTransferPredictor(campaign.loaded.net.schema(), sources)
            task.update(2)
            task.note(f"{len(sources)} devices, {sum(len(s.y) for s in sources.values())} latencies")
        wanted = _choose(campaign, target, model, samples, measure)
        found = _timed(campaign, target)
        subnets = pd.DataFrame(
            {
                "arch_id": [a.id for a in wanted],
                "genes": [a.to_dict() for a in wanted],
                "latency_ms": [found.get(a.id, np.nan) for a in wanted],
            }
        )
        trusted, front = None, pd.DataFrame()
        if found:
            ids = list(found)
            archs = campaign.store.architectures(campaign.space, ids)
            y = np.array([found[a.id] for a in archs])
            model.fit(_features(campaign, archs), y)
            trusted = f"{len(y)} latencies; {model.explain()}"
            front = _front(campaign, model, coverage)
    return DevicePlan(target.name, {k: len(s.y) for k, s in sources.items()}, len(found), subnets, trusted, front)


def _choose(
    campaign: Campaign, target: Target, model: DeviceTransferPredictor, samples: int, measure: bool
) -> list[Architecture]:
    """Choose what to time, given what has been; time it if asked."""
    known = _timed(campaign, target)
    before = campaign.store.architectures(campaign.space, list(known))
    size = min(max(POOL, 2 * samples), campaign.space.cardinality - len(before))
    pool = [*before, *campaign.space.sample(size, campaign.rng("plan"), exclude=before)]
    samples = min(samples, size)
    whole = model.with_sources(_features(campaign, pool))
    measured = {i: known[a.id] for i, a in enumerate(before)}
    if not measure:
        return [pool[i] for i in model.plan_with_sources(whole, samples, measured)]
    chosen: list[int] = []
    while len(chosen) < samples:  # from less than three nothing is learnt: these are timed together
        number = min(samples - len(chosen), max(1, WEIGHED - len(measured)))
        free = np.ones(len(pool), dtype=bool)
        free[chosen] = False
        new = [int(i) for i in model.plan_with_sources(whole, number, measured, free)]
        chosen += new
        found = measure_latency(campaign, target, [pool[i] for i in new], stage="plan")
        told = {i: found[pool[i].id].value for i in new if pool[i].id in found}
        measured |= {i: float(v) for i, v in told.items() if v is not None}
    return [pool[i] for i in chosen]


def _timed(campaign: Campaign, target: Target) -> dict[str, float]:
    """Return latencies of a device by architecture id, as they are estimated from all of them."""
    found = Known.read(campaign).latency(target.name)
    ids = list(found)
    return {i: float(v) for i, v in zip(ids, numbers(found, "value", ids), strict=True) if np.isfinite(v)}


def _features(campaign: Campaign, archs: list[Architecture]) -> FloatArray:
    return feature_matrix(campaign, campaign.space.to_array(archs))


def _sources(campaign: Campaign, target: Target) -> dict[str, Source]:
    """Collect latencies of other devices: those of the campaign, and shipped tables of its space."""
    found: dict[str, Source] = {}
    rng = campaign.rng("sources")
    for other in campaign.targets.values():
        latencies = _timed(campaign, other) if other.fingerprint != target.fingerprint else {}
        if len(latencies) >= LEAST:
            ids = sorted(latencies)
            chosen = [ids[i] for i in sorted(rng.permutation(len(ids))[:ROWS])]
            archs = campaign.store.architectures(campaign.space, chosen)
            found[other.name] = Source(_features(campaign, archs), np.array([latencies[a.id] for a in archs]))
    replayed = str(target.facts.get("table", ""))
    for name in latency_tables.devices():
        if campaign.space.name not in latency_tables.show(name)["tables"] or replayed.startswith(f"{name}/"):
            continue
        archs, y = _table(campaign, name, rng)
        if len(y) >= LEAST:
            found[f"table:{name}"] = Source(_features(campaign, archs), y)
    return found


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


def _front(campaign: Campaign, model: DeviceTransferPredictor, coverage: float) -> pd.DataFrame:
    """Return what is not dominated by measured accuracy and predicted latency, the fastest first."""
    scored = Known.read(campaign).accuracy(Split.VALIDATION)
    archs = campaign.store.architectures(campaign.space, list(scored))
    if not archs:
        return pd.DataFrame()
    X = _features(campaign, archs)
    latency, (low, high) = model.predict(X), model.predict_interval(X, coverage)
    accuracy = numbers(scored, "value", [a.id for a in archs])
    keep = non_dominated(np.column_stack([accuracy, latency]), [Objective("accuracy"), Objective("latency_ms")])
    frame = pd.DataFrame(
        {
            "arch_id": [a.id for a in archs],
            "genes": [a.to_dict() for a in archs],
            "accuracy": accuracy,
            "latency_ms": latency,
            "latency_ms_low": low,
            "latency_ms_high": high,
        }
    )
    return frame[keep].sort_values("latency_ms", ignore_index=True)
