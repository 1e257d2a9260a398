"""Rows of indices and architectures turn into each other; inactive genes do not matter."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from hwsearch.errors import SpaceError
from hwsearch.spaces import Choice, SearchSpace, When
from tests.spaces.strategies import active_genes, space_and_rows


@settings(deadline=None)
@given(space_and_rows())
def test_arrays_and_architectures_turn_into_each_other(case: tuple[SearchSpace, np.ndarray]) -> None:
    space, rows = case
    archs = space.from_array(rows)
    assert np.array_equal(space.to_array(archs), space.canonical(rows))
    assert space.from_array(space.to_array(archs)) == archs


@settings(deadline=None)
@given(space_and_rows())
def test_inactive_genes_do_not_matter(case: tuple[SearchSpace, np.ndarray]) -> None:
    space, rows = case
    for raw in rows:
        genes = {c.name: c.values[j] for c, j in zip(space.choices, raw, strict=True)}
        assert (
            space.architecture(genes)
            == space.architecture(active_genes(space, genes))
            == space.from_array(raw[None])[0]
        )


def test_rows_with_a_wrong_index_are_found_and_counted_from_the_start() -> None:
    space = SearchSpace("toy", [Choice("a", (1, 2)), Choice("b", (1, 2, 3), When("a", (2,)))])
    rows = np.array([[0, 9], [1, 2], [1, 3], [2, 0], [1, -1], [-1, 0]])  # b is inactive where a is at its first value
    assert space.contains_array(rows).tolist() == [True, True, False, False, False, False]
    with pytest.raises(SpaceError, match=r"row 12 holds no index of a value of gene 'b': 3"):
        space.check_rows(space.canonical(rows), start=10)
