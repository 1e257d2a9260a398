"""Multi-fidelity acquisition: which architecture to measure how far next, by the expected gain of the front per second."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm, qmc

from hwsearch._typing import BoolArray, FloatArray
from hwsearch.searchers.fidelities import Fidelities
from hwsearch.searchers.gain import improvements

#: draws of what a level may tell, and of what all may tell after it; fewer of each with three objectives and more
DRAWS, MANY_OBJECTIVES_DRAWS = (16, 12), (6, 4)
#: how many times as much a second as a complete measurement a lower level must tell
MARGIN = 2.0
#: a choice may exceed what is left of the budget by this share of what it takes
BEYOND = 0.5


@dataclass
class Beliefs:
    """Joint posterior of k candidates, in standardised units of each objective.

    Attributes
    ----------
    mean : ndarray (k, m)
        Standardised.
    covariance : list of ndarray (k, k) or None
        Of each objective; None of one that is computed.
    nugget : ndarray (m,)
        Variance of the noise that a complete measurement has, standardised.
    natural : callable
        Standardised values (n, m) to costs (n, m), smaller is better.
    """

    mean: FloatArray
    covariance: list[FloatArray | None]
    nugget: FloatArray
    natural: Callable[[FloatArray], FloatArray]

    def variance(self) -> FloatArray:
        """Compute the variance of each candidate.

        Returns
        -------
        ndarray (k, m)
            Standardised; 0 of an objective that is computed.
        """
        columns = [np.zeros(len(self.mean)) if c is None else np.diag(c) for c in self.covariance]
        return np.maximum(np.stack(columns, axis=1), 0.0)

    def slopes(self, step: float = 1e-3) -> FloatArray:
        """Compute by how much costs change with a standardised unit, at the means.

        Parameters
        ----------
        step : float
            Of the difference that it is computed from, standardised.

        Returns
        -------
        ndarray (k, m)
            In units of the costs, positive.
        """
        rise = self.natural(self.mean + step) - self.natural(self.mean - step)
        return np.maximum(np.abs(rise) / (2.0 * step), 1e-300)

    def learn(self, place: int, noise: FloatArray) -> None:
        """Condition the covariances on a measurement of one candidate whose value is as expected.

        Parameters
        ----------
        place : int
            The candidate.
        noise : ndarray (m,)
            Its variance for each objective, standardised; infinite where nothing is measured.
        """
        for covariance, variance in zip(self.covariance, noise.tolist(), strict=True):
            if covariance is not None and np.isfinite(variance):
                column = covariance[:, place].copy()
                covariance -= np.outer(column, column / (column[place] + variance + 1e-12))


def standard_draws(count: int, objectives: int) -> FloatArray:
    """Spread points evenly over a standard normal distribution.

    Parameters
    ----------
    count : int
        How many.
    objectives : int
        Dimensions.

    Returns
    -------
    ndarray (count, objectives)
        The same at every call; centred, with a variance of 1.
    """
    points = norm.ppf(qmc.Halton(objectives, scramble=True, seed=0).random(count))
    points -= points.mean(axis=0)
    return np.asarray(points / points.std(axis=0))


def allocate(
    beliefs: Beliefs,
    front: FloatArray,
    reference: FloatArray,
    fidelities: Fidelities,
    budget: float,
    price: float,
    allowed: Callable[[FloatArray], BoolArray],
) -> list[tuple[int, int]]:
    """Choose on which level to measure candidates, the first ones first, until the budget is spent.

    A level is worth the expected gain of completing the candidate afterwards where that is then worth its seconds, less
    the seconds of the level: the value of an option, as in the optimal search for the best of several boxes. The gain is
    the expected hypervolume improvement by the posterior that the level leaves. So what is nearly sure to be completed is
    measured at once, what is doubtful a little first, and what is not worth either is left out. A level that does not tell
    `MARGIN` times as much a second, as a share of the variance, as a complete measurement does is no choice: the complete
    one tells of all others, too, and may be delivered. What is chosen is taken to turn out as expected: the uncertainty of
    the others shrinks by what it tells of them, and it joins the front.

    Parameters
    ----------
    beliefs : Beliefs
        Of the k candidates; changed.
    front : ndarray (f, m)
        Costs of what has been measured completely.
    reference : ndarray (m,)
        Reference point, in costs.
    fidelities : Fidelities
        Of the k candidates.
    budget : float
        Seconds.
    price : float
        What a second is worth: the gain per second of the last candidate that complete measurements alone would take.
    allowed : callable
        Costs (n, m) to which of them meet the limits (n,); others gain nothing.

    Returns
    -------
    list of tuple of int
        Candidate and level, in the order of the candidates.

    References
    ----------
    Weitzman 1979, "Optimal search for the best alternative".
    Xie, Astudillo, Frazier, Scully, Terenin 2024, "Cost-aware Bayesian optimization via the Pandora's box Gittins index",
    arXiv 2406.20062.
    """
    objectives = beliefs.mean.shape[1]
    first, second = DRAWS if objectives <= 2 else MANY_OBJECTIVES_DRAWS
    outer, inner = standard_draws(first, objectives), standard_draws(second, objectives)
    slopes = beliefs.slopes()
    noise = _added_noise(fidelities, slopes)  # (k, l, m)
    best = np.minimum(beliefs.natural(beliefs.mean).min(axis=0), front.min(axis=0, initial=np.inf))
    scale = slopes / np.maximum(np.abs(reference - best), 1e-12)  # so that objectives compare
    chosen: list[tuple[int, int]] = []
    spent = 0.0
    for k in range(len(beliefs.mean)):
        seconds, rest = fidelities.seconds[k], fidelities.rest[k]
        variance = beliefs.variance()[k]  # (m,)
        told = variance**2 / (variance + noise[k] + 1e-12)  # by which the means move, (l, m)
        left = np.sqrt(np.maximum(told[-1] - told, 0.0))
        values = beliefs.mean[k] + np.sqrt(told)[:, None] * outer  # (l, draws, m)
        values = values[:, :, None] + left[:, None, None] * inner
        costs = beliefs.natural(values.reshape(-1, objectives))
        gained = improvements(front, costs, reference)
        gained[~allowed(costs)] = 0.0
        gains = gained.reshape(len(seconds), first, second).mean(axis=2)
        finite = np.where(np.isfinite(seconds), seconds, 0.0)
        worth = np.maximum(gains - price * rest[:, None], 0.0).mean(axis=1) - price * finite
        telling = (told * scale[k] ** 2).sum(axis=1)
        enough = telling * finite[-1] >= MARGIN * telling[-1] * finite
        enough[-1] = True
        worth[~enough | ~np.isfinite(seconds)] = -np.inf
        level = int(np.argmax(worth))
        if worth[level] <= 0.0 and chosen:
            continue
        if not chosen and not np.isfinite(worth[level]):
            continue
        if chosen and spent + float(seconds[level]) * (1.0 - BEYOND) > budget:
            break
        chosen.append((k, level))
        spent += float(seconds[level])
        beliefs.learn(k, noise[k, level] + beliefs.nugget)
        there = beliefs.natural(beliefs.mean[k : k + 1])
        front = np.concatenate([front, there[allowed(there)]])
        if spent >= budget:
            break
    return chosen


def _added_noise(fidelities: Fidelities, slopes: FloatArray) -> FloatArray:
    """Variance (k, l, m), standardised, of what each level adds to what is known of each candidate.

    A level that has seen what an earlier one saw adds the difference of their precisions.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        precision = 1.0 / np.maximum(fidelities.noise, 1e-12) ** 2
        before = np.concatenate([np.zeros((1, precision.shape[1])), precision])[fidelities.reached + 1]
        added = np.maximum(precision[None] - before[:, None], 0.0) * (slopes**2)[:, None]
        return np.asarray(1.0 / added)
