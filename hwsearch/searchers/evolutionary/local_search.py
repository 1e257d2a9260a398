"""Local search: measure all neighbours of the best."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

import numpy as np
from pydantic import Field

from hwsearch._json import JsonObject
from hwsearch._typing import IntArray
from hwsearch.objectives.objective import Objective
from hwsearch.searchers.base import Searcher
from hwsearch.searchers.evolutionary.evolution import rank_and_crowding
from hwsearch.searchers.options import SearcherOptions
from hwsearch.spaces import SearchSpace
from hwsearch.spaces.rows import RowSet


class LocalSearchOptions(SearcherOptions):
    """Options of local search."""

    start: int = Field(10, ge=1, description="Uniform architectures at the beginning of a run.")


class LocalSearchSearcher(Searcher):
    """Local search: from the best of a first sample to its best neighbour, and so on.

    Where no neighbour is better, it starts again from a new sample. With several objectives it goes from the members of
    the run's front, the least crowded first. It never goes from failed measurements; limits rank first. Strong where
    noise and space are small, and for finishing.

    Parameters
    ----------
    space : SearchSpace
        What can be chosen.
    objectives : iterable of Objective or str
        As of `Searcher`.
    seed : int
        All randomness comes from it.
    **options : object
        Those of `LocalSearchOptions`.

    References
    ----------
    White, Nolen, Savani 2020, "Exploring the loss landscape in neural architecture search", arXiv 2005.02960.
    """

    name: ClassVar[str] = "local-search"
    Options: ClassVar[type[SearcherOptions]] = LocalSearchOptions

    options: LocalSearchOptions

    def __init__(
        self, space: SearchSpace, objectives: Iterable[Objective | str], seed: int = 0, **options: object
    ) -> None:
        super().__init__(space, objectives, seed, **options)
        self._since = 0  # position in `evaluated` where the present run began
        self._left = self.options.start  # how many of its first sample have not been asked

    def _propose(self, n: int) -> IntArray:
        first = self._sample(min(n, self._left))
        if len(first) == n:
            return first
        near = self._near(n - len(first))
        missing = n - len(first) - len(near)
        if missing and not self._pending:  # a local optimum: every neighbour is known
            self._since, self._left = len(self._told), self.options.start
            return np.concatenate([first, near, self._sample(min(missing, self.options.start))])
        return np.concatenate([first, near])

    def _sample(self, n: int) -> IntArray:
        self._left -= n
        return self.space.sample_array(n, self.rng)

    def _near(self, n: int) -> IntArray:
        """List unknown neighbours of the run's best, in random order; of as many front members as n needs."""
        rows, values = self.rows_at(slice(self._since, None)), self.values[self._since :]
        found = RowSet(self.space.sizes)
        rank, crowding = rank_and_crowding(self.costs(values), self.violation(values))
        best = [i for i in np.lexsort((-crowding, rank)) if rank[i] == rank.min() and not np.isnan(values[i]).any()]
        for i in best:
            near = self.rng.permutation(self.space.neighbours_array(rows[i]))
            found.add(near[~self.is_known_array(near)])
            if len(found) >= n:
                break
        return found.rows[:n].astype(np.int64)

    def _extra_state(self) -> JsonObject:
        return {"since": self._since, "left": self._left}

    def _load_extra_state(self, extra: JsonObject) -> None:
        self._since, self._left = int(extra["since"]), int(extra["left"])
