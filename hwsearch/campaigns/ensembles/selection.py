"""Which members an ensemble gets: greedy forward selection under a limit on their latency."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwsearch._typing import FloatArray, IntArray

#: a total may exceed its limit by this share, so that rounding refuses nothing
SLACK = 1e-9


@dataclass(frozen=True)
class Choice:
    """A set of members.

    Attributes
    ----------
    members : tuple of int
        Their positions, in the order of being chosen.
    correct : int
        Examples that they answer right together.
    latency : float
        Theirs together, in ms.
    """

    members: tuple[int, ...]
    correct: int
    latency: float

    @property
    def rank(self) -> tuple[int, int, float]:
        """Larger is better: more right, then fewer members, then less latency."""
        return self.correct, -len(self.members), -self.latency


class Pool:
    """Members to choose from, with what each adds to the mean on the examples that decide.

    Parameters
    ----------
    shares : ndarray
        Shape ``(members, n, classes)``, see `hwsearch.campaigns.ensembles.fusion.shares_of`.
    targets : ndarray
        Right classes, shape ``(n,)``.
    latency : ndarray
        Of each member, in ms, shape ``(members,)``.
    limit : float
        On the latency together, in ms.
    parallel : bool
        Whether members run at the same time: the slowest counts, else the sum.
    """

    def __init__(
        self,
        shares: Sequence[NDArray[np.float32]],
        targets: IntArray,
        latency: FloatArray,
        limit: float,
        *,
        parallel: bool = False,
    ) -> None:
        self.shares, self.targets, self.latency = shares, targets, latency
        self.limit, self.parallel = limit, parallel

    def together(self, members: Iterable[int]) -> float:
        """Compute the latency of members together.

        Parameters
        ----------
        members : iterable of int
            At least one.

        Returns
        -------
        float
            Sum or maximum, in ms.
        """
        values = [float(self.latency[i]) for i in members]
        return max(values) if self.parallel else sum(values)

    def fits(self, members: Iterable[int]) -> bool:
        """Tell whether members together meet the limit.

        Parameters
        ----------
        members : iterable of int
            At least one.

        Returns
        -------
        bool
            Whether they do.
        """
        return self.together(members) <= self.limit * (1 + SLACK)

    def right(self, total: NDArray[np.float32]) -> int:
        """Count the examples that a sum of shares answers right.

        Parameters
        ----------
        total : ndarray
            Shape ``(n, classes)``.

        Returns
        -------
        int
            How many.
        """
        return int((total.argmax(1) == self.targets).sum())

    def choice(self, members: Sequence[int]) -> Choice:
        """Judge a set of members.

        Parameters
        ----------
        members : sequence of int
            Their positions.

        Returns
        -------
        Choice
            With what they answer right together.
        """
        total = sum((self.shares[i] for i in members[1:]), self.shares[members[0]])
        return Choice(tuple(members), self.right(total), self.together(members))

    def best_single(self) -> Choice | None:
        """Choose the best single member within the limit.

        Returns
        -------
        Choice or None
            None where no member meets it.
        """
        alone = [self.choice([i]) for i in range(len(self.shares)) if self.fits([i])]
        return max(alone, key=lambda c: c.rank, default=None)

    def greedy(self, most: int) -> Choice | None:
        """Choose members by greedy forward selection, from every member as the first one.

        In each step the member comes in with which most examples are answered right, as long as more are than before and
        the limit is met. The best of all starts counts: the best single member alone may leave no time for a second one.

        Parameters
        ----------
        most : int
            Most members.

        Returns
        -------
        Choice or None
            None where no member meets the limit.

        References
        ----------
        Caruana, Niculescu-Mizil, Crew and Ksikes, "Ensemble selection from libraries of models", ICML 2004.
        """
        best: Choice | None = None
        for first in range(len(self.shares)):
            if not self.fits([first]):
                continue
            now, total = self.choice([first]), self.shares[first]
            while len(now.members) < most:
                grown = [
                    Choice(new, self.right(total + self.shares[new[-1]]), self.together(new))
                    for new in ((*now.members, i) for i in range(len(self.shares)) if i not in now.members)
                    if self.fits(new)
                ]
                found = max(grown, key=lambda c: c.rank, default=None)
                if found is None or found.correct <= now.correct:
                    break
                now, total = found, total + self.shares[found.members[-1]]
            best = now if best is None or now.rank > best.rank else best
        return best

    def exhaustive(self, most: int) -> Choice | None:
        """Choose the best of all sets of members; their number grows with the power of `most`.

        Parameters
        ----------
        most : int
            Most members.

        Returns
        -------
        Choice or None
            None where no member meets the limit.
        """
        sets = (s for size in range(1, most + 1) for s in itertools.combinations(range(len(self.shares)), size))
        return max((self.choice(s) for s in sets if self.fits(s)), key=lambda c: c.rank, default=None)


def spread_pool(latency: FloatArray, scores: FloatArray, most: int) -> IntArray:
    """Choose which members take part where there are too many: the best of each of equal groups along the latency.

    Parameters
    ----------
    latency, scores : ndarray
        Of each member, shape ``(n,)``; a score that is not known is NaN.
    most : int
        How many are kept.

    Returns
    -------
    ndarray of int
        Positions, rising; all where there are no more than `most`.
    """
    if len(latency) <= most:
        return np.arange(len(latency))
    known = np.where(np.isfinite(scores), scores, -np.inf)
    groups = np.array_split(np.argsort(latency, kind="stable"), most)
    return np.sort(np.array([group[int(np.argmax(known[group]))] for group in groups]))
