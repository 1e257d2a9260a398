"""Generations: when one is over, who mates, what is left of a first sample; and costs and weights by hand."""

from __future__ import annotations

from math import comb
from typing import ClassVar

import numpy as np
import pytest

from hwsearch.searchers.evolutionary.population import PopulationSearcher, directions, unit_costs
from hwsearch.spaces import Choice, SearchSpace

SPACE = SearchSpace("grid", [Choice(f"x{i}", tuple(range(5))) for i in range(4)])
TWO = ["max accuracy", "min latency_ms"]


class Youngest(PopulationSearcher):
    """The latest survive; selections are remembered."""

    name: ClassVar[str] = "youngest"

    def _select(self, pool: list[int], n: int) -> list[int]:
        self.__dict__.setdefault("selections", []).append((list(pool), n))
        return pool[-n:]


def tell(searcher: Youngest, rows: np.ndarray) -> None:
    searcher.tell_array(rows, [[row.sum(), 1 + row[0]] for row in rows])


def run(searcher: Youngest, *sizes: int) -> None:
    for n in sizes:
        tell(searcher, searcher.ask_array(n))


def test_a_generation_is_over_when_enough_have_been_told_whatever_the_asks() -> None:
    small, large = (Youngest(SPACE, TWO, 0, population=6) for _ in range(2))
    run(small, 2, 2, 1)
    assert small._population == [] and small._offspring == [0, 1, 2, 3, 4]
    run(small, 1)
    assert small._population == list(range(6)) and small._offspring == []
    run(large, 6)
    assert large._population == small._population
    run(small, 5)
    assert "selections" not in vars(small)
    run(small, 1)
    assert small.selections == [(list(range(12)), 6)] and small._population == list(range(6, 12))


def test_one_long_telling_makes_several_generations() -> None:
    searcher = Youngest(SPACE, TWO, 0, population=4)
    tell(searcher, SPACE.sample_array(11, np.random.default_rng(0)))
    told = len(searcher.values)
    assert len(searcher.selections) == told // 4 - 1 and len(searcher._offspring) == told % 4


def test_what_is_told_again_is_no_new_offspring() -> None:
    searcher = Youngest(SPACE, TWO, 0, population=4)
    rows = searcher.ask_array(3)
    tell(searcher, rows)
    tell(searcher, rows)
    assert searcher._offspring == [0, 1, 2]


def test_a_balanced_first_sample_is_spread_and_taken_up_where_it_stopped() -> None:
    cost = lambda rows: 1.0 + rows.sum(axis=1)  # noqa: E731
    one, two = (Youngest(SPACE, TWO, 3, population=8, cost=cost) for _ in range(2))
    whole = one.ask_array(8)
    parts = [two.ask_array(3)]
    again = Youngest(SPACE, TWO, 3, population=8, cost=cost)
    again.load_state_dict(two.state_dict())
    parts.append(again.ask_array(5))
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    assert {0, 16} <= set(whole.sum(axis=1))  # both ends


def test_children_are_new_and_none_are_bred_of_nobody() -> None:
    searcher = Youngest(SPACE, TWO, 0, population=6)
    assert len(searcher._bred(3)) == 0
    run(searcher, 6)
    children = searcher._bred(5)
    assert len(children) == 5 and not searcher.is_known_array(children).any()
    assert len(np.unique(children, axis=0)) == 5 and len(searcher._bred(0)) == 0


def test_costs_are_scaled_from_the_best_to_the_worst() -> None:
    found = unit_costs(np.array([[-3.0, 5.0], [1.0, 5.0], [-1.0, 5.0]]))
    np.testing.assert_allclose(found, [[0, 0], [1, 0], [0.5, 0]])


@pytest.mark.parametrize(("objectives", "most"), [(1, 9), (2, 2), (2, 50), (3, 3), (3, 50), (4, 60), (5, 4)])
def test_weights_are_the_finest_lattice_that_is_small_enough(objectives: int, most: int) -> None:
    found = directions(objectives, most)
    np.testing.assert_allclose(found.sum(axis=1), 1.0)
    assert (found >= 0).all() and len(np.unique(found, axis=0)) == len(found) <= max(most, objectives)
    if objectives > 1:
        parts = next(p for p in range(1, 999) if comb(p + objectives, objectives - 1) > most or p == most - 1)
        assert len(found) == comb(max(parts, 1) + objectives - 1, objectives - 1)
