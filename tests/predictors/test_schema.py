"""The description of columns: read from names and JSON, and the blocks of a matrix."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictors import Column, PredictorError, Schema
from predictors.schema import kind_and_place

NAMES = ["ks[0]=3", "ks[0]=5", "act=relu", "act=h=swish", "width=0.25", "width=1.0", "macs"]


def test_names_say_gene_place_and_value() -> None:
    columns = Schema.from_names(NAMES).columns
    assert [(c.gene, c.kind, c.place, c.value, c.ordinal) for c in columns] == [
        ("ks[0]", "ks", 0, 3, True),
        ("ks[0]", "ks", 0, 5, True),
        ("act", "('relu', 'h=swish')", 0, "relu", False),
        ("act", "('relu', 'h=swish')", 0, "h=swish", False),
        ("width", "(0.25, 1.0)", 0, 0.25, True),
        ("width", "(0.25, 1.0)", 0, 1.0, True),
        ("macs", "", 0, None, False),
    ]
    assert [c.block for c in columns] == ["gene"] * 6 + ["fact"]


def test_genes_of_a_kind() -> None:
    assert kind_and_place("e[12]", (1, 2)) == ("e", 12)
    assert kind_and_place("a", (1, 2)) == kind_and_place("b", (1, 2)) != kind_and_place("c", (1, 3))


def test_json_there_and_back_with_an_equal_digest() -> None:
    schema = Schema.from_names(NAMES)
    again = Schema.from_json(schema.to_json())
    assert again == schema and again.digest == schema.digest
    assert Schema.from_names(NAMES[::-1]).digest != schema.digest
    assert repr(schema) == "Schema(6 gene, 1 fact)" and schema.names == NAMES


@given(st.lists(st.tuples(st.text(min_size=1), st.sampled_from(["fact", "source", "device"])), min_size=1, unique_by=lambda c: c[0]))  # fmt: skip
def test_any_names_survive_json(columns: list[tuple[str, str]]) -> None:
    schema = Schema(tuple(Column(name, block) for name, block in columns))
    assert Schema.from_json(schema.to_json()) == schema


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ((), "1 to 100000 columns, not 0"),
        ((Column("a"), Column("a")), "'a' stands twice"),
        ((Column("a", "colour"),), "of the block 'colour'.*gene, fact"),
        (
            (Column("k=1", "gene", value=1), Column("macs"), Column("j=1", "gene", value=1), Column("k=2", "gene", value=2)),
            "gene 'k' do not stand side by side",
        ),
    ],
)  # fmt: skip
def test_a_schema_that_says_nothing_sensible_is_refused(columns: tuple[Column, ...], words: str) -> None:
    with pytest.raises(PredictorError, match=words):
        Schema(columns)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not JSON"),
        ("[]", "a list of 'columns'"),
        ('{"columns": [3]}', "3 is no column"),
        ('{"columns": [{"block": "fact"}]}', "no column"),
        ('{"columns": [{"name": "a", "colour": 1}]}', "no column"),
        ('{"columns": [{"name": "a", "place": true}]}', "'place' of column 'a' is 'True'"),
        ('{"columns": [{"name": "a", "ordinal": 1}]}', "'ordinal' of column 'a' is '1'"),
        ('{"columns": [{"name": 3}]}', "'name' of column '3' is '3'"),
    ],
)
def test_json_of_something_else_is_refused(text: str, words: str) -> None:
    with pytest.raises(PredictorError, match=words):
        Schema.from_json(text)


def test_a_matrix_is_cut_into_blocks_wherever_their_columns_stand() -> None:
    schema = Schema.from_dict(
        {
            "columns": [
                {"name": "macs"},
                {"name": "k=1", "block": "gene", "value": 1},
                {"name": "k=2", "block": "gene", "value": 2},
                {"name": "pixel", "block": "source"},
                {"name": "params"},
            ]
        }
    )
    X = np.array([[5.0, 1, 0, 2.5, 7], [6.0, 0, 0, 3.5, 8]])
    blocks = schema.split(X)
    assert list(blocks) == ["gene", "fact", "source"]
    assert blocks["gene"].dtype == bool and blocks["gene"].tolist() == [[True, False], [False, False]]
    assert blocks["fact"].tolist() == [[5, 7], [6, 8]] and blocks["source"].tolist() == [[2.5], [3.5]]
    with pytest.raises(PredictorError, match=r"has 5 columns, but X has shape \(2, 4\)"):
        schema.split(X[:, :4])
    X[1, 2] = 0.5
    with pytest.raises(PredictorError, match=r"'k=2' is a value of a gene and must be 0 or 1, but row 1 has 0\.5"):
        schema.split(X)


def test_kernel_and_schema_load_no_scikit_learn() -> None:
    code = "import sys, predictors.kernel, predictors.posterior, json; print(json.dumps([m for m in ('sklearn', 'xgboost') if m in sys.modules]))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert json.loads(out) == []
