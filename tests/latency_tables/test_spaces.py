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


def test_facts_are_summed_by_hand():
    genes = (
        Gene("a", (1, 2), ("x", "y"), None, {"macs": (10, 20)}, "1"),
        Gene("b", (1, 2), ("x", "z"), ("a", (2,)), {"macs": (1, 2), "params": (3, 4)}, "2"),
        Gene("c", (1, 2)),
    )
    space = TableSpace("toy", genes)
    found = space.describe(pd.DataFrame({"a": [1, 2, 2], "b": [None, 1, 2], "c": [1, 1, 1]}))
    assert found["macs"].tolist() == [10, 21, 22] and found["params"].tolist() == [0, 3, 4]
    assert found["macs[1]"].tolist() == [10, 20, 20] and found["macs[2]"].tolist() == [0, 1, 2]
    assert found["count[x]"].tolist() == [1, 1, 0] and found["count[z]"].tolist() == [0, 0, 1]
    plain = {
        **space.to_dict(),
        "gene": [{k: v for k, v in g.items() if v is not None} for g in space.to_dict()["gene"]],
    }
    assert parse_space(plain, "x") == space
    with pytest.raises(TableError, match="'a' of space 'toy' has values"):
        space.describe(pd.DataFrame({"a": [7], "b": [1], "c": [1]}))
    for wrong in ({"macs": [1.0]}, {"macs": [1.0, float("nan")]}, {"macs": [1.0, "2"]}, {"macs": 3}, 3):
        plain["gene"][0]["facts"] = wrong
        with pytest.raises(TableError, match="x: "):
            parse_space(plain, "x")
    assert SPACE.describe(FRAME).shape == (2, 0)


def test_facts_of_fbnet_are_those_of_its_blocks():
    """MACs, parameters and activations of the published macro-architecture, counted by hand for two blocks."""
    space = load_space("fbnet")
    skips = pd.DataFrame({name: [8, 8] for name in space.names})
    skips.loc[1, "op[0]"] = 1  # kernel 3, expansion 1, two groups; 16 channels at 112 px
    skips.loc[1, "op[21]"] = 7  # kernel 5, expansion 6; from 184 to 352 channels at 7 px
    found = space.describe(skips)
    first, last = 16 * 16 / 2 + 16 * 9 + 16 * 16 / 2, 184 * 1104 + 1104 * 25 + 1104 * 352
    assert found["params[1]"].diff()[1] == first and found["macs[1]"].diff()[1] == 112**2 * first
    assert found["params[7]"].diff()[1] == last - 184 * 352
    assert found["macs[7]"].diff()[1] == 49 * (last - 184 * 352)
    assert found["count[skip]"].tolist() == [22, 20] and found.shape == (2, 3 + 3 * 7 + 9)
