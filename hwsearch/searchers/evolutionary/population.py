"""Generations of measured architectures, whatever selects them: the base of the evolutionary tactics."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from pymoo.util.ref_dirs import get_reference_directions

from hwsearch._typing import FloatArray, IntArray
from hwsearch.errors import SearchError
from hwsearch.objectives.objective import Objective
from hwsearch.searchers.base import RowFunction, Searcher
from hwsearch.searchers.evolutionary.evolution import Mating, rank_and_crowding
from hwsearch.spaces import SearchSpace
from hwsearch.spaces.rows import RowSet


class PopulationSearcher(Searcher):
    """Generational evolution on measured values; a subclass says who survives and, if it likes, who mates.

    population : size of the first sample and of each generation
    crossover, mutation : see `Mating`
    cost : when given, the first generation is spread evenly over it, extremes included; otherwise it is uniform

    A generation is over as soon as `population` new architectures have been told, so that generations do not depend
    on the size of the asks; architectures told without being asked for take part as well. Any number of objectives;
    limits rank first. Crossover and mutation work on canonical forms: genes that are switched off are not bred.
    """

    def __init__(
        self,
        space: SearchSpace,
        objectives: Iterable[Objective | str],
        seed: int = 0,
        *,
        population: int = 50,
        crossover: float = 0.9,
        mutation: float | None = None,
        cost: RowFunction | None = None,
    ) -> None:
        super().__init__(
            space, objectives, seed, population=population, crossover=crossover, mutation=mutation, cost=cost
        )
        if population < 2:
            raise SearchError(f"a population of {population} cannot evolve.", hint="Use at least 2.")
        for option, chance in (("crossover", crossover), ("mutation", mutation)):
            if chance is not None and not 0.0 <= chance <= 1.0:
                raise SearchError(f"{option}={chance} is no probability.", hint="Give a number in 0..1.")
        self._size = self._room(population)
        self._mating = Mating(crossover, mutation)
        self._cost = cost
        self._population: list[int] = []  # positions in `evaluated`
        self._offspring: list[int] = []
        self._plan: list[list[int]] | None = None  # what is left of a balanced first generation

    # ------------------------------------------------------------------ what a tactic decides
    @abstractmethod
    def _select(self, pool: list[int], n: int) -> list[int]:
        """Those n of the told positions `pool` that survive; the pool has more than n."""

    def _room(self, population: int) -> int:
        """The size of a generation, where it cannot be any number."""
        return population

    def _children(self, n: int) -> IntArray:
        """N canonical rows bred from the population, or from what has been told while there is none."""
        parents = self._population or self._offspring
        values = self.values[parents]
        rank, crowding = self._preference(self.costs(values), self.violation(values))
        return self._mating.children(self.space, self.rows_at(parents), rank, crowding, n, self.rng)

    def _preference(self, costs: FloatArray, violation: FloatArray) -> tuple[IntArray, FloatArray]:
        """What tournaments go by: rank, the lower the better, then crowding distance, the higher the better."""
        return rank_and_crowding(costs, violation)

    # ------------------------------------------------------------------ ask and tell
    def _propose(self, n: int) -> IntArray:
        known = len(self._told) + len(self._pending)
        first = self._first(min(n, self._size - known)) if known < self._size else self._empty()
        return np.concatenate([first, self._bred(n - len(first))])

    def _empty(self) -> IntArray:
        return np.empty((0, len(self.space.choices)), dtype=np.int64)

    def _first(self, n: int) -> IntArray:
        """Rows of the first generation."""
        if self._cost is None:
            return self.space.sample_array(n, self.rng)
        if self._plan is None:
            self._plan = self.space.sample_balanced_array(self._size, self.rng, self._cost).tolist()
        rows, self._plan = self._plan[:n], self._plan[n:]
        return np.array(rows, dtype=np.int64).reshape(-1, len(self.space.choices))

    def _bred(self, n: int) -> IntArray:
        """Up to n children that are new."""
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
        """Population and offspring together give the next population."""
        pool = [*self._population, *new]
        self._population = self._select(pool, self._size) if len(pool) > self._size else pool

    # ------------------------------------------------------------------ state
    def _extra_state(self) -> dict[str, Any]:
        return {"population": self._population, "offspring": self._offspring, "plan": self._plan}

    def _load_extra_state(self, extra: Mapping[str, Any]) -> None:
        self._population = [int(i) for i in extra["population"]]
        self._offspring = [int(i) for i in extra["offspring"]]
        self._plan = extra["plan"]


def unit_costs(costs: FloatArray) -> FloatArray:
    """Each column of costs (n, m) scaled to 0 (best) .. 1 (worst); constant columns are 0."""
    low, high = costs.min(axis=0), costs.max(axis=0)
    return np.asarray((costs - low) / np.where(high > low, high - low, 1.0))


def directions(objectives: int, most: int) -> FloatArray:
    """Evenly spread weights (k, objectives), k <= max(most, objectives), by the method of Das and Dennis (1998)."""
    if objectives == 1:
        return np.ones((1, 1))
    found = np.asarray(get_reference_directions("das-dennis", objectives, n_partitions=1))
    for parts in range(2, most):
        finer = np.asarray(get_reference_directions("das-dennis", objectives, n_partitions=parts))
        if len(finer) > most:
            break
        found = finer
    return found
