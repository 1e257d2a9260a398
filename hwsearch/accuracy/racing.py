"""The front of many subnets from few image evaluations: a race with a stated probability of error.

Given are n subnets with exactly known costs and one data set of N images. Wanted is the front of cost and
top-1 *on this data set*, as the evaluation of every subnet on every image would give it. Subnets compared
on the same images share most of their errors, so a subnet that is dominated shows it long before its
accuracy is known, and need not be finished.

**Method.** All subnets see the same first images, drawn uniformly. The front estimated from these is then
*finished*: evaluated on all N images. From there on, a subnet A is compared with finished subnets alone.
Let b be the number of right answers that A needs to be on the front: one more than the best finished subnet
that costs no more (plus the tolerance; ties go to the cheaper, then to the first). The hypothesis "A reaches
b" is tested by betting against it, image by image, without replacement:

- The answers of the finished subnets are known on all images. A ridge regression on them predicts A's
  answer, h_i in [0, 1] (a control variate); what is left to learn is y_i = h_i − x_i, x_i in {0, 1}.
- The next image is drawn among those left with probability q_i = s_i / Σ s, where s_i is about the standard
  deviation expected of y_i: seldom an image that everybody gets right.
- If A reaches b, the x_i of the images left sum to at least r = b − (right answers so far), so
  u = Σ_left h_i − r bounds Σ_left y_i, and E[y_i / q_i − u | past] ≤ 0. Hence the capital
  K = Π (1 + λ (y_i / q_i − u)) with any λ ≥ 0 chosen before the draw and small enough to keep K positive,
  and any mixture of such products, is a non-negative supermartingale that starts at 1.

**Guarantee.** By Ville's inequality K ever reaches n / error with probability at most error / n. A subnet is
dropped when it does; by the union bound all drops of a race are right together with probability at least
1 − error, whatever the accuracies, at every round, however predictions, draws, bets and the set of finished
subnets follow from what was seen. (b only grows; from the moment that A fails to reach it the drop of A is
right.) If all drops are right, then with tolerance 0 the result *is* the front of full evaluation: dominance
is transitive, so each dropped subnet is dominated by a finished one that stays. With a tolerance, no subnet
is above the front returned by more than the tolerance at its cost, and each accuracy returned is exact.

Nothing is approximated by a normal distribution; the only randomness is the order of the images. What no
method can avoid: members of the front and subnets as good as members are evaluated on nearly all images.

Sources: betting and sampling without replacement, Waudby-Smith and Ramdas (2020, arXiv 2006.04347 and
2010.09686); bets on weighted draws with control variates, Shekhar, Xu, Lipton, Liang and Ramdas (2023,
arXiv 2305.06884); weighted draws by exponential keys, Efraimidis and Spirakis (2006); races, Maron and
Moore (1993); successive halving, Jamieson and Talwalkar (2015, arXiv 1502.07943). Finished subnets as
comparators, control and sampling weight at once are this package's own combination.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from hwsearch._typing import BoolArray, FloatArray, IntArray
from hwsearch.errors import DataError, MeasurementError

#: which images (b,) of the data set a subnet, by its index, answers right: bool (b,)
Evaluate = Callable[[int, IntArray], BoolArray]

# How well the race bets, never whether it is right, depends on these.
#: deficits to bet on, as shares of all images: the capital starts in equal parts on each
DEFICITS = np.array([0.005, 0.01, 0.02, 0.04, 0.08, 0.16])
#: most of the capital that one image may cost
STAKE = 0.8
#: weight in the draw of an unexpected right answer, which costs most: the more often drawn, the less it costs
SURPRISE = 0.5
#: subnets finished after the first images, and at most in each later round
FIRST_FINISHED, MORE_FINISHED = 8, 4
#: a subnet is finished early when it seems to be on the front by this many standard errors
PROMISING = 0.5
#: weight of the ridge penalty, in images
RIDGE = 10.0
#: edges, in the share of finished subnets that are right, of groups of images that are equally hard; a guess of
#: the variance left in each, and how many images that guess is worth
HARDNESS = np.array([1e-9, 0.2, 0.4, 0.6, 0.8, 1 - 1e-9])
VARIANCE = np.array([0.03, 0.1, 0.2, 0.22, 0.2, 0.1, 0.03])
GUESS_WORTH = 5


@dataclass(frozen=True)
class Round:
    """The race after one block of images.

    Parameters
    ----------
    images : int
        Images seen by each racing subnet.
    racing, finished, dropped : int
        Subnets still in the race, evaluated on all images, and eliminated.
    """

    images: int
    racing: int
    finished: int
    dropped: int


@dataclass(frozen=True)
class RaceResult:
    """The front, and what was spent on it; arrays have one entry a subnet, in the order given.

    Parameters
    ----------
    front : IntArray
        Indices of the front's members, least accurate first.
    top1 : FloatArray
        Exact accuracy on all images, in percent, of finished subnets; NaN of others.
    bound : FloatArray
        Percent that the accuracy does not exceed: the accuracy itself where finished; of all dropped subnets together
        with probability 1 − error; NaN where evaluation failed.
    covered_by : IntArray
        A finished subnet, no costlier, whose accuracy plus tolerance is at least `bound`; −1 where not dropped.
    seen : IntArray
        Images evaluated.
    images : int
        Images in the data set.
    error, tolerance : float
        As in `race`.
    rounds : tuple of Round
        How the race went.
    failures : dict of int to str
        Message by index of subnets whose evaluation raised `MeasurementError`; the front is that of the rest.
    calibration_images : int
        Images spent on recalibrating batch norms, beside `evaluations`.
    """

    front: IntArray
    top1: FloatArray
    bound: FloatArray
    covered_by: IntArray
    seen: IntArray
    images: int
    error: float
    tolerance: float
    rounds: tuple[Round, ...]
    failures: dict[int, str]
    calibration_images: int = 0

    @property
    def evaluations(self) -> int:
        """Image evaluations: forward passes of one image through one subnet."""
        return int(self.seen.sum())

    @property
    def saving(self) -> float:
        """Image evaluations of all subnets on all images, over those spent."""
        return len(self.seen) * self.images / self.evaluations


def race(
    evaluate: Evaluate,
    costs: ArrayLike,
    *,
    images: int,
    rng: np.random.Generator,
    error: float = 0.05,
    tolerance: float = 0.0,
    first: int = 150,
    growth: float = 1.15,
) -> RaceResult:
    """Find the front of cost and accuracy on a data set, right with probability at least 1 − `error`.

    Parameters
    ----------
    evaluate : callable
        ``evaluate(i, indices)`` returns whether subnet i answers each image right, bool ``(b,)``; called at most once for
        each pair of subnet and image.
    costs : array-like
        Shape ``(n,)`` or ``(n, k)``, known exactly, smaller is better.
    images : int
        N, the size of the data set; memory is about 30 n N bytes.
    rng : numpy.random.Generator
        Draws the images.
    error : float
        Probability that the result may be wrong, between 0 and 1.
    tolerance : float
        Points of accuracy by which subnets may be better than the front returned; 0: the front itself.
    first : int
        Images that all subnets see.
    growth : float
        Growth of the number of images seen, from one round to the next.

    Returns
    -------
    RaceResult
        The front, and what was spent on it.

    Raises
    ------
    DataError
        If an argument is out of range.
    MeasurementError
        If no subnet can be evaluated.

    References
    ----------
    Waudby-Smith and Ramdas, "Confidence sequences for sampling without replacement", 2020, arXiv 2006.04347.
    Shekhar et al., "Risk-limiting financial audits via weighted sampling without replacement", 2023, arXiv 2305.06884.
    Maron and Moore, "Hoeffding races", 1993.
    """
    table = np.asarray(costs, dtype=np.float64)
    table = table[:, None] if table.ndim == 1 else table
    if table.ndim != 2 or not table.size:
        raise DataError(f"costs of shape {np.shape(costs)} are not one row a subnet, (n,) or (n, k).")
    if not np.isfinite(table).all():
        row = int(np.flatnonzero(~np.isfinite(table).all(axis=1))[0])
        raise DataError(f"the cost of subnet {row} is {table[row].tolist()}: a race needs all costs.")
    if images < 1 or first < 1:
        raise DataError(f"a race needs at least one image; images {images}, first {first}.")
    if not 0 < error < 1:
        raise DataError(f"error {error} is not a probability between 0 and 1.")
    if not (tolerance >= 0 and math.isfinite(tolerance)):
        raise DataError(f"tolerance {tolerance} is not a number of points, 0 or more.")
    if not (growth > 1 and math.isfinite(growth)):
        raise DataError(f"growth {growth} is not a number above 1.")
    return _Race(evaluate, table, images, rng, error, tolerance).run(min(first, images), growth)


class _Race:
    """State of one race. n subnets, N images; m subnets are racing, L finished."""

    def __init__(
        self,
        evaluate: Evaluate,
        costs: FloatArray,
        images: int,
        rng: np.random.Generator,
        error: float,
        tolerance: float,
    ) -> None:
        n = len(costs)
        self.evaluate, self.n, self.N, self.rng, self.error, self.tolerance = evaluate, n, images, rng, error, tolerance
        self.slack = math.floor(tolerance * images / 100 + 1e-9)
        le = (costs[None] <= costs[:, None]).all(axis=2)
        index = np.arange(n)
        #: whether b costs no more than a: (a, b); and by how many images a must then be ahead to be on the front
        self.comparable = le & (index[None] != index[:, None])
        self.lead = np.where(~le.T | (index[None] < index[:, None]), 1, 0)
        self.correct = np.zeros((n, images), dtype=bool)
        self.racing, self.finished = np.ones(n, dtype=bool), np.zeros(n, dtype=bool)
        self.right, self.seen = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
        self.left, self.order = np.ones(images, dtype=bool), np.empty(0, dtype=np.int64)
        self.log_capital = np.full((n, len(DEFICITS)), -math.log(len(DEFICITS)))
        self.squares = np.tile([2.0, 2.0], (n, 1))  # of y: found, expected
        self.bound, self.covered_by = np.full(n, np.nan), np.full(n, -1)
        self.failures: dict[int, str] = {}

    def run(self, first: int, growth: float) -> RaceResult:
        self._look(self.rng.choice(self.N, first, replace=False))
        self._finish(self._first_to_finish())
        rounds = [self._round()]
        while self.racing.any():
            if self.left.any():
                self._finish(self._promising())
                self._play_round(min(self.N - len(self.order), math.ceil((growth - 1) * len(self.order))))
            if not self.left.any():
                self._finish(np.flatnonzero(self.racing))
            rounds.append(self._round())
        done = np.flatnonzero(self.finished)
        if not len(done):
            raise MeasurementError(f"none of {self.n} subnets could be evaluated: {next(iter(self.failures.values()))}")
        beaten = self.comparable & (self.right[:, None] < self.right[None] + self.lead)
        front = done[~beaten[np.ix_(done, done)].any(axis=1)]
        top1 = np.where(self.finished, 100 * self.right / self.N, np.nan)
        return RaceResult(
            front=front[np.argsort(self.right[front], kind="stable")],
            top1=top1,
            bound=np.where(self.finished, top1, self.bound),
            covered_by=self.covered_by,
            seen=self.seen,
            images=self.N,
            error=self.error,
            tolerance=self.tolerance,
            rounds=tuple(rounds),
            failures=self.failures,
        )

    def _round(self) -> Round:
        dropped = self.n - int(self.racing.sum()) - int(self.finished.sum()) - len(self.failures)
        return Round(len(self.order), int(self.racing.sum()), int(self.finished.sum()), dropped)

    # ------------------------------------------------------------------ evaluation
    def _answers(self, i: int, index: IntArray) -> bool:
        """Evaluate subnet i; False when that failed, and the subnet is out of the race."""
        self.seen[i] += len(index)
        try:
            answers = np.asarray(self.evaluate(i, index))
        except MeasurementError as error:
            self.failures[i] = str(error)
            self.racing[i] = False
            return False
        if answers.shape != index.shape or answers.dtype != np.bool_:
            raise DataError(
                f"evaluation of subnet {i} on {len(index)} images gave {answers.dtype} {answers.shape}, not one bool each."
            )
        self.correct[i, index] = answers
        self.right[i] += int(answers.sum())
        return True

    def _look(self, index: IntArray) -> None:
        """Show these images to all racing subnets."""
        for i in np.flatnonzero(self.racing):
            self._answers(int(i), index)
        self.order = np.concatenate([self.order, index])
        self.left[index] = False

    def _finish(self, subnets: IntArray) -> None:
        """Evaluate subnets on all images left."""
        rest = np.flatnonzero(self.left)
        for i in subnets:
            if not len(rest) or self._answers(int(i), rest):
                self.finished[i], self.racing[i] = True, False

    # ------------------------------------------------------------------ what to finish
    def _first_to_finish(self) -> IntArray:
        """Choose subnets that nothing can dominate, and some, evenly spread, of the front of the first images."""
        alive = np.flatnonzero(self.racing)
        beaten = self.comparable & (self.right[:, None] < self.right[None] + self.lead)
        front = alive[~beaten[np.ix_(alive, alive)].any(axis=1)]
        front = front[np.argsort(self.right[front], kind="stable")]
        some = np.linspace(0, len(front) - 1, min(FIRST_FINISHED, len(front))).astype(np.int64)
        return np.union1d(alive[~self.comparable[alive].any(axis=1)], front[some])

    def _promising(self) -> IntArray:
        """List the racing subnets that seem to be on the front, the surest first."""
        racing = np.flatnonzero(self.racing)
        predicted = self._predict(racing)
        estimate = self.right[racing] + predicted[:, self.left].sum(axis=1)
        residual = (self.correct[np.ix_(racing, self.order)] - predicted[:, self.order]).var(axis=1)
        t = len(self.order)
        deviation = self.N * np.sqrt(np.maximum(residual, 0.01) / t * (1 - t / self.N))
        needed = self._needed(racing)
        chosen: list[int] = []
        while len(chosen) < min(MORE_FINISHED, len(racing)):
            certainty = (estimate - needed) / deviation
            certainty[chosen] = -np.inf
            best = int(np.argmax(certainty))
            if certainty[best] < PROMISING:
                break
            chosen.append(best)
            a, b = racing, racing[best]
            ahead = estimate[best] + self.slack + self.lead[a, b]
            needed = np.where(self.comparable[a, b], np.maximum(needed, ahead), needed)
        return racing[chosen]

    def _needed(self, subnets: IntArray) -> FloatArray:
        """Compute b: right answers (m,) on all images that put subnets above all finished ones; −inf where there is none."""
        goals = self.right[None] + self.lead[subnets] + self.slack
        return np.where(self.comparable[subnets] & self.finished[None], goals, -np.inf).max(axis=1)

    # ------------------------------------------------------------------ prediction and bets
    def _predict(self, subnets: IntArray) -> FloatArray:
        """Compute h: predicted answers (m, N) of subnets, from those of all finished ones."""
        known = self.correct[self.finished].astype(np.float64)
        if not len(known):
            return np.repeat(self.right[subnets, None] / max(len(self.order), 1), self.N, axis=1)
        mean = known.mean(axis=0)
        features = np.concatenate([np.ones((1, self.N)), known - mean])
        seen = features[:, self.order]
        penalty = np.diag([1e-3] + [RIDGE] * len(known))
        rest = self.correct[np.ix_(subnets, self.order)] - mean[self.order]
        weights = np.linalg.solve(seen @ seen.T + penalty, seen @ rest.T)
        return np.clip(mean + weights.T @ features, 0.0, 1.0)

    def _variance(self, racing: IntArray, predicted: FloatArray) -> FloatArray:
        """Estimate the variance (N,) of what prediction leaves, by how hard an image is for the finished subnets."""
        share = self.correct[self.finished].mean(axis=0) if self.finished.any() else np.full(self.N, 0.5)
        group = np.digitize(share, HARDNESS)
        found = ((self.correct[np.ix_(racing, self.order)] - predicted[:, self.order]) ** 2).mean(axis=0)
        count = np.bincount(group[self.order], minlength=len(VARIANCE))
        total = np.bincount(group[self.order], found, minlength=len(VARIANCE))
        return np.maximum((total + GUESS_WORTH * VARIANCE) / (count + GUESS_WORTH), 0.01)[group]

    def _play_round(self, size: int) -> None:
        """Run one round: draw images, evaluate the racing subnets, update their wealth (e-process), eliminate."""
        subnets = np.flatnonzero(self.racing)
        if not len(subnets):
            return
        h = self._predict(subnets)
        variance = self._variance(subnets, h)
        s = np.maximum(np.sqrt(variance), (1 - h).mean(axis=0) * SURPRISE)
        rest = np.flatnonzero(self.left)
        # the smallest of exponential variables of rates s is i with probability s_i / Σ s, and so on without i
        block = rest[np.argsort(self.rng.exponential(size=len(rest)) / s[rest])[:size]]
        needed, before = self._needed(subnets), self.right[subnets]
        self._look(block)
        still = self.racing[subnets]
        subnets, h, needed, before = subnets[still], h[still], needed[still], before[still]
        testable = np.isfinite(needed)

        x = self.correct[np.ix_(subnets, block)].astype(np.float64)
        y = h[:, block] - x
        s_left = s[rest].sum() - _before(s[block])
        h_left = h[:, rest].sum(axis=1, keepdims=True) - _before(h[:, block])
        u = h_left - (np.where(testable, needed, 0.0) - before)[:, None] + _before(x)
        gain = y * (s_left / s[block]) - u
        room = u + ((1 - h[:, rest]) / s[rest]).max(axis=1, keepdims=True) * s_left  # gain ≥ −room
        scale = self.squares[subnets, 0] / self.squares[subnets, 1]
        spread = scale[:, None] * s_left * ((variance / s)[rest].sum() - _before((variance / s)[block]))
        for g, deficit in enumerate(DEFICITS * self.N):
            stake = np.minimum(deficit / (spread + deficit**2), STAKE / np.maximum(room, 1e-9))
            stake[(room <= 1e-9) | ~testable[:, None]] = 0.0
            self.log_capital[subnets, g] += np.log1p(stake * gain).sum(axis=1)
        self.squares[subnets, 0] += (y**2).sum(axis=1)
        self.squares[subnets, 1] += variance[block].sum()
        if self.left.any():
            self._drop(subnets, needed)

    def _drop(self, subnets: IntArray, needed: FloatArray) -> None:
        capital = np.logaddexp.reduce(self.log_capital[subnets], axis=1)
        hopeless = needed - self.right[subnets] > self.left.sum()
        out = hopeless | (capital >= math.log(self.n / self.error))
        for i, b in zip(subnets[out], needed[out], strict=True):
            goals = np.where(self.comparable[i] & self.finished, self.right + self.lead[i] + self.slack, -1)
            self.covered_by[i] = int(np.argmax(goals))
            self.bound[i] = 100 * (b - 1) / self.N
            self.racing[i] = False


def _before(values: FloatArray) -> FloatArray:
    """Sum, for each entry of the last axis, those before it."""
    return np.asarray(np.cumsum(values, axis=-1) - values)
