"""NSGA-II on measured values, driven by ask and tell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import numpy as np

from hwsearch.errors import SearchError
from hwsearch.objective import Objective
from hwsearch.search.base import IntArray, RowFunction, Searcher
from hwsearch.search.evolution import Mating, rank_and_crowding, survive
from hwsearch.spaces import SearchSpace


class Nsga2Searcher(Searcher):
    """Generational NSGA-II (Deb et al. 2002) whose generations do not depend on the size of the asks.

    population : size of the first sample and of each generation
    crossover, mutation : see `Mating`
    cost : when given, the first generation is spread evenly over it, extremes included; otherwise it is uniform

    A generation is over as soon as `population` new architectures have been told; architectures told without
    being asked for take part as well. Any number of objectives; limits rank first.
    """

    name: ClassVar[str] = "nsga2"

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
        self._size = population
        self._mating = Mating(crossover, mutation)
        self._cost = cost
        self._population: list[int] = []  # positions in `evaluated`
        self._offspring: list[int] = []
        self._plan: list[list[int]] | None = None  # what is left of a balanced first generation

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
        """Children of the population, or of what has been told while there is none."""
        parents = self._population or self._offspring
        if n <= 0 or not parents:
            return self._empty()
        rows, values = self.rows[parents], self.values[parents]
        rank, crowding = rank_and_crowding(self.costs(values), self.violation(values))
        found: dict[bytes, IntArray] = {}
        known = {row.tobytes() for row in np.concatenate([self.rows, self.pending_rows])}
        for _ in range(20):
            for row in self._mating.children(self.space, rows, rank, crowding, n, self.rng):
                if row.tobytes() not in known:
                    found.setdefault(row.tobytes(), row)
            if len(found) >= n:
                break
        return np.stack([*found.values()][:n]) if found else self._empty()

    def _after_tell(self, indices: list[int]) -> None:
        known = {*self._population, *self._offspring}
        self._offspring += [i for i in dict.fromkeys(indices) if i not in known]
        while len(self._offspring) >= self._size:
            pool = [*self._population, *self._offspring[: self._size]]
            del self._offspring[: self._size]
            values = self.values[pool]
            chosen = survive(self.costs(values), self.violation(values), self._size, self.rng)
            self._population = [pool[i] for i in chosen]

    def _extra_state(self) -> dict[str, Any]:
        return {"population": self._population, "offspring": self._offspring, "plan": self._plan}

    def _load_extra_state(self, extra: Mapping[str, Any]) -> None:
        self._population = [int(i) for i in extra["population"]]
        self._offspring = [int(i) for i in extra["offspring"]]
        self._plan = extra["plan"]
