"""LaMOO: learn a partition of the space by dominance, search where its tree promises most."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field

from hwsearch._typing import BoolArray, FloatArray, IntArray
from hwsearch.errors import SearchError
from hwsearch.objectives.objective import Objective
from hwsearch.objectives.pareto import cost_hypervolume
from hwsearch.searchers.bayesian.parego import MAX_OBSERVATIONS
from hwsearch.searchers.evolutionary.evolution import Mating, rank_and_crowding
from hwsearch.searchers.gain import search_reference
from hwsearch.searchers.options import SearcherOptions
from hwsearch.searchers.predicted.rounds import RoundSearcher
from hwsearch.spaces import SearchSpace
from hwsearch.spaces.rows import RowSet

if TYPE_CHECKING:
    from sklearn.svm import SVC  # loads scikit-learn

#: how often children are bred, and rows drawn, for a region before its last border is given up
TRIES = 20


class LamooOptions(SearcherOptions):
    """Options of LaMOO."""

    start: int = Field(20, ge=4, description="Size of the uniform first sample.")
    leaf: int = Field(10, ge=4, description="A region of at most so many measured architectures is not split.")
    exploration: float = Field(
        0.1, ge=0.0, description="Weight of regions with few measurements, as a share of the hypervolume of all."
    )
    kernel: Literal["poly", "rbf", "linear"] = Field("poly", description="Of the support vectors that split a region.")
    sampler: Literal["evolution", "qnehvi"] = Field(
        "evolution", description="What chooses within the region: crossover and mutation, or BoTorch's qLogNEHVI."
    )
    pool: int = Field(500, ge=2, description="Candidates a round, of which qnehvi chooses.")
    draws: int = Field(64, ge=1, description="Posterior draws of qnehvi.")


class LamooSearcher(RoundSearcher):
    """LaMOO, learned partitions of the space for several objectives: support vectors, and a tree searched by upper bounds.

    Each round splits the space along one path from the root: measured architectures of a region that few others dominate
    are told from the rest by a support vector classifier, and of the two sides the one with the larger upper confidence
    bound of its hypervolume is followed, until a region is too small or cannot be split. Limits dominate first: of two
    that miss them, the one that misses them by less. With one objective an architecture is dominated by all better
    ones. Options: `LamooOptions`.

    Differences from the publication: its samplers within a region are CMA-ES, which is for real vectors, and qEHVI. Here
    they are crossover and mutation of the region's members, rejected outside it, and BoTorch's qLogNEHVI on a pool of such
    candidates. Where a region has nothing new left, its last border is given up.

    Parameters
    ----------
    space : SearchSpace
        What can be chosen.
    objectives : iterable of Objective or str
        As of `Searcher`.
    seed : int
        All randomness comes from it.
    **options : object
        Those of `LamooOptions`.

    Raises
    ------
    SearchError
        With the sampler qnehvi without the package botorch.

    References
    ----------
    Zhao, Wang, Yang, Zhang, Guo, Tian 2022, "Multi-objective optimization by learning space partitions",
    arXiv 2110.03173.
    """

    name: ClassVar[str] = "lamoo"
    Options: ClassVar[type[SearcherOptions]] = LamooOptions

    options: LamooOptions

    def __init__(
        self, space: SearchSpace, objectives: Iterable[Objective | str], seed: int = 0, **options: object
    ) -> None:
        super().__init__(space, objectives, seed, **options)
        if self.options.sampler == "qnehvi" and find_spec("botorch") is None:
            raise SearchError(
                "sampler 'qnehvi' of lamoo needs the package botorch, which is not installed.",
                hint="pip install 'hwsearch[botorch]', or use sampler 'evolution'.",
            )

    def _sizes(self) -> tuple[int, int]:
        return self.options.start, 1

    def _next_round(self, n: int) -> IntArray:
        complete = np.flatnonzero(~np.isnan(self.values).any(axis=1))
        rows, values = self.rows[complete], self.values[complete]
        region = self._promising(rows, values)
        if self.options.sampler == "evolution":
            return self._candidates(rows, values, region, n)
        from hwsearch.searchers.bayesian.botorch_qnehvi import choose_by_qnehvi

        candidates = self._candidates(rows, values, region, max(n, self.options.pool))
        if len(complete) > MAX_OBSERVATIONS:
            complete = np.sort(complete[self._ranking(values, MAX_OBSERVATIONS)])
        return choose_by_qnehvi(self, complete, candidates, n, self.options.draws, self._seed)

    def _promising(self, rows: IntArray, values: FloatArray) -> Region:
        """Follow the tree from the whole space to the leaf with the largest upper confidence bounds."""
        features = self.space.encode_array(rows)
        costs, violation = self.costs(values), self.violation(values)
        counted = violation == 0 if (violation == 0).any() else np.ones(len(rows), dtype=bool)
        reference = search_reference(self, values)
        span = np.maximum(reference - costs.min(axis=0), 1e-12)

        def volume(members: IntArray) -> float:
            return cost_hypervolume((costs[members[counted[members]]] - reference) / span, np.zeros(costs.shape[1]))

        region = Region(np.arange(len(rows)), ())
        weight = self.options.exploration * volume(region.members)
        while len(region.members) > self.options.leaf:
            here = region.members
            children = region.split(
                features, dominance_numbers(costs[here], violation[here]), self.options.kernel, self._seed()
            )
            if not children:
                break
            bounds = [upper_bound(volume(c.members), weight, len(here), len(c.members)) for c in children]
            region = children[int(np.argmax(bounds))]
        return region

    def _candidates(self, rows: IntArray, values: FloatArray, region: Region, n: int) -> IntArray:
        """Breed up to n new rows within the region from its members, and draw some; widen it where it has too few."""
        found = RowSet(self.space.sizes)
        members = region.members
        rank, crowding = rank_and_crowding(self.costs(values[members]), self.violation(values[members]))
        for depth in range(len(region.borders), -1, -1):
            for _ in range(TRIES):
                children = Mating().children(self.space, rows[members], rank, crowding, max(2 * n, 50), self.rng)
                drawn = self.space.sample_array(max(n, 25), self.rng)
                new = np.concatenate([children, drawn]).astype(np.int64)
                new = new[self._is_new(new)]
                if len(new):
                    found.add(new[region.contains(self.space.encode_array(new), depth)])
                if len(found) >= n:
                    return found.rows[:n].astype(np.int64)
        return found.rows.astype(np.int64)


@dataclass(frozen=True)
class Region:
    """A part of the space: on one side each of some borders.

    Parameters
    ----------
    members : ndarray of int (k,)
        Positions of the measured architectures that lie in it.
    borders : tuple of (sklearn.svm.SVC, bool)
        Classifiers, from the root, and on which side of each the region lies.
    """

    members: IntArray
    borders: tuple[tuple[SVC, bool], ...]

    def contains(self, features: FloatArray, depth: int | None = None) -> BoolArray:
        """Tell which rows lie in the region.

        Parameters
        ----------
        features : ndarray (n, columns)
            Encoded architectures.
        depth : int, optional
            By its first so many borders; default: by all.

        Returns
        -------
        ndarray of bool (n,)
        """
        inside = np.ones(len(features), dtype=bool)
        for border, side in self.borders[:depth]:
            if inside.any():
                inside[inside] = border.predict(features[inside]) == side
        return inside

    def split(self, features: FloatArray, dominated: IntArray, kernel: str, seed: int) -> list[Region]:
        """Split it into a promising and another part.

        Parameters
        ----------
        features : ndarray (n, columns)
            Of all measured architectures.
        dominated : ndarray of int (k,)
            By how many of its members each one is dominated.
        kernel : str
            Of the support vectors.
        seed : int
            Of their fit.

        Returns
        -------
        list of Region
            Two, or none where its members are alike or the classifier puts them all on one side.
        """
        from sklearn.svm import SVC

        middle = np.median(dominated)
        good = dominated < middle if (dominated < middle).any() else dominated <= middle
        if good.all():
            return []
        own = features[self.members]
        border = SVC(kernel=kernel, random_state=seed).fit(own, good)
        side = border.predict(own)
        if side.all() or not side.any():
            return []
        return [Region(self.members[side == s], (*self.borders, (border, s))) for s in (True, False)]


def dominance_numbers(costs: FloatArray, violation: FloatArray) -> IntArray:
    """Count by how many others each architecture is dominated.

    Parameters
    ----------
    costs : ndarray (n, m)
        Smaller is better.
    violation : ndarray (n,)
        By how much limits are missed; the smaller one dominates whatever the costs.

    Returns
    -------
    ndarray of int (n,)

    Examples
    --------
    >>> dominance_numbers(np.array([[1.0, 4.0], [2.0, 2.0], [3.0, 3.0], [3.0, 5.0]]), np.zeros(4)).tolist()
    [0, 0, 1, 3]
    """
    no_worse = (costs[:, None] <= costs[None]).all(axis=2)
    better = no_worse & (costs[:, None] < costs[None]).any(axis=2)
    equal = violation[:, None] == violation[None]
    return np.asarray(((violation[:, None] < violation[None]) | (equal & better)).sum(axis=0), dtype=np.int64)


def upper_bound(volume: float, weight: float, parent: int, child: int) -> float:
    """Compute the upper confidence bound of a child: its hypervolume, and more the less has been measured in it.

    Parameters
    ----------
    volume : float
        Hypervolume of its members.
    weight : float
        C_p of the publication.
    parent, child : int
        How many have been measured in the region that was split, and in the child.

    Returns
    -------
    float

    References
    ----------
    Auer, Cesa-Bianchi, Fischer 2002, "Finite-time analysis of the multiarmed bandit problem",
    doi 10.1023/A:1013689704352.
    """
    return volume + 2.0 * weight * float(np.sqrt(2.0 * np.log(parent) / child))
