"""The canonical form of random conditional spaces, and conditions by hand."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings

from hwsearch.spaces import Choice, SearchSpace, When
from hwsearch.spaces.conditions import Conditions
from tests.spaces.strategies import active_genes, space_and_rows


@settings(deadline=None)
@given(space_and_rows())
def test_canonical_form_is_idempotent_and_leaves_its_input_alone(case: tuple[SearchSpace, np.ndarray]) -> None:
    space, rows = case
    before = rows.copy()
    once = space.canonical(rows)
    assert np.array_equal(rows, before)
    assert np.array_equal(space.canonical(once), once)
    for raw, row in zip(rows, once, strict=True):
        genes = {c.name: c.values[j] for c, j in zip(space.choices, raw, strict=True)}
        assert {n for n, j in zip(space.names, row, strict=True) if j >= 0} == set(active_genes(space, genes))


def test_a_chain_of_conditions_by_hand() -> None:
    """`c` needs `b`, which needs `a`: an inactive parent switches off whatever value it holds."""
    choices = [Choice("a", (0, 1)), Choice("b", (0, 1, 2), When("a", (1,))), Choice("c", (0, 1), When("b", (0, 2)))]
    conditions = Conditions("chain", choices)
    assert conditions.parents.tolist() == [-1, 0, 1] and conditions.children == [[1], [2], []]
    assert [level.genes.tolist() for level in conditions.levels] == [[1], [2]]
    raw = np.array([[0, 0, 1], [1, 0, 1], [1, 1, 1], [1, 2, 0]])
    assert conditions.canonical(raw).tolist() == [[0, -1, -1], [1, 0, 1], [1, 1, -1], [1, 2, 0]]
    assert conditions.count() == 6  # a=0; b=1; b=0 and b=2 with two values of c each
    assert conditions.enumerate().tolist() == [[0, -1, -1], [1, 0, 0], [1, 0, 1], [1, 1, -1], [1, 2, 0], [1, 2, 1]]
    assert [conditions.is_active(2, row) for row in ([0, -1], [1, 0], [1, 1])] == [False, True, False]
    assert conditions.misplaced(np.array([[0, -1, -1], [1, -1, -1], [1, 0, 5]])).tolist() == [
        [False, False, False],
        [False, True, False],
        [False, False, True],
    ]
