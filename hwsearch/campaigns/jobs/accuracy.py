"""Measure accuracies. Results already in the store are reused; each new one is committed as soon as it exists."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

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
    begun = _begun(campaign, split, purpose, ids)
    data, batch = campaign.data[split], campaign.config.data.batch
    calibrated = len(campaign.data.get(Split.CALIBRATION, ()))
    shown: dict[str, int] = {}

    def score(arch: Architecture) -> Score:
        size, before = campaign.loaded.net.input_size(arch), begun.get(arch.id)
        left = _examples_after(campaign, split, int(before.details["images"])) if before else data
        shown[arch.id] = len(left) + (0 if is_recalibrated(campaign, arch) else calibrated)
        value = campaign.loaded.task.evaluate(ready_subnet(campaign, arch), left, size, batch=batch)
        return recorded_score(campaign, before).joined(value) if before else value

    def row(arch: Architecture, value: Score | None, started: str, failure: str | None) -> Measurement:
        return accuracy_row(campaign, arch, value, split, purpose, started, failure=failure, shown=shown.get(arch.id))

    def note(took: Sequence[float]) -> str:
        campaign.pace.note("evaluate", len(took) * (len(data) + calibrated), sum(took))
        return f"{len(data):,} examples each"

    return measure_shared(campaign, archs, "accuracy", score, row, note, split=split, purpose=purpose, stage=stage)


def measure_shared(
    campaign: Campaign,
    archs: Sequence[Architecture],
    metric: str,
    score: Callable[[Architecture], Score],
    row: Callable[[Architecture, Score | None, str, str | None], Measurement],
    note: Callable[[Sequence[float]], str],
    *,
    split: str,
    purpose: Purpose,
    stage: str,
) -> dict[str, Measurement]:
    """Measure a score of every architecture that the store has none of, shared with other processes of the campaign.

    Parameters
    ----------
    campaign, archs, split, purpose, stage
        As of `measure_accuracy`.
    metric : str
        Name of the score's metric.
    score : callable
        Scores one subnet; a `MeasurementError` is kept as its failure, all others hold for all subnets.
    row : callable
        Makes what the store keeps of an architecture, its score or None, when that began, and the failure or None.
    note : callable
        Takes the seconds of each subnet that this process scored; gives words for the progress.

    Returns
    -------
    dict of str to Measurement
        By architecture id; what cannot be scored is missing.
    """
    ids = list(dict.fromkeys(a.id for a in archs))
    known = find_accuracy(campaign, split, purpose, ids, metric)
    given_up = find_failed_too_often(campaign, metric, campaign.example_subject(split))
    todo = [a for a in dict.fromkeys(archs) if a.id not in known and a.id not in given_up]
    campaign.enter(archs)
    by_key = {row(a, None, utc_now(), "open").key: a for a in todo}  # a job is named as the measurement that it is for
    jobs = [shared_job(campaign, key, campaign.example_subject(split)) for key in by_key]
    took: list[float] = []

    def measure(key: str) -> list[Measurement]:
        """Score one subnet, unless another process just did."""
        if campaign.store.known([key]):
            return []
        arch, started, began = by_key[key], utc_now(), time.monotonic()
        value: Score | None = None
        failure = None
        try:
            value = score(arch)
        except MeasurementError as error:
            failure = str(error)
            campaign.progress.warn(f"subnet {arch.id}: {failure}")
        found = row(arch, value, started, failure)
        if value:
            known[arch.id] = found
        took.append(time.monotonic() - began)
        return [found]

    with campaign.progress.task(stage, len(archs), "subnets") as task:
        task.update(len(archs) - len(todo))
        share_jobs(campaign, jobs, measure, lambda done: task.update(len(archs) - len(todo) + done))
        task.note(note(took) + (f" · {len(archs) - len(todo)} already known" if len(todo) < len(archs) else ""))
    if any(a.id not in known for a in todo):  # others measured them, or nobody could
        known |= find_accuracy(campaign, split, purpose, ids, metric)
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
    return score_row(
        arch,
        "accuracy",
        score,
        subject=campaign.example_subject(split),
        protocol=accuracy_protocol(campaign),
        purpose=purpose,
        unit=task.score_unit,
        details={
            "images": len(campaign.data[split]),
            "score": task.score_name,
            "split": str(split),
            **({} if shown is None else {"shown": shown}),
        },
        started=started,
        failure=failure,
        weights=weights or campaign.loaded.digest,
    )


def score_row(
    arch: Architecture,
    metric: str,
    score: Score | None,
    *,
    subject: str,
    protocol: str,
    purpose: Purpose,
    unit: str,
    details: Mapping[str, object],
    started: str,
    weights: str,
    failure: str | None = None,
) -> Measurement:
    """Make a score of any metric, or the failure to get one, as the store keeps it.

    Parameters
    ----------
    arch : Architecture
        The subnet.
    metric : str
        Such as ``accuracy``.
    score : Score or None
        None for a failure.
    subject, protocol, unit : str
        As in `hwsearch.store.Measurement`.
    purpose : Purpose
        What it was scored for.
    details : mapping of str to object
        What else is told of it; its standard error is added.
    started : str
        When the evaluation began, UTC.
    weights : str
        Their digest.
    failure : str, optional
        What happened, where there is no score.

    Returns
    -------
    Measurement
        With a 95 % interval.
    """
    value, error = (score.value, score.standard_error) if score else (None, None)
    half = Z95 * error if error is not None else None
    return Measurement(
        arch_id=arch.id,
        metric=metric,
        subject=subject,
        protocol=protocol,
        purpose=str(purpose),
        value=value,
        unit=unit,
        spread=half,
        low=value - half if value is not None and half is not None else None,
        high=value + half if value is not None and half is not None else None,
        repeats=1,
        failure=failure,
        details={**details, "standard_error": error},
        record=score.pack() if score else None,
        started_at=started,
        ended_at=utc_now(),
        supernet=weights,
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
