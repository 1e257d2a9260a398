"""Chains: nested, from end to end, spread over the cost."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsearch.errors import SpaceError
from hwsearch.spaces import Choice, SearchSpace, When


def nested(space: SearchSpace, low: np.ndarray, high: np.ndarray) -> bool:
    """Whether no gene that is active in both is larger in the first, and none vanishes."""
    both = (low >= 0) & (high >= 0)
    return bool((low[both] <= high[both]).all() and ((low < 0) | (high >= 0)).all())


SPACE = SearchSpace(
    "conditional",
    [
        Choice("d", (1, 2, 3)),
        Choice("e[0]", (1, 2, 4)),
        Choice("e[1]", (1, 2, 4), When("d", (2, 3))),
        Choice("e[2]", (1, 2, 4), When("d", (3,))),
    ],
)


def cost(rows: np.ndarray) -> np.ndarray:
    return 1.0 + (rows + 1).sum(axis=1)


@pytest.mark.parametrize("n", [2, 3, 5, 8, 100])
def test_a_chain_is_nested_from_the_smallest_to_the_largest(n: int) -> None:
    rows = SPACE.chain_array(n, cost)
    archs = SPACE.chain(n, cost)
    assert archs[0] == SPACE.smallest() and archs[-1] == SPACE.largest()
    assert len(set(archs)) == len(archs) <= n and (n > 8 or len(archs) == n)
    assert all(nested(SPACE, a, b) for a, b in itertools.pairwise(rows))


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(1, 5), min_size=1, max_size=6), st.integers(2, 20))
def test_any_sizes(sizes: list[int], n: int) -> None:
    space = SearchSpace("any", [Choice(f"g{i}", tuple(range(s))) for i, s in enumerate(sizes)])
    rows = space.chain_array(n, cost)
    assert (np.diff(rows, axis=0) >= 0).all() and len(np.unique(rows, axis=0)) == len(rows)
    assert len(rows) == min(n, 1 + sum(s - 1 for s in sizes))


def test_costs_are_spread_evenly_by_their_logarithm() -> None:
    space = SearchSpace("wide", [Choice("w", tuple(range(1, 101)))])
    rows = space.chain_array(3, lambda r: 1.0 + r[:, 0])
    assert rows[:, 0].tolist() == [0, 9, 99]  # costs 1, 10, 100


def test_what_has_no_order_has_no_chain() -> None:
    space = SearchSpace("cell", [Choice("op", ("conv", "pool"), ordinal=False)])
    with pytest.raises(SpaceError, match="the values of gene 'op' have no order"):
        space.chain(3, cost)
    with pytest.raises(SpaceError, match="a chain of 1 is none"):
        SPACE.chain(1, cost)


def test_contained_rows_are_those_whose_genes_are_nowhere_larger() -> None:
    space = SearchSpace(
        "mixed",
        [
            Choice("d", (1, 2)),
            Choice("e", (1, 2, 4), When("d", (2,))),
            Choice("act", ("relu", "swish"), ordinal=False),
        ],
    )
    rows = space.enumerate_array()
    found = space.contained_array(rows)
    for i, low in enumerate(rows):
        for j, high in enumerate(rows):
            assert found[i, j] == (nested(space, low[:2], high[:2]) and low[2] == high[2])
    assert found.diagonal().all()
