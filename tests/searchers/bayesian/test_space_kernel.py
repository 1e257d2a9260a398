"""The kernel of a search space is that of the columns that the space's predictors see."""

from __future__ import annotations

import numpy as np
import pytest

from hwsearch.searchers.bayesian.space_kernel import SpaceKernel
from hwsearch.spaces import SearchSpace
from hwsearch.spaces.choice import Choice, When
from predictors.kernel import Kernel


def space() -> SearchSpace:
    """Two kinds at three places, of which one gene can be off; one unordered gene and one that is like none."""
    choices = [Choice(f"k[{i}]", (3, 5, 7)) for i in range(3)]
    choices += [Choice(f"e[{i}]", (1, 2), when=When("k[0]", (5, 7)) if i == 2 else None) for i in range(3)]
    return SearchSpace("mixed", [*choices, Choice("act", ("relu", "swish"), ordinal=False), Choice("width", (1, 2, 4))])


def test_rows_and_the_matrix_of_their_encoding_have_the_same_kernel() -> None:
    rows, other = (space().sample_array(n, np.random.default_rng(n)) for n in (30, 7))
    kernel = SpaceKernel(space(), rows, lambda r: r[:, :2] + 0.5, lambda r: r[:, 7])
    matrices = [
        np.column_stack([space().encode_array(r), r[:, :2] + 0.5, r[:, 7]]).astype(np.float64) for r in (rows, other)
    ]
    schema = kernel.schema
    assert schema.names[-3:] == ["fact[0]", "fact[1]", "source[0]"]
    assert schema.names[:-3] == space().feature_names()
    same = Kernel(schema, schema.split(matrices[0]))
    assert same.names == kernel.names
    features = [same.features(schema.split(X)) for X in matrices]
    assert same.stack(*features) == pytest.approx(
        kernel.stack(*(kernel.row_features(r) for r in (rows, other))), abs=1e-12
    )


def test_genes_that_are_off_in_the_first_row_are_optional() -> None:
    columns = {column.gene: column for column in space().schema().columns}
    assert [name for name, column in columns.items() if column.optional] == ["e[2]"]
    assert not columns["act"].ordinal and columns["width"].ordinal
    assert columns["k[1]"].place == 1 and columns["k[1]"].kind == "k" and columns["width"].kind == "(1, 2, 4)"
