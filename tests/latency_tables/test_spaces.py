"""Spaces of tables: types, conditions, canonical rows."""

from __future__ import annotations

import pandas as pd
import pytest

from latency_tables import Gene, TableError, TableSpace, load_space, parse_space, space_names

SPACE = TableSpace("toy", (Gene("d", (1, 2)), Gene("k[0]", (3, 5)), Gene("k[1]", (3, 5), (), ("d", (2,)))))
FRAME = pd.DataFrame({"d": [1, 2], "k[0]": [3, 5], "k[1]": [3, 5]})


def test_a_gene_knows_its_type():
    assert Gene("a", (1, 2)).dtype == "Int64" and Gene("a", (0.5, 1)).dtype == "Float64"
    assert Gene("a", ("relu",)).dtype == "string" and Gene("a").dtype == "Float64"


def test_a_gene_that_is_not_there_is_emptied_and_must_be_empty():
    typed, faults = SPACE.typed(FRAME)
    assert faults == []
    assert [(f.row, f.column) for f in SPACE.faults(typed)] == [(0, "k[1]")]
    canonical = SPACE.canonical(typed)
    assert SPACE.faults(canonical) == [] and canonical["k[1]"].isna().tolist() == [True, False]
    assert typed["k[1]"].notna().all()  # the frame that was given is not changed
    assert {g.name: mask.tolist() for g, mask in SPACE.active(typed)}["k[1]"] == [False, True]


def test_cells_of_no_type_and_missing_columns_are_faults():
    frame = FRAME.assign(**{"k[0]": ["3", "x"]}).drop(columns="d").assign(**{"k[1]": [3.5, 5.0]})
    _, faults = SPACE.typed(frame)
    assert [(f.row, f.column) for f in faults] == [(None, "d"), (1, "k[0]"), (0, "k[1]")]


def test_values_that_a_gene_does_not_have_and_empty_ones_are_faults():
    typed, _ = SPACE.typed(pd.DataFrame({"d": [2, 2, 3], "k[0]": [3, 4, 3], "k[1]": [None, 3, None]}))
    assert {(f.row, f.column) for f in SPACE.faults(typed)} == {(0, "k[1]"), (1, "k[0]"), (2, "d")}


def test_an_architecture_is_a_row():
    assert SPACE.genes_of({"d": 1, "k[0]": 5}) == (1, 5, None)
    assert SPACE.genes_of({"d": 1, "k[0]": 5, "k[1]": 3}) == (1, 5, None)  # that gene is not there
    for genes, words in (
        ({"d": 1, "k[9]": 5}, "has no gene 'k\\[9\\]'"),
        ({"d": 2, "k[0]": 5}, "needs gene 'k\\[1\\]'"),
        ({"d": 7, "k[0]": 5}, "'d=7' is not one of \\(1, 2\\)"),
    ):
        with pytest.raises(TableError, match=words):
            SPACE.genes_of(genes)


def test_a_document_reads_back_equal_and_a_wrong_one_is_refused():
    data = SPACE.to_dict()
    plain = {**data, "gene": [{k: v for k, v in g.items() if v is not None} for g in data["gene"]]}
    assert parse_space(plain, "x") == SPACE
    with pytest.raises(TableError, match="x: a space needs 'name'"):
        parse_space({"name": "toy"}, "x")
    backwards = {**plain, "gene": plain["gene"][::-1]}
    with pytest.raises(TableError, match="waits for a gene that is not before it"):
        parse_space(backwards, "x")
    with pytest.raises(TableError, match="there is no table space 'toyy'"):
        load_space("toyy")
    assert "ofa-mobilenetv3" in space_names()
