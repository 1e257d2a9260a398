"""Random search: the rival that every other tactic must beat."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from hwsearch._typing import IntArray
from hwsearch.objectives.objective import Objective
from hwsearch.searchers.base import RowFunction, Searcher
from hwsearch.spaces import SearchSpace


class RandomSearcher(Searcher):
    """Architectures at random (Bergstra & Bengio 2012; Li & Talwalkar 2019, arXiv 1902.07638).

    cost : when given, each ask is spread evenly over this cost between the smallest and the largest subnet;
        otherwise each gene is uniform
    """

    name: ClassVar[str] = "random"

    def __init__(
        self,
        space: SearchSpace,
        objectives: Iterable[Objective | str],
        seed: int = 0,
        *,
        cost: RowFunction | None = None,
    ) -> None:
        super().__init__(space, objectives, seed, cost=cost)
        self._cost = cost

    def _propose(self, n: int) -> IntArray:
        if self._cost is None:
            return self.space.sample_array(n, self.rng)
        cost = self._cost
        return self.space.collect_array(
            n, lambda m: self.space.sample_balanced_array(m, self.rng, cost), self.is_known_array
        )
