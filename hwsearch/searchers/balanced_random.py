"""Random search that is balanced over cost."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from hwsearch.objectives.objective import Objective
from hwsearch.searchers.base import RowFunction
from hwsearch.searchers.random import RandomSearcher
from hwsearch.spaces import SearchSpace


class BalancedRandomSearcher(RandomSearcher):
    """Random search that spreads each ask evenly over cost, smallest and largest subnet included.

    cost : rows to a positive cost (n,); default: the sum of the genes' places
    """

    name: ClassVar[str] = "balanced-random"

    def __init__(
        self,
        space: SearchSpace,
        objectives: Iterable[Objective | str],
        seed: int = 0,
        *,
        cost: RowFunction | None = None,
    ) -> None:
        super().__init__(
            space, objectives, seed, cost=cost or (lambda rows: space.encode_array(rows, "ordinal").sum(axis=1))
        )
