"""Multi-fidelity acquisition: which architecture to measure how far next, by the expected gain of the front per second."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from scipy.stats import norm, qmc

from hwsearch._typing import BoolArray, FloatArray, IntArray
from hwsearch.searchers.fidelities import Fidelities
from hwsearch.searchers.gain import improvements

#: draws of what a level may tell, and of what all may tell after it; fewer of each with three objectives and more
DRAWS, MANY_OBJECTIVES_DRAWS = (16, 12), (6, 4)
#: rates that are computed anew together
TOGETHER = 24
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
        """Return the variance of each candidate, (k, m)."""
        columns = [np.zeros(len(self.mean)) if c is None else np.diag(c) for c in self.covariance]
        return np.maximum(np.stack(columns, axis=1), 0.0)

    def slopes(self, step: float = 1e-3) -> FloatArray:
        """Return by how much costs change with a standardised unit, at the means (k, m)."""
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


def best_rate(gains: FloatArray, seconds: FloatArray, rest: FloatArray) -> FloatArray:
    """Compute the gain per second of measuring on a level and completing only what then promises enough.

    A level's draws are what it may tell, all as likely. Completing is worth its seconds after the draws with the largest
    gains; how many of them is chosen so that the expected gain over the expected seconds is largest. That is the rate at
    which the measurement, with the option to go on, is just worth its time.

    Parameters
    ----------
    gains : ndarray (n, draws)
        Expected gain of completing after each draw.
    seconds : ndarray (n,)
        What the level takes.
    rest : ndarray (n,)
        What completing takes after it.

    Returns
    -------
    ndarray (n,)
        Gain per second.

    References
    ----------
    Weitzman 1979, "Optimal search for the best alternative".
    Xie, Astudillo, Frazier, Scully, Terenin 2024, "Cost-aware Bayesian optimization via the Pandora's box Gittins index",
    arXiv 2406.20062.

    Examples
    --------
    >>> best_rate(np.array([[4.0, 0.0]]), np.array([1.0]), np.array([2.0])).tolist()  # 2 gained in 1 + 2 / 2 seconds
    [1.0]
    """
    draws = gains.shape[1]
    expected = np.cumsum(-np.sort(-gains, axis=1), axis=1) / draws
    share = np.arange(1, draws + 1) / draws
    return np.asarray((expected / (seconds[:, None] + rest[:, None] * share)).max(axis=1))


def allocate(
    beliefs: Beliefs,
    front: FloatArray,
    reference: FloatArray,
    fidelities: Fidelities,
    budget: float,
    allowed: Callable[[FloatArray], BoolArray],
) -> tuple[list[tuple[int, int]], float]:
    """Choose which candidates to measure how far, one by one by the largest gain per second, until the budget is spent.

    The gain is the expected hypervolume improvement of the complete measurement, by the posterior that the level leaves. A
    chosen measurement is taken to turn out as expected: the uncertainty of the other candidates shrinks by what it tells
    of them, and it joins the front. What a second is worth is found first, as the gain per second of the last candidate
    that complete measurements alone would take for the budget. Each candidate then has the level that is worth most beyond
    its seconds, with the option to complete it where that is worth the rest; so what is nearly sure to be completed is
    measured at once, and what is doubtful a little first. A level that does not tell `MARGIN` times as much a second, as a
    share of the variance, as a complete measurement does is left out: that tells of all others, too, and may be delivered.

    Parameters
    ----------
    beliefs : Beliefs
        Of the k candidates.
    front : ndarray (f, m)
        Costs of what has been measured completely.
    reference : ndarray (m,)
        Reference point, in costs.
    fidelities : Fidelities
        Of the k candidates.
    budget : float
        Seconds.
    allowed : callable
        Costs (n, m) to which of them meet the limits (n,); others gain nothing.

    Returns
    -------
    chosen : list of tuple of int
        Candidate and level, in the order of choice; each candidate at most once.
    gain : float
        Expected gain of the seconds spent.
    """
    complete = _Round(beliefs, front, reference, fidelities, allowed, price=None).choose(budget)
    if len(fidelities.noise) == 1 or not complete:
        return [(c.place, c.level) for c in complete], sum(c.rate * c.seconds for c in complete)
    chosen = _Round(beliefs, front, reference, fidelities, allowed, price=complete[-1].rate).choose(budget)
    return [(c.place, c.level) for c in chosen], sum(c.rate * c.seconds for c in chosen)


class _Choice(NamedTuple):
    place: int
    level: int
    rate: float
    seconds: float


class _Round:
    """One greedy pass over the candidates.

    price : what a second is worth; None: only complete measurements are chosen
    """

    def __init__(
        self,
        beliefs: Beliefs,
        front: FloatArray,
        reference: FloatArray,
        fidelities: Fidelities,
        allowed: Callable[[FloatArray], BoolArray],
        price: float | None,
    ) -> None:
        covariance = [None if c is None else c.copy() for c in beliefs.covariance]
        self._beliefs = replace(beliefs, covariance=covariance)
        self._front, self._reference, self._fidelities, self._allowed = front, reference, fidelities, allowed
        self._price = price
        objectives = beliefs.mean.shape[1]
        first, second = DRAWS if objectives <= 2 else MANY_OBJECTIVES_DRAWS
        self._outer, self._inner = standard_draws(first, objectives), standard_draws(second, objectives)
        slopes = beliefs.slopes()
        self._noise = _added_noise(fidelities, slopes)  # (k, l, m)
        best = np.minimum(beliefs.natural(beliefs.mean).min(axis=0), front.min(axis=0, initial=np.inf))
        self._scale = slopes / np.maximum(np.abs(reference - best), 1e-12)  # so that objectives compare
        self._possible = np.isfinite(fidelities.seconds)
        if price is None:
            self._possible[:, :-1] = False
        self._rates = np.where(self._possible, np.inf, -np.inf)

    def choose(self, budget: float) -> list[_Choice]:
        """Choose until the budget is spent, or nothing gains."""
        count, levels = self._rates.shape
        for start in range(0, count, 10 * TOGETHER):
            self._compute(np.arange(start, min(count, start + 10 * TOGETHER)))
        seconds = self._fidelities.seconds
        fresh = np.ones(count, dtype=bool)
        chosen: list[_Choice] = []
        spent = 0.0
        while spent < budget:
            fits = spent + seconds * (1.0 - BEYOND) <= budget if chosen else np.isfinite(seconds)
            rates = np.where(fits, self._rates, -np.inf)
            place, level = divmod(int(np.argmax(rates)), levels)
            if rates[place, level] <= 0.0:
                break
            if not fresh[place]:  # gains only shrink, so that most need no second look
                doubtful = np.flatnonzero(~fresh)
                doubtful = doubtful[np.argsort(-rates[doubtful].max(axis=1), kind="stable")[:TOGETHER]]
                self._compute(doubtful)
                fresh[doubtful] = True
                continue
            chosen.append(_Choice(place, level, float(rates[place, level]), float(seconds[place, level])))
            spent += chosen[-1].seconds
            self._beliefs.learn(place, self._noise[place, level] + self._beliefs.nugget)
            there = self._beliefs.natural(self._beliefs.mean[place : place + 1])
            self._front = np.concatenate([self._front, there[self._allowed(there)]])
            self._possible[place] = False
            self._rates[place] = -np.inf
            fresh[:] = False
        return chosen

    def _compute(self, at: IntArray) -> None:
        """Compute the gains per second of some candidates, each on its best level."""
        levels, objectives = len(self._fidelities.noise), self._beliefs.mean.shape[1]
        variance = self._beliefs.variance()[at][:, None]  # (n, 1, m)
        told = variance**2 / (variance + self._noise[at] + 1e-12)  # by which means move, (n, l, m)
        left = np.sqrt(np.maximum(told[:, -1:] - told, 0.0))
        shift = np.sqrt(told)[:, :, None] * self._outer  # (n, l, draws, m)
        values = self._beliefs.mean[at][:, None, None] + shift
        values = values[:, :, :, None] + left[:, :, None, None] * self._inner
        costs = self._beliefs.natural(values.reshape(-1, objectives))
        gained = improvements(self._front, costs, self._reference)
        gained[~self._allowed(costs)] = 0.0
        gains = gained.reshape(len(at), levels, len(self._outer), len(self._inner)).mean(axis=3)
        seconds = np.where(self._possible[at], self._fidelities.seconds[at], np.inf)
        rest = self._fidelities.rest[at]
        finite = np.where(np.isfinite(seconds), seconds, 1.0)
        rates = best_rate(gains.reshape(-1, len(self._outer)), finite.ravel(), rest.ravel()).reshape(-1, levels)
        chosen = self._possible[at]
        if self._price is not None:
            telling = (told * self._scale[at][:, None] ** 2).sum(axis=2)
            share = telling / np.maximum(telling[:, -1:], 1e-300)
            enough = share * self._fidelities.seconds[at][:, -1:] >= MARGIN * seconds
            enough[:, -1] = True
            chosen &= enough
            worth = np.maximum(gains - self._price * rest[:, :, None], 0.0).mean(axis=2) - self._price * finite
            worth = np.where(chosen, worth, -np.inf)
            chosen &= worth == worth.max(axis=1, keepdims=True)
        self._rates[at] = np.where(chosen, rates, -np.inf)


def _added_noise(fidelities: Fidelities, slopes: FloatArray) -> FloatArray:
    """Variance (k, l, m), standardised, of what each level adds to what is known of each candidate.

    A level that has seen what an earlier one saw adds the difference of their precisions.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        precision = 1.0 / np.maximum(fidelities.noise, 1e-12) ** 2
        before = np.concatenate([np.zeros((1, precision.shape[1])), precision])[fidelities.reached + 1]
        added = np.maximum(precision[None] - before[:, None], 0.0) * (slopes**2)[:, None]
        return np.asarray(1.0 / added)
