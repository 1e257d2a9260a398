"""Size, ends and listing of random conditional spaces against plain enumeration."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from hwsearch.errors import SpaceError
from hwsearch.spaces import Choice, SearchSpace, When
from tests.spaces.strategies import active_genes, brute_force, spaces


@settings(deadline=None)
@given(spaces())
def test_enumeration_and_cardinality_are_the_brute_force_ones(space: SearchSpace) -> None:
    expected = brute_force(space)
    archs = list(space.enumerate())
    assert space.cardinality == len(expected) == len(archs) == len({a.id for a in archs})
    assert [a.to_dict() for a in archs] == expected
    assert all(a in space for a in archs)


@settings(deadline=None)
@given(spaces())
def test_smallest_and_largest_take_the_ends(space: SearchSpace) -> None:
    for arch, end in ((space.smallest(), 0), (space.largest(), -1)):
        assert arch.to_dict() == active_genes(space, {c.name: c.values[end] for c in space.choices})


def test_size_counts_deep_chains_without_walking_them() -> None:
    choices = [Choice("g0", (0, 1, 2))]
    choices += [Choice(f"g{i}", (0, 1, 2), When(f"g{i - 1}", (1, 2))) for i in range(1, 60)]
    expected = 3
    for _ in range(59):
        expected = 1 + 2 * expected
    assert SearchSpace("chain", choices).cardinality == expected


def test_a_large_space_is_not_enumerated() -> None:
    space = SearchSpace("large", [Choice(f"g{i}", tuple(range(10))) for i in range(7)])
    with pytest.raises(SpaceError, match=r"1e\+07 architectures, more than 1,000,000"):
        next(space.enumerate())
