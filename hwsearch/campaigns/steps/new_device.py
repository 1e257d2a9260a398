"""Latencies of a device on which little has been measured, from those of other devices: which subnets to time, and what follows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from hwsearch._json import JsonObject
from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.device_sources import device_sources, features, timed
from hwsearch.campaigns.jobs.latency import measure_latency
from hwsearch.campaigns.known import Known
from hwsearch.campaigns.predictions import predictor_errors
from hwsearch.campaigns.progress import PartProgress, Task
from hwsearch.campaigns.score_table import numbers
from hwsearch.campaigns.split import Split
from hwsearch.campaigns.target import Target
from hwsearch.errors import CampaignError
from hwsearch.spaces import Architecture
from predictors.front import front_flattery, log_errors, near_front
from predictors.transfer import WEIGHED, DeviceTransferPredictor

#: architectures among which it is chosen what to time
POOL = 300
#: subnets that are timed one after the other, each chosen by what the former told; those after them so many together
ONE_BY_ONE, TOGETHER = 10, 5
#: subnets nearest to the predicted front of which errors are drawn, and how many draws
DRAWN, DRAWS = 1000, 200
#: most subnets that one plan names
MOST = 200


@dataclass(frozen=True)
class DevicePlan:
    """Subnets to time on a device, and what is known of it then.

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
        ``arch_id``, ``genes``, ``accuracy`` (validation data), ``latency_ms``, ``latency_ms_low``, ``latency_ms_high``, and
        ``latency_ms_expected``, the prediction without the mean error that comes from having been chosen for a short one. Nothing in
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
        model, sources = learn_from_others(campaign, target)
        wanted = choose_subnets(campaign, target, model, samples, measure=measure)
        found = timed(campaign, target)
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
            model.fit(features(campaign, archs), y)
            trusted = f"{len(y)} latencies; {model.explain()}"
            front = _front(campaign, model, coverage)
    return DevicePlan(target.name, sources, len(found), subnets, trusted, front)


def learn_from_others(campaign: Campaign, target: Target) -> tuple[DeviceTransferPredictor, dict[str, int]]:
    """Make the predictor of a device from what is known of others.

    Parameters
    ----------
    campaign : Campaign
        Whose other devices and search space.
    target : Target
        The device.

    Returns
    -------
    model : DeviceTransferPredictor
        Not fitted.
    sources : dict of str to int
        Other devices, and latencies of each.
    """
    with campaign.progress.task("learn from others", 2, "parts") as task:
        sources = device_sources(campaign, target)
        task.update(1)
        model = DeviceTransferPredictor(campaign.loaded.net.schema(), sources)
        task.update(2)
        task.note(f"{len(sources)} devices, {sum(len(s.y) for s in sources.values())} latencies")
    return model, {name: len(source.y) for name, source in sources.items()}


def choose_subnets(
    campaign: Campaign,
    target: Target,
    model: DeviceTransferPredictor,
    samples: int,
    *,
    measure: bool,
    balanced: bool = False,
) -> list[Architecture]:
    """Choose what to time on a device, given what has been; time it if asked.

    Parameters
    ----------
    campaign : Campaign
        Whose space and store.
    target : Target
        The device.
    model : DeviceTransferPredictor
        Of `learn_from_others`.
    samples : int
        How many subnets.
    measure : bool
        Whether to time them: what takes three to learn from together, then one after the other up to `ONE_BY_ONE`, then
        `TOGETHER` at a time.
    balanced : bool
        Whether to choose among subnets spread over cost, in place of uniform ones.

    Returns
    -------
    list of Architecture
        The most telling first.

    Raises
    ------
    DeviceError
        If the device is lost; what has been timed is kept.
    """
    known = timed(campaign, target)
    before = campaign.store.architectures(campaign.space, list(known))
    size = min(max(POOL, 2 * samples), campaign.space.cardinality - len(before))
    pool = [*before, *_pool(campaign, size, before, balanced)]
    samples = min(samples, len(pool) - len(before))
    whole = model.with_sources(features(campaign, pool))
    measured = {i: known[a.id] for i, a in enumerate(before)}
    if not measure:
        return [pool[i] for i in model.plan_with_sources(whole, samples, measured)]
    chosen: list[int] = []
    with campaign.progress.task(f"choose and time for {target.name}", samples, "subnets") as task:
        while len(chosen) < samples:
            have = len(before) + len(chosen)
            step = max(1, WEIGHED - have) if have < ONE_BY_ONE else TOGETHER
            number = min(samples - len(chosen), step)
            free = np.ones(len(pool), dtype=bool)
            free[chosen] = False
            new = [int(i) for i in model.plan_with_sources(whole, number, measured, free)]
            chosen += new
            with _as_part(campaign, task, len(chosen) - len(new)):
                found = measure_latency(campaign, target, [pool[i] for i in new], stage="plan")
            told = {i: found[pool[i].id].value for i in new if pool[i].id in found}
            measured |= {i: float(v) for i, v in told.items() if v is not None}
            task.update(len(chosen))
    return [pool[i] for i in chosen]


@contextmanager
def _as_part(campaign: Campaign, task: Task, before: float) -> Iterator[None]:
    """Show what is measured as a part of a step under way."""
    shown = campaign.progress
    campaign.progress = PartProgress(shown, task, before)
    try:
        yield
    finally:
        campaign.progress = shown


def _pool(campaign: Campaign, size: int, before: list[Architecture], balanced: bool) -> list[Architecture]:
    """Draw architectures that have not been timed, the same at every call."""
    space, rng = campaign.space, campaign.rng("plan")
    if balanced:
        return space.sample_balanced(size, rng, campaign.loaded.balanced_cost, exclude=before)
    return space.sample(size, rng, exclude=before)


def _front(campaign: Campaign, model: DeviceTransferPredictor, coverage: float) -> pd.DataFrame:
    """Return what is not dominated by measured accuracy and predicted latency, the fastest first."""
    scored = Known.read(campaign).accuracy(Split.VALIDATION)
    archs = campaign.store.architectures(campaign.space, [i for i in scored if scored[i].value is not None])
    if not archs:
        return pd.DataFrame()
    whole = model.with_sources(features(campaign, archs))  # the sources are asked once
    latency = model.predict_with_sources(whole)
    low, high = model.predict_interval_with_sources(whole, coverage)
    accuracy = numbers(scored, "value", [a.id for a in archs])
    near = near_front(np.column_stack([-accuracy, latency]), DRAWN)
    errors = np.zeros((DRAWS, len(near), 2))  # accuracies are measured: only latencies flatter
    errors[:, :, 1] = log_errors(model, whole[near], DRAWS, campaign.rng("plan front"))
    at, flattery = front_flattery(np.column_stack([-accuracy[near], np.log(latency[near])]), errors)
    chosen = near[at]
    expected = np.full(len(archs), np.nan)
    expected[chosen] = latency[chosen] * np.exp(-flattery[:, 1])
    frame = pd.DataFrame(
        {
            "arch_id": [a.id for a in archs],
            "genes": [a.to_dict() for a in archs],
            "accuracy": accuracy,
            "latency_ms": latency,
            "latency_ms_low": low,
            "latency_ms_high": high,
            "latency_ms_expected": expected,
        }
    )
    return frame.iloc[chosen].sort_values("latency_ms", ignore_index=True)
