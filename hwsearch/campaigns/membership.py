"""The probability that a subnet is on a front: Monte Carlo over the errors of the measurements."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hwsearch._typing import BoolArray, FloatArray
from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.known import Known
from hwsearch.campaigns.measured import MeasuredSet
from hwsearch.campaigns.noise import draws
from hwsearch.campaigns.purpose import VALIDATE
from hwsearch.campaigns.split import Split
from hwsearch.campaigns.view import View
from hwsearch.objectives.names import SCORE_METRICS

#: drawn truths
DRAWS = 2000
#: comparisons of two subnets in one array
BLOCK = 4_000_000


def dominance(costs: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Count over draws how often rows are dominated.

    Parameters
    ----------
    costs : FloatArray
        (draws, n, objectives), smaller is better. Of equal rows none dominates the other.

    Returns
    -------
    tuple of FloatArray
        (n,) share of draws in which each row is not dominated; (n, n) in which row j dominates row i.

    Examples
    --------
    >>> alone, beaten = dominance(np.array([[[1.0, 1.0], [2.0, 2.0]], [[1.0, 2.0], [2.0, 1.0]]]))
    >>> alone.tolist(), float(beaten[1, 0])
    ([1.0, 0.5], 0.5)
    """
    size, n, _ = costs.shape
    alone, beaten = np.zeros(n), np.zeros((n, n))
    step = max(1, BLOCK // max(1, n * n))
    for start in range(0, size, step):
        part = costs[start : start + step]
        mine, theirs = part[:, :, None, :], part[:, None, :, :]
        wins = np.asarray((theirs <= mine).all(axis=-1) & (theirs < mine).any(axis=-1))
        alone += (~wins.any(axis=2)).sum(axis=0)
        beaten += wins.sum(axis=0)
    return alone / size, beaten / size


@dataclass(frozen=True)
class Membership:
    """The probability of each candidate of a view to be on the front.

    Parameters
    ----------
    ids : tuple of str
        (n,) architecture ids.
    probability : FloatArray
        (n,) by the intervals of what is measured on devices, given the scores on the test data.
    elsewhere : FloatArray
        (n,) the same on other test data of the same kind and number: with the sampling error of the scores.
    beaten : FloatArray
        (n, n) that row j dominates row i, as in `probability`.
    """

    ids: tuple[str, ...]
    probability: FloatArray
    elsewhere: FloatArray
    beaten: FloatArray

    def unsettled(self, confidence: float) -> BoolArray:
        """Tell which candidates are neither surely on the front nor surely off it.

        Parameters
        ----------
        confidence : float
            Probability that counts as sure.

        Returns
        -------
        BoolArray
            (n,) mask.
        """
        sure = np.maximum(self.probability, 1 - self.probability)
        return np.asarray(sure < confidence)

    def to_measure(self, confidence: float) -> list[str]:
        """Return what another measurement might settle.

        Parameters
        ----------
        confidence : float
            Probability that counts as sure.

        Returns
        -------
        list of str
            Ids of what is unsettled, and of what its membership depends on.
        """
        open_ = self.unsettled(confidence)
        low = (1 - confidence) / 2
        rivals = ((self.beaten > low) & (self.beaten < 1 - low))[open_].any(axis=0)
        return [i for i, wanted in zip(self.ids, open_ | rivals, strict=True) if wanted]

    def to_dict(self) -> dict[str, list[float]]:
        """Return the probabilities, rounded, for the store.

        Returns
        -------
        dict of str to list of float
            By id: `probability` and `elsewhere`.
        """
        pairs = zip(self.ids, self.probability, self.elsewhere, strict=True)
        return {i: [round(float(p), 4), round(float(q), 4)] for i, p, q in pairs}


def membership(campaign: Campaign, view: View, measured: MeasuredSet, known: Known) -> Membership:
    """Estimate who is on a front.

    Parameters
    ----------
    campaign : Campaign
        Whose seed; the result is the same at every call.
    view : View
        The front.
    measured : MeasuredSet
        Final measurements, complete in all objectives.
    known : Known
        What the store holds, for the scores' records.

    Returns
    -------
    Membership
        A row a subnet of `measured`.
    """
    rng = campaign.rng(f"membership:{view.name}")
    costs = draws(view, measured, DRAWS, rng)
    probability, beaten = dominance(costs)
    other = costs.copy()
    ids = tuple(measured.ids)
    seen = {o.metric for o in view.front_objectives}
    # the same draws for each score: an image that is hard is hard for both
    kept = [(m, copy.deepcopy(rng)) for m in SCORE_METRICS if m in seen]
    scores = {m: resampled_scores(campaign, known, ids, DRAWS, own, m) for m, own in kept}
    for j, o in enumerate(view.front_objectives):
        if o.metric in scores:
            other[:, :, j] = scores[o.metric] * o.sign
    return Membership(ids, probability, dominance(other)[0], beaten)


def resampled_scores(
    campaign: Campaign,
    known: Known,
    ids: Sequence[str],
    size: int,
    rng: np.random.Generator,
    metric: str = "accuracy",
) -> FloatArray:
    """Draw scores as on other test data.

    All subnets are scored on the same resampled images (the Bayesian bootstrap); where only a standard error is known, draws
    are normal and independent.

    Parameters
    ----------
    campaign : Campaign
        Whose kind of score.
    known : Known
        What the store holds.
    ids : sequence of str
        The subnets.
    size : int
        Number of draws.
    rng : numpy.random.Generator
        Source of randomness.
    metric : str
        ``accuracy`` or ``verified_accuracy``.

    Returns
    -------
    FloatArray
        (size, subnets) scores in their unit.

    References
    ----------
    D. B. Rubin (1981). "The Bayesian bootstrap." Annals of Statistics 9, 130-134.
    """
    scores = known.score(metric, Split.TEST, VALIDATE)
    rows, task = [scores[i] for i in ids], campaign.loaded.task
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
