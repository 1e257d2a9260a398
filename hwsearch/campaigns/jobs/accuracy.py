"""Measure accuracies. Results already in the store are reused; each new one is committed as soon as it exists."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import numpy as np

from hwsearch.accuracy import Z95, Score
from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.jobs.sharing import share_jobs, shared_job
from hwsearch.campaigns.jobs.workloads import is_recalibrated, ready_subnet
from hwsearch.campaigns.lookup import accuracy_protocol, find_accuracy, find_failed_too_often
from hwsearch.campaigns.purpose import SEARCH, Purpose
from hwsearch.campaigns.score_table import numbers
from hwsearch.campaigns.split import Split, partial_splits
from hwsearch.errors import MeasurementError
from hwsearch.spaces import Architecture
from hwsearch.store import Measurement, utc_now
from hwsearch.tasks.data import Data


def measure_accuracy(
    campaign: Campaign,
    archs: Sequence[Architecture],
    *,
    split: str = Split.VALIDATION,
    purpose: Purpose = SEARCH,
    stage: str = "evaluate",
) -> dict[str, Measurement]:
    """Measure the score of every architecture on one data split; each is stored as soon as it is known.

    Several processes with one campaign share the work: each subnet is evaluated by one of them. What a subnet has answered of the first
    validation examples, in a screening or on a lower fidelity, is not asked again.

    Parameters
    ----------
    campaign : Campaign
        Whose supernet, data and store.
    archs : sequence of Architecture
        What is scored.
    split : str
        The data: a `Split`, or `first_examples`.
    purpose : Purpose
        What it is scored for.
    stage : str
        Name of the step, for progress.

    Returns
    -------
    dict of str to Measurement
        In the score's unit, by architecture id; what cannot be scored is missing.
    """
    ids = list(dict.fromkeys(a.id for a in archs))
    known = find_accuracy(campaign, split, purpose, ids)
    begun = _begun(campaign, split, purpose, ids)
    given_up = find_failed_too_often(campaign, "accuracy", campaign.example_subject(split))
    todo = [a for a in dict.fromkeys(archs) if a.id not in known and a.id not in given_up]
    data = campaign.data[split]
    campaign.enter(archs)
    # a job is named as the measurement that it is for
    by_key = {accuracy_row(campaign, a, None, split, purpose, utc_now(), failure="open").key: a for a in todo}
    jobs = [shared_job(campaign, key, campaign.example_subject(split)) for key in by_key]
    took: list[float] = []
    shown: dict[str, int] = {}
    calibrated = len(campaign.data.get(Split.CALIBRATION, ()))

    def evaluate(key: str) -> list[Measurement]:
        """Score one subnet, unless another process just did."""
        if campaign.store.known([key]):
            return []
        arch, started, began = by_key[key], utc_now(), time.monotonic()
        value: Score | None = None
        failure = None
        try:
            size, batch = campaign.loaded.net.input_size(arch), campaign.config.data.batch
            before = begun.get(arch.id)
            left = _examples_after(campaign, split, int(before.details["images"])) if before else data
            shown[arch.id] = len(left) + (0 if is_recalibrated(campaign, arch) else calibrated)
            value = campaign.loaded.task.evaluate(ready_subnet(campaign, arch), left, size, batch=batch)
            if before:
                value = recorded_score(campaign, before).joined(value)
        except MeasurementError as error:
            failure = str(error)
            campaign.progress.warn(f"subnet {arch.id}: {failure}")
        row = accuracy_row(campaign, arch, value, split, purpose, started, failure=failure, shown=shown.get(arch.id))
        if value:
            known[arch.id] = row
        took.append(time.monotonic() - began)
        return [row]

    with campaign.progress.task(stage, len(archs), "subnets") as task:
        task.update(len(archs) - len(todo))
        share_jobs(campaign, jobs, evaluate, lambda done: task.update(len(archs) - len(todo) + done))
        campaign.pace.note("evaluate", len(took) * (len(data) + calibrated), sum(took))
        task.note(
            f"{len(data):,} examples each"
            + (f" · {len(archs) - len(todo)} already known" if len(todo) < len(archs) else "")
        )
    if any(a.id not in known for a in todo):  # others measured them, or nobody could
        known |= find_accuracy(campaign, split, purpose, ids)
    return {a.id: known[a.id] for a in archs if a.id in known}


def _begun(campaign: Campaign, split: str, purpose: Purpose, ids: Sequence[str]) -> dict[str, Measurement]:
    """Return what subnets have answered of the first examples of a split, the most of it."""
    partial = partial_splits(campaign.data)
    found: dict[str, Measurement] = {}
    if split == Split.VALIDATION or split in partial:
        for few in partial:
            if len(campaign.data[few]) < len(campaign.data[split]):
                found |= find_accuracy(campaign, few, purpose, ids)
    return found


def _examples_after(campaign: Campaign, split: str, seen: int) -> Data:
    """Return the examples of a split that come after the first ones; the same object each time, since it keeps what it prepared."""
    kept: dict[tuple[str, int], Data] = vars(campaign).setdefault("_after", {})
    if (split, seen) not in kept:
        whole = campaign.data[split]
        kept[split, seen] = whole.take(np.arange(seen, len(whole)))
    return kept[split, seen]


def recorded_score(campaign: Campaign, m: Measurement) -> Score:
    """Return a measured score with what each example contributed.

    Parameters
    ----------
    campaign : Campaign
        Whose kind of score.
    m : Measurement
        An accuracy with its record.

    Returns
    -------
    Score
        As it was when it was stored.
    """
    return campaign.loaded.task.unpack(m.record or b"", int(m.details["images"]))


def accuracy_row(
    campaign: Campaign,
    arch: Architecture,
    score: Score | None,
    split: str,
    purpose: Purpose,
    started: str,
    *,
    failure: str | None = None,
    weights: str | None = None,
    shown: int | None = None,
) -> Measurement:
    """Make a score, or the failure to get one, as the store keeps it.

    Parameters
    ----------
    campaign : Campaign
        Whose data and supernet.
    arch : Architecture
        The subnet.
    score : Score or None
        None for a failure.
    split : str
        What it was scored on.
    purpose : Purpose
        What it was scored for.
    started : str
        When the evaluation began, UTC.
    failure : str, optional
        What happened, where there is no score.
    weights : str, optional
        Their digest, where they are not the supernet's.
    shown : int, optional
        Examples that the network was shown for it, recalibration included.

    Returns
    -------
    Measurement
        With a 95 % interval.
    """
    task = campaign.loaded.task
    value, error = (score.value, score.standard_error) if score else (None, None)
    half = Z95 * error if error is not None else None
    return Measurement(
        arch_id=arch.id,
        metric="accuracy",
        subject=campaign.example_subject(split),
        protocol=accuracy_protocol(campaign),
        purpose=str(purpose),
        value=value,
        unit=task.score_unit,
        spread=half,
        low=value - half if value is not None and half is not None else None,
        high=value + half if value is not None and half is not None else None,
        repeats=1,
        failure=failure,
        details={
            "images": len(campaign.data[split]),
            "score": task.score_name,
            "split": str(split),
            "standard_error": error,
            **({} if shown is None else {"shown": shown}),
        },
        record=score.pack() if score else None,
        started_at=started,
        ended_at=utc_now(),
        supernet=weights or campaign.loaded.digest,
    )


def checkpoint_warnings(campaign: Campaign, scores: Mapping[str, Measurement]) -> list[str]:
    """Return warnings that weights and data may not match: all scores equal, or the best at chance level.

    Parameters
    ----------
    campaign : Campaign
        Whose kind of score and classes.
    scores : mapping of str to Measurement
        Accuracies of several subnets, by id.

    Returns
    -------
    list of str
        At most one sentence.
    """
    ids = list(scores)
    if not ids:
        return []
    found = numbers(scores, "value", ids)
    task = campaign.loaded.task
    best = scores[ids[int(np.argmax(found))]]
    value, error = float(best.value or 0.0), float(best.details["standard_error"])
    words = f"{task.score_name} {value:.1f}{f' {task.score_unit}' if task.score_unit else ''}"
    if len(found) > 1 and (found == found[0]).all():
        return [f"all {len(found)} evaluated subnets have the same {words}: there is nothing to choose by."]
    least = task.no_better_than(value, error, campaign.data[Split.TEST])
    if least is None:
        return []
    return [
        f"the best of {len(found)} evaluated subnets has {words}, which is not clearly better than {least} "
        "weights and data may not belong together."
    ]
