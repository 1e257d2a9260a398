"""Screening: many candidates are measured on what is cheap, and those that then promise most on the rest, too."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from hwsearch._typing import FloatArray
from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.frames import archs_of
from hwsearch.campaigns.jobs.accuracy import measure_accuracy, recorded
from hwsearch.campaigns.jobs.latency import measure_latencies
from hwsearch.campaigns.known import failed_too_often, find_accuracy
from hwsearch.campaigns.view import View
from hwsearch.spaces import Architecture
from hwsearch.store import Measurement

#: how many pairs the error that sampling alone would have is worth
PRIOR_PAIRS = 3


def measure_cheap(campaign: Campaign, archs: Sequence[Architecture], stage: str) -> None:
    """What ``[search] screen_with`` names, of every architecture."""
    c = campaign.config.search
    if "latency" in c.screen_with:
        measure_latencies(campaign, campaign.targets.values(), archs, stage=stage)
    if "accuracy" in c.screen_with and not c.screen_images:
        measure_accuracy(campaign, archs, stage=f"{stage} accuracy")
    elif "accuracy" in c.screen_with:
        known = find_accuracy(campaign, "validation", "search")
        new = [a for a in archs if a.id not in known]
        measure_accuracy(campaign, new, split="screen", stage=f"{stage} accuracy")


@dataclass(frozen=True)
class Estimates:
    """Accuracies on all validation examples, as far as those on the first ones tell.

    value : by architecture id, in the score's unit; error : standard deviation of each about the measured one
    """

    value: dict[str, float]
    error: float


def estimates(campaign: Campaign) -> Estimates:
    """Of what was screened and not evaluated on all validation examples; empty without ``[search] screen_images``.

    The examples differ in how hard they are, alike for all subnets: the mean difference between all and the first of
    them, over the subnets that have seen all at once, is added (those that were chosen for what they scored on the first
    ones would make it too small; they are taken where there are no others). Its scatter over these subnets is the error,
    together with the error of drawing the first ones from all without regard to that, which is an upper bound and counts as
    `PRIOR_PAIRS`.
    """
    if "screen" not in campaign.data:
        return Estimates({}, math.nan)
    few, every = len(campaign.data["screen"]), len(campaign.data["validation"])
    known = find_accuracy(campaign, "validation", "search")
    screened = find_accuracy(campaign, "screen", "search")
    begun = {k: m for k, m in screened.items() if k not in known}
    if not begun:
        return Estimates({}, math.nan)

    def pair(m: Measurement) -> tuple[float, float]:
        """(difference of all from the first, variance of that by sampling)."""
        first = recorded(campaign, m).head(few)
        return float(m.value or 0.0) - first.value, first.standard_error**2 * (1.0 - few / every)

    at_once = [m for k, m in known.items() if k not in screened]
    pairs: FloatArray = np.array([pair(m) for m in at_once or known.values()]).reshape(-1, 2)
    if not len(pairs):
        variance = np.mean([float(m.details["standard_error"]) ** 2 for m in begun.values()]) * (1.0 - few / every)
        return Estimates({k: float(m.value or 0.0) for k, m in begun.items()}, math.sqrt(variance))
    shift, sampling = pairs.mean(axis=0)
    scatter = float(((pairs[:, 0] - shift) ** 2).sum())
    variance = (PRIOR_PAIRS * sampling + scatter) / (PRIOR_PAIRS + len(pairs) - 1) * (1.0 + 1.0 / len(pairs))
    return Estimates({k: float(m.value or 0.0) + float(shift) for k, m in begun.items()}, math.sqrt(variance))


def candidates(campaign: Campaign, view: View, frame: pd.DataFrame, guesses: Estimates) -> list[Architecture]:
    """What can be completed: subnets with a latency on the view's devices or an accuracy, that lack the other.

    frame : the view's, of the search; guesses : `estimates`. Those whose measurement failed too often are left out.
    """
    columns = [c for c in frame.columns if c == "accuracy" or c.partition("@")[0] == "latency_ms"]
    lacking = frame[columns].isna().any(axis=1).to_numpy()
    found = {a.id: a for a, lacks in zip(archs_of(frame), lacking, strict=True) if lacks}
    by_id = frame.attrs["archs"]
    found |= {k: by_id[k] for k in guesses.value if k not in found}
    given_up: set[str] = set()
    for split in ("validation", "screen"):
        if split in campaign.data:
            given_up |= failed_too_often(campaign, "accuracy", campaign.example_subject(split))
    for target in view.targets:
        given_up |= failed_too_often(campaign, "latency_ms", target.fingerprint)
    return [a for k, a in found.items() if k not in given_up]
