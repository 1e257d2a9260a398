"""Evolve generations of measured architectures, whatever selects them: the base of the evolutionary tactics."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import ClassVar

import numpy as np
from pydantic import Field
from pymoo.util.ref_dirs import get_reference_directions

from hwsearch._json import JsonObject
from hwsearch._typing import FloatArray, IntArray
from hwsearch.objectives.objective import Objective
from hwsearch.searchers.base import Searcher
from hwsearch.searchers.evolutionary.evolution import Mating, rank_and_crowding
from hwsearch.searchers.options import RowFunction, SearcherOptions, function_option
from hwsearch.spaces import SearchSpace
from hwsearch.spaces.rows import RowSet


class PopulationOptions(SearcherOptions):
    """Options of the generational tactics."""

    population: int = Field(50, ge=2, description="Size of the first sample and of each generation.")
    crossover: float = Field(0.9, ge=0.0, le=1.0, description="Probability that a child has two parents.")
    mutation: float | None = Field(
        None, ge=0.0, le=1.0, description="Probability that a gene is redrawn; None means 1 / genes."
    )
    cost: RowFunction | None = function_option(
        "Rows to a positive cost (n,), over which the first generation is spread evenly, extremes included; without it "
        "the first generation is uniform."
    )


class PopulationSearcher(Searcher):
    """Generational evolution on measured values; a subclass says who survives and, if it likes, who mates.

    A generation is over as soon as `population` new architectures have been told, so that generations do not depend
    on the size of the asks; architectures told without being asked for take part as well. Any number of objectives;
    limits rank first. Crossover and mutation work on canonical forms: inactive genes are not bred.

    Parameters
    ----------
    space : SearchSpace
        What can be chosen.
    objectives : iterable of Objective or str
        As of `Searcher`.
    seed : int
        All randomness comes from it.
    **options : object
        Those of `PopulationOptions`.
    """

    Options: ClassVar[type[SearcherOptions]] = PopulationOptions

    options: PopulationOptions

    def __init__(
        self, space: SearchSpace, objectives: Iterable[Objective | str], seed: int = 0, **options: object
    ) -> None:
        super().__init__(space, objectives, seed, **options)
        self._size = self._room(self.options.population)
        self._mating = Mating(self.options.crossover, self.options.mutation)
        self._population: list[int] = []  # positions in `evaluated`
        self._offspring: list[int] = []
        self._plan: list[list[int]] | None = None  # what is left of a balanced first generation

    # ------------------------------------------------------------------ what a tactic decides
    @abstractmethod
    def _select(self, pool: list[int], n: int) -> list[int]:
        """Select those n of the told positions `pool` that survive; the pool has more than n."""

    def _room(self, population: int) -> int:
        """Return the size of a generation, where it cannot be any number."""
        return population

    def _children(self, n: int) -> IntArray:
        """Breed n canonical rows from the population, or from what has been told while there is none."""
        parents = self._population or self._offspring
        values = self.values[parents]
        rank, crowding = self._preference(self.costs(values), self.violation(values))
        return self._mating.children(self.space, self.rows_at(parents), rank, crowding, n, self.rng)

    def _preference(self, costs: FloatArray, violation: FloatArray) -> tuple[IntArray, FloatArray]:
        """Compute what tournaments go by: rank, the lower the better, then crowding distance, the higher the better."""
        return rank_and_crowding(costs, violation)

    # ------------------------------------------------------------------ ask and tell
    def _propose(self, n: int) -> IntArray:
        known = len(self._told) + len(self._pending)
        first = self._first(min(n, self._size - known)) if known < self._size else self._empty()
        return np.concatenate([first, self._bred(n - len(first))])

    def _empty(self) -> IntArray:
        return np.empty((0, len(self.space.choices)), dtype=np.int64)

    def _first(self, n: int) -> IntArray:
        """Draw rows of the first generation."""
        if self.options.cost is None:
            return self.space.sample_array(n, self.rng)
        if self._plan is None:
            self._plan = self.space.sample_balanced_array(self._size, self.rng, self.options.cost).tolist()
        rows, self._plan = self._plan[:n], self._plan[n:]
        return np.array(rows, dtype=np.int64).reshape(-1, len(self.space.choices))

    def _bred(self, n: int) -> IntArray:
        """Breed up to n children that are new."""
        if n <= 0 or not (self._population or self._offspring):
            return self._empty()
        found = RowSet(self.space.sizes)
        for _ in range(20):
            rows = self._children(n)
            found.add(rows[~self.is_known_array(rows)])
            if len(found) >= n:
                break
        return found.rows[:n].astype(np.int64)

    def _after_tell(self, indices: list[int]) -> None:
        known = {*self._population, *self._offspring}
        self._offspring += [i for i in dict.fromkeys(indices) if i not in known]
        while len(self._offspring) >= self._size:
            new = self._offspring[: self._size]
            del self._offspring[: self._size]
            self._generation(new)

    def _generation(self, new: list[int]) -> None:
        """Let population and offspring together give the next population."""
        pool = [*self._population, *new]
        self._population = self._select(pool, self._size) if len(pool) > self._size else pool

    # ------------------------------------------------------------------ state
    def _extra_state(self) -> JsonObject:
        return {"population": self._population, "offspring": self._offspring, "plan": self._plan}

    def _load_extra_state(self, extra: JsonObject) -> None:
        self._population = [int(i) for i in extra["population"]]
        self._offspring = [int(i) for i in extra["offspring"]]
        self._plan = extra["plan"]


def unit_costs(costs: FloatArray) -> FloatArray:
    """Scale each column of costs to 0 (best) .. 1 (worst).

    Parameters
    ----------
    costs : ndarray (n, m)
        Smaller is better; n >= 1.

    Returns
    -------
    ndarray (n, m)
        Constant columns are 0.

    Examples
    --------
    >>> unit_costs(np.array([[1.0, 5.0], [3.0, 5.0]])).tolist()
    [[0.0, 0.0], [1.0, 0.0]]
    """
    low, high = costs.min(axis=0), costs.max(axis=0)
    return np.asarray((costs - low) / np.where(high > low, high - low, 1.0))


def directions(objectives: int, most: int) -> FloatArray:
    """Spread weights of objectives evenly.

    Parameters
    ----------
    objectives : int
        Number m of objectives.
    most : int
        How many weights are wanted at most.

    Returns
    -------
    ndarray (k, m)
        k <= max(most, m) weights, each row sums to 1.

    References
    ----------
    Das and Dennis 1998, "Normal-boundary intersection", doi 10.1137/S1052623496307510; by pymoo.
    """
    if objectives == 1:
        return np.ones((1, 1))
    found = np.asarray(get_reference_directions("das-dennis", objectives, n_partitions=1))
    for parts in range(2, most):
        finer = np.asarray(get_reference_directions("das-dennis", objectives, n_partitions=parts))
        if len(finer) > most:
            break
        found = finer
    return found
