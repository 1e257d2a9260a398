"""Measurements as columns: numbers without reading, items read in blocks, and equal to a dict of them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from hwsearch.campaigns import score_table
from hwsearch.campaigns.score_table import FIELDS, ArchitectureTable, ScoreTable, encoded, numbers
from hwsearch.spaces import Choice, SearchSpace
from hwsearch.store import Measurement

SPACE = SearchSpace("toy", [Choice("a", tuple(range(6))), Choice("b", tuple(range(5)))])


def scored(arch_id: str, value: float) -> Measurement:
    details = {"standard_error": value / 10, "ratio_low": value - 1}
    return Measurement(
        arch_id, "accuracy", "d", "p", "search", value, "%", spread=3.0, low=value - 2, high=value + 2, details=details
    )


WHOLE = {f"a{k}": scored(f"a{k}", 10.0 + k) for k in range(10)}


@pytest.fixture
def table(monkeypatch) -> ScoreTable:
    monkeypatch.setattr(score_table, "BLOCK", 3)
    monkeypatch.setattr(score_table, "BLOCKS", 2)
    asked: list[list[str]] = []

    def fetch(ids: Sequence[str]) -> dict[str, Measurement]:
        asked.append(list(ids))
        return {i: WHOLE[i] for i in ids}

    columns = {name: np.array([of(m) for m in WHOLE.values()], dtype=float) for name, of in FIELDS.items()}
    found = ScoreTable(list(WHOLE), columns, fetch)
    found.asked = asked  # type: ignore[attr-defined]
    return found


def test_a_table_is_equal_to_the_dict_that_it_stands_for(table: ScoreTable) -> None:
    assert table == WHOLE and list(table) == list(WHOLE) and len(table) == 10
    assert "a3" in table and "b" not in table and table.get("b") is None
    with pytest.raises(KeyError):
        table["b"]


def test_items_are_read_in_blocks_and_the_last_blocks_are_kept(table: ScoreTable) -> None:
    assert [m.value for m in table.values()] == [m.value for m in WHOLE.values()]
    assert table.asked == [["a0", "a1", "a2"], ["a3", "a4", "a5"], ["a6", "a7", "a8"], ["a9"]]
    table["a7"], table["a9"]
    assert len(table.asked) == 4
    table["a0"]
    assert table.asked[4:] == [["a0", "a1", "a2"]]


@pytest.mark.parametrize("name", sorted(FIELDS))
def test_numbers_are_those_of_the_measurements_and_nothing_is_read_for_them(table: ScoreTable, name: str) -> None:
    ids = ["a4", "unknown", "a0"]
    found = numbers(table, name, ids)
    assert math.isnan(found[1]) and found[[0, 2]].tolist() == numbers(WHOLE, name, ids)[[0, 2]].tolist()
    assert table.asked == []


def test_what_has_no_number_is_nan_and_an_empty_table_has_none() -> None:
    bare = Measurement("a", "latency_ms", "d", "p", "search", 2.0, "ms")
    assert math.isnan(numbers({"a": bare}, "low", ["a"])[0]) and math.isnan(numbers({"a": bare}, "ratio_low", ["a"])[0])
    empty = ScoreTable([], {"value": np.zeros(0)}, lambda ids: {})
    assert np.isnan(numbers(empty, "value", ["a", "b"])).all() and not empty


class Store:
    """Architectures in memory, and how many were read."""

    def __init__(self) -> None:
        self.archs = {a.id: a for a in SPACE.enumerate()}
        self.read = 0

    def architecture_ids(self, space: SearchSpace) -> list[str]:
        return sorted(self.archs)

    def architectures(self, space: SearchSpace, ids: Sequence[str]) -> list:
        self.read += len(ids)
        return [self.archs[i] for i in sorted(ids)]


def test_architectures_are_read_when_asked_for_and_encoded_once(monkeypatch) -> None:
    monkeypatch.setattr(score_table, "BLOCK", 4)
    store = Store()
    found = ArchitectureTable(store, SPACE)  # type: ignore[arg-type]
    ids = list(found)
    assert len(found) == 30 and ids[3] in found and "unknown" not in found and store.read == 0
    assert found[ids[5]] == store.archs[ids[5]] and store.read == 4
    some = [ids[7], ids[2]]
    assert encoded(found, SPACE, some).tolist() == SPACE.to_array([store.archs[i] for i in some]).tolist()
    before = store.read
    for _ in range(2):
        assert encoded(found, SPACE, ids[::-1]).tolist() == SPACE.to_array([store.archs[i] for i in ids[::-1]]).tolist()
    assert store.read == before + 30
    assert encoded(store.archs, SPACE, some).tolist() == encoded(found, SPACE, some).tolist()
