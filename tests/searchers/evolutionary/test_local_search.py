"""Local search on a function that is known."""

from __future__ import annotations

from hwsearch.searchers import create
from hwsearch.spaces import Choice, SearchSpace


def test_local_search_climbs_to_the_optimum_of_a_separable_function() -> None:
    space = SearchSpace("line", [Choice(f"x{i}", tuple(range(6))) for i in range(4)])
    searcher = create("local-search", space, ["max accuracy"], 0, start=1)
    for _ in range(14):
        archs = searcher.ask(10)
        searcher.tell(archs, -((space.to_array(archs) - 3) ** 2).sum(axis=1))
    assert searcher.evaluated[1].max() == 0.0  # of 1,296 architectures, 140 measured
