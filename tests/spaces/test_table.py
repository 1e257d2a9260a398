"""Finite tables: only listed rows, nearest by brute force, and the cells of NAS-Bench-201."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hwsearch import spaces
from hwsearch.errors import HwsearchError, SpaceError
from hwsearch.spaces import TableSpace
from hwsearch.spaces.nasbench201 import cell, cell_rows, cell_text
from hwsearch.testing.toy_spaces import large_space, small_space


def table_of(n: int, seed: int = 0) -> TableSpace:
    product = large_space()
    return TableSpace("conformance-table", product.choices, product.sample_array(n, np.random.default_rng(seed)))


def test_enumerate_array_lists_what_enumerate_does() -> None:
    space = small_space()
    assert np.array_equal(space.enumerate_array(), space.to_array(space.enumerate()))


def test_neighbours_array_differs_in_one_shared_gene() -> None:
    space = small_space()
    everything = list(space.enumerate())
    for arch in everything[::7]:
        found = space.neighbours(arch)
        assert len(set(found)) == len(found)
        assert set(found) <= {a for a in everything if space.distance(a, arch) == 1}


def test_variation_and_sampling_give_listed_rows_only() -> None:
    space, rng = table_of(60), np.random.default_rng(1)
    rows = space.sample_array(200, rng)
    for found in (
        rows,
        space.mutate_array(rows, rng),
        space.crossover_array(rows, rows[::-1], rng),
        space.sample_balanced_array(20, rng, lambda r: (r + 2.0).sum(axis=1)),
        space.neighbours_array(rows[0]),
    ):
        assert len(found) and space.contains_array(found).all()
    assert (space.mutate_array(rows, rng) != rows).any(axis=1).all()
    assert {a.id for a in space.enumerate()} == {a.id for a in space.from_array(space.table)}
    assert space.smallest() in space and space.largest() in space


def test_projection_is_the_nearest_row_by_brute_force_and_ties_are_shared() -> None:
    space, rng = table_of(80), np.random.default_rng(2)
    wanted = large_space().sample_array(100, rng)
    found = space.project(wanted, rng)
    distance = (wanted[:, None, :] != space.table[None, :, :]).sum(axis=2)
    assert np.array_equal((found != wanted).sum(axis=1), distance.min(axis=1))
    tied = int(np.argmax((distance == distance.min(axis=1, keepdims=True)).sum(axis=1)))
    answers = np.unique(space.project(np.repeat(wanted[tied : tied + 1], 400, axis=0), rng), axis=0)
    assert len(answers) == (distance[tied] == distance[tied].min()).sum() > 1


def test_rows_outside_the_table_are_refused() -> None:
    space = table_of(10)
    product = large_space()
    rows = product.sample_array(50, np.random.default_rng(9))
    listed = {row.tobytes() for row in space.table}
    assert [row.tobytes() in listed for row in rows] == space.contains_array(rows).tolist()
    outside = product.from_array(rows[~space.contains_array(rows)])[0]
    with pytest.raises(SpaceError, match="table of 10"):
        space.architecture(outside.to_dict())
    with pytest.raises(SpaceError):
        space.from_array(product.to_array([outside]))


def test_json_round_trip_and_repeated_rows() -> None:
    space = table_of(30)
    again = spaces.from_json(space.to_json())
    assert isinstance(again, TableSpace) and again == space and again.cardinality == space.cardinality
    doubled = TableSpace("t", space.choices, np.concatenate([space.table, space.table]))
    assert np.array_equal(doubled.table, space.table)


def test_one_row() -> None:
    space, rng = table_of(1), np.random.default_rng(0)
    assert space.cardinality == 1 and space.smallest() == space.largest()
    assert np.array_equal(space.mutate_array(space.table, rng), space.table)
    assert len(space.neighbours_array(space.table[0])) == 0


def test_frames_and_files(tmp_path: Path) -> None:
    frame = pd.DataFrame({"depth": [2, 4, 3, 2], "act": ["relu", "swish", "relu", "relu"]})
    space = TableSpace.from_frame("mine", frame)
    assert space.cardinality == 3 and space.choices[0].values == (2, 3, 4) and not space.choices[1].ordinal
    frame.to_csv(tmp_path / "mine.csv", index=False)
    assert spaces.load(tmp_path / "mine.csv") == space
    (tmp_path / "mine.json").write_text(space.to_json())
    assert spaces.load(tmp_path / "mine.json") == space
    for bad in ("nas-bench-20", tmp_path / "absent.csv"):
        with pytest.raises(HwsearchError):
            spaces.load(bad)
    with pytest.raises(SpaceError, match="row 1 has no 'b'"):
        TableSpace.of("t", [{"a": 1, "b": 2}, {"a": 1}])
    with pytest.raises(SpaceError):
        TableSpace.of("t", [])


def test_nas_bench_201_has_its_15625_cells_and_published_forms() -> None:
    space = spaces.load("nas-bench-201")
    assert space.cardinality == 15_625
    text = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_1x1~2|"
    arch = cell(text)
    assert arch in space and arch["3<-0"] == "skip_connect" and arch["3<-2"] == "nor_conv_1x1"
    rows = space.sample_array(200, np.random.default_rng(0))
    assert np.array_equal(cell_rows(cell_text(a) for a in space.from_array(rows)), rows)
    assert cell_text(arch) == text
    for wrong in ("|none~0|", text.replace("skip_connect", "skip_conect")):
        with pytest.raises(SpaceError):
            cell_rows([wrong])
