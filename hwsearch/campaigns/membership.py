"""How sure it is that a subnet is on a front: Monte Carlo over what the measurements leave open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hwsearch._typing import FloatArray
from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.known import find_accuracy
from hwsearch.campaigns.view import View

#: drawn truths
DRAWS = 2000
#: comparisons of two subnets in one array
BLOCK = 4_000_000


def dominance(costs: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(share of draws in which each row is not dominated (n,), in which row j dominates row i (n, n)).

    costs : (draws, n, m), smaller is better. Of equal rows none dominates the other.
    """
    draws, n, _ = costs.shape
    alone, beaten = np.zeros(n), np.zeros((n, n))
    step = max(1, BLOCK // max(1, n * n))
    for start in range(0, draws, step):
        part = costs[start : start + step]
        mine, theirs = part[:, :, None, :], part[:, None, :, :]
        wins = np.asarray((theirs <= mine).all(axis=-1) & (theirs < mine).any(axis=-1))
        alone += (~wins.any(axis=2)).sum(axis=0)
        beaten += wins.sum(axis=0)
    return alone / draws, beaten / draws


@dataclass(frozen=True)
class Membership:
    """Of each candidate of a view: is it on the front?

    ids : (n,) architecture ids
    probability : (n,) that it is, by the intervals of what is measured on devices, given the scores on the test data
    elsewhere : (n,) the same on other test data of the same kind and number: with the sampling error of the scores
    beaten : (n, n) that row j dominates row i, as in `probability`
    """

    ids: tuple[str, ...]
    probability: FloatArray
    elsewhere: FloatArray
    beaten: FloatArray

    def unsettled(self, confidence: float) -> NDArray[np.bool_]:
        """(n,) whether neither yes nor no is as sure as that."""
        sure = np.maximum(self.probability, 1 - self.probability)
        return np.asarray(sure < confidence)

    def to_measure(self, confidence: float) -> list[str]:
        """Ids of what is unsettled, and of what its membership depends on."""
        open_ = self.unsettled(confidence)
        low = (1 - confidence) / 2
        rivals = ((self.beaten > low) & (self.beaten < 1 - low))[open_].any(axis=0)
        return [i for i, wanted in zip(self.ids, open_ | rivals, strict=True) if wanted]

    def to_dict(self) -> dict[str, list[float]]:
        """By id: [probability, elsewhere], rounded."""
        pairs = zip(self.ids, self.probability, self.elsewhere, strict=True)
        return {i: [round(float(p), 4), round(float(q), 4)] for i, p, q in pairs}


def membership(campaign: Campaign, view: View, frame: pd.DataFrame) -> Membership:
    """Of each row of a frame of final measurements, complete in all objectives; the same at every call."""
    rng = campaign.rng(f"membership:{view.name}")
    costs = view.draws(frame, DRAWS, rng)
    probability, beaten = dominance(costs)
    other = costs.copy()
    ids = tuple(str(i) for i in frame["arch_id"])
    scores = resampled_scores(campaign, ids, DRAWS, rng)
    for j, o in enumerate(view.front_objectives):
        if o.metric == "accuracy":
            other[:, :, j] = scores * o.sign
    return Membership(ids, probability, dominance(other)[0], beaten)


def resampled_scores(campaign: Campaign, ids: Sequence[str], size: int, rng: np.random.Generator) -> FloatArray:
    """(size, subnets) scores as on other test data: all subnets on the same resampled images (the Bayesian bootstrap,
    Rubin 1981); where only a standard error is known, normal and independent.
    """
    known = find_accuracy(campaign, "test", "validate")
    rows, task = [known[i] for i in ids], campaign.loaded.task
    if not task.counts_correct or any(m.record is None for m in rows):
        centre = np.array([float(m.value or 0.0) for m in rows])
        error = np.array([float(m.details["standard_error"]) for m in rows])
        return np.asarray(centre + error * rng.standard_normal((size, len(rows))))
    correct = np.stack([task.unpack(m.record or b"", int(m.details["images"])).correct for m in rows], axis=1)
    plain = correct.astype(np.float32)
    found = []
    for start in range(0, size, 100):  # weights of 100 draws at a time: images may be many
        weight = rng.standard_exponential((min(100, size - start), len(plain)), dtype=np.float32)
        found.append(100 * (weight @ plain) / weight.sum(axis=1, keepdims=True))
    return np.concatenate(found).astype(np.float64)
