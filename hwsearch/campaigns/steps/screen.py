"""Screening: many candidates are measured on what is cheap, and those that then promise most on the rest, too."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hwsearch._typing import FloatArray
from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.jobs.accuracy import measure_accuracy, recorded_score
from hwsearch.campaigns.jobs.latency import measure_latencies
from hwsearch.campaigns.known import Known
from hwsearch.campaigns.lookup import find_accuracy
from hwsearch.campaigns.measured import MeasuredSet
from hwsearch.campaigns.purpose import SEARCH
from hwsearch.campaigns.split import Split, partial_splits
from hwsearch.campaigns.view import View
from hwsearch.objectives.names import SCORE_METRICS
from hwsearch.spaces import Architecture
from hwsearch.store import Measurement

#: how many pairs the error that sampling alone would have is worth
PRIOR_PAIRS = 3


def measure_cheap(campaign: Campaign, archs: Sequence[Architecture], stage: str) -> None:
    """Measure what ``[search] screening_metrics`` names.

    Parameters
    ----------
    campaign : Campaign
        Whose devices and data.
    archs : sequence of Architecture
        The candidates.
    stage : str
        Name of the step, for progress.

    Raises
    ------
    DeviceError
        If a device is lost.
    """
    c = campaign.config.search
    if "latency" in c.screening_metrics:
        measure_latencies(campaign, campaign.targets.values(), archs, stage=stage)
    if "accuracy" in c.screening_metrics and not c.screening_images:
        measure_accuracy(campaign, archs, stage=f"{stage} accuracy")
    elif "accuracy" in c.screening_metrics:
        known = find_accuracy(campaign, Split.VALIDATION, SEARCH)
        new = [a for a in archs if a.id not in known]
        measure_accuracy(campaign, new, split=Split.SCREEN, stage=f"{stage} accuracy")


@dataclass(frozen=True)
class Estimates:
    """Accuracies on all validation examples, as far as those on the first ones tell.

    Parameters
    ----------
    value : dict of str to float
        By architecture id, in the score's unit.
    error : dict of str to float
        Standard deviation of each about the score that all examples would give.
    """

    value: dict[str, float]
    error: dict[str, float]


def estimates(campaign: Campaign, known: Known) -> Estimates:
    """Estimate the accuracies of what was scored on the first validation examples and not on all of them.

    Where a subnet was scored on several numbers of them, the most count.

    Parameters
    ----------
    campaign : Campaign
        Whose data.
    known : Known
        What the store holds.

    Returns
    -------
    Estimates
        Empty without ``[search] screening_images`` and ``fidelities``.
    """
    value: dict[str, float] = {}
    error: dict[str, float] = {}
    evaluated = known.accuracy(Split.VALIDATION)
    for split in partial_splits(campaign.data):
        begun = {k: m for k, m in known.accuracy(split).items() if k not in evaluated}
        if begun:
            shift, deviation = shift_and_error(campaign, known, split)
            value |= {k: float(m.value or 0.0) + shift for k, m in begun.items()}
            error |= dict.fromkeys(begun, deviation)
    return Estimates(value, error)


def shift_and_error(campaign: Campaign, known: Known, split: str) -> tuple[float, float]:
    """Estimate by how much accuracies on all validation examples differ from those on the first ones.

    The examples differ in how hard they are, alike for all subnets: the mean difference between all and the first of
    them, over the subnets that have seen all at once, is added (those that were chosen for what they scored on the first
    ones would make it too small; they are taken where there are no others). Its scatter over these subnets is the error,
    together with the error of drawing the first ones from all without regard to that, which is an upper bound and counts as
    `PRIOR_PAIRS`. What subnets share on the same examples is thus no error; what is left is taken for independent.

    Parameters
    ----------
    campaign : Campaign
        Whose data.
    known : Known
        What the store holds.
    split : str
        Of the first examples.

    Returns
    -------
    shift, error : float
        What has to be added, and the standard deviation of the result; NaN where nothing has been scored on either.
    """
    few, every = len(campaign.data[split]), len(campaign.data[Split.VALIDATION])
    evaluated, screened = known.accuracy(Split.VALIDATION), known.accuracy(split)

    def pair(m: Measurement) -> tuple[float, float]:
        """Return the difference of all from the first, and its variance by sampling."""
        first = recorded_score(campaign, m).head(few)
        return float(m.value or 0.0) - first.value, first.standard_error**2 * (1.0 - few / every)

    begun = set().union(*(known.accuracy(s) for s in partial_splits(campaign.data)))
    at_once = [m for k, m in evaluated.items() if k not in begun]
    pairs: FloatArray = np.array([pair(m) for m in at_once or evaluated.values()]).reshape(-1, 2)
    if not len(pairs):
        sampled = [float(m.details["standard_error"]) ** 2 for m in screened.values()] or [math.nan]
        return 0.0, math.sqrt(np.mean(sampled) * (1.0 - few / every))
    shift, sampling = pairs.mean(axis=0)
    scatter = float(((pairs[:, 0] - shift) ** 2).sum())
    variance = (PRIOR_PAIRS * sampling + scatter) / (PRIOR_PAIRS + len(pairs) - 1) * (1.0 + 1.0 / len(pairs))
    return float(shift), math.sqrt(variance)


def completable(
    campaign: Campaign, view: View, measured: MeasuredSet, known: Known, guesses: Estimates
) -> list[Architecture]:
    """Return the subnets that have some of the accuracy, the verified accuracy and the latencies on the view's devices, not all.

    Parameters
    ----------
    campaign : Campaign
        Whose data.
    view : View
        The front.
    measured : MeasuredSet
        The view's, of the search.
    known : Known
        What the store holds.
    guesses : Estimates
        Of `estimates`; what they are of lacks an accuracy.

    Returns
    -------
    list of Architecture
        Without those whose measurement failed too often.
    """
    frame = measured.frame
    columns = [c for c in frame.columns if c in SCORE_METRICS or c.partition("@")[0] == "latency_ms"]
    lacking = frame[columns].isna().any(axis=1).to_numpy()
    found = {a.id: a for a, lacks in zip(measured.archs, lacking, strict=True) if lacks}
    found |= {k: measured.by_id[k] for k in guesses.value if k not in found}
    given_up = known.failed_too_often("accuracy", [Split.VALIDATION, *partial_splits(campaign.data)])
    given_up |= known.failed_too_often("latency_ms", [t.name for t in view.targets])
    return [a for k, a in found.items() if k not in given_up]
