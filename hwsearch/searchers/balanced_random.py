"""Random search that is balanced over cost."""

from __future__ import annotations

from typing import ClassVar

from typing_extensions import override

from hwsearch.searchers.options import RowFunction, SearcherOptions, function_option
from hwsearch.searchers.random import RandomOptions, RandomSearcher


class BalancedRandomOptions(RandomOptions):
    """Options of balanced random search."""

    cost: RowFunction | None = function_option(
        "Rows to a positive cost (n,), over which each ask is spread evenly; default: the sum of the genes' places."
    )


class BalancedRandomSearcher(RandomSearcher):
    """Random search that spreads each ask evenly over cost, smallest and largest subnet included.

    Uniform genes hardly ever give a subnet near the ends of the cost range; this tactic measures both in its first
    ask. See `BalancedRandomOptions`.
    """

    name: ClassVar[str] = "balanced-random"
    Options: ClassVar[type[SearcherOptions]] = BalancedRandomOptions

    options: BalancedRandomOptions

    @override
    def _cost(self) -> RowFunction:
        return self.options.cost or (lambda rows: self.space.encode_array(rows, "ordinal").sum(axis=1))
