"""Random search: the baseline that every other tactic must beat."""

from __future__ import annotations

from typing import ClassVar

from hwsearch._typing import IntArray
from hwsearch.searchers.base import Searcher
from hwsearch.searchers.options import RowFunction, SearcherOptions, function_option


class RandomOptions(SearcherOptions):
    """Options of random search."""

    cost: RowFunction | None = function_option(
        "Rows to a positive cost (n,), over which each ask is spread evenly between the smallest and the largest "
        "subnet; without it each gene is uniform."
    )


class RandomSearcher(Searcher):
    """Architectures at random, each gene uniform or balanced over a cost; see `RandomOptions`.

    References
    ----------
    Bergstra and Bengio 2012, "Random search for hyper-parameter optimization".
    Li and Talwalkar 2019, "Random search and reproducibility for neural architecture search", arXiv 1902.07638.

    Examples
    --------
    >>> from hwsearch.spaces import Choice, SearchSpace
    >>> space = SearchSpace("tiny", [Choice("depth", (1, 2, 3)), Choice("width", (16, 32))])
    >>> len(RandomSearcher(space, ["max accuracy"], seed=1).ask(4))
    4
    """

    name: ClassVar[str] = "random"
    Options: ClassVar[type[SearcherOptions]] = RandomOptions

    options: RandomOptions

    def _propose(self, n: int) -> IntArray:
        cost = self._cost()
        if cost is None:
            return self.space.sample_array(n, self.rng)
        return self.space.collect_array(
            n, lambda m: self.space.sample_balanced_array(m, self.rng, cost), self.is_known_array
        )

    def _cost(self) -> RowFunction | None:
        return self.options.cost
