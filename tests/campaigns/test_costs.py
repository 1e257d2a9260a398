"""Costs in the store: kept once, found in the order they are asked for, read again by others, and not believed if damaged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hwsearch.campaigns.costs import CostTable
from hwsearch.errors import StoreError
from hwsearch.spaces import Choice, SearchSpace
from hwsearch.store import Store

SPACE = SearchSpace("tiny", [Choice("depth", (1, 2, 3)), Choice("width", (8, 16))])
ARCHS = SPACE.sample(5, np.random.default_rng(0))


def features(rows):
    return {"macs": 10.0 * rows[:, 0] + rows[:, 1], "params": rows[:, 0] / 3}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "store.sqlite")


def test_costs_are_kept_once_and_found_in_any_order(store: Store) -> None:
    table, asked = CostTable(store, "w"), []
    for archs in (ARCHS[:3], ARCHS[:3], [*ARCHS, ARCHS[0]]):
        table.add(SPACE, archs, lambda rows: asked.append(len(rows)) or features(rows))
    assert asked == [3, 2]
    found = CostTable(store, "w").find([a.id for a in reversed(ARCHS)])
    expected = features(SPACE.to_array(list(reversed(ARCHS))))
    assert list(found) == ["macs", "params"]
    assert all(np.array_equal(found[name], expected[name]) for name in expected)


def test_what_another_process_adds_is_found_and_what_none_added_is_not(store: Store) -> None:
    mine, other = CostTable(store, "w"), CostTable(store, "w")
    assert mine.find([ARCHS[0].id]) is None and mine.find([]) == {}
    other.add(SPACE, ARCHS[:1], features)
    assert mine.find([ARCHS[0].id]) is not None and mine.find([a.id for a in ARCHS[:2]]) is None
    assert CostTable(store, "other weights").find([ARCHS[0].id]) is None


def test_costs_that_are_no_numbers_are_not_kept(store: Store) -> None:
    table = CostTable(store, "w")
    table.add(SPACE, ARCHS[:1], lambda rows: {"macs": np.full(len(rows), np.nan)})
    assert table.find([ARCHS[0].id]) is None


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"names": ["macs"], "ids": ["a", "b"], "values": [[1.0]]},
        {"names": ["macs"], "ids": ["a"], "values": [[1.0, 2.0]]},
        {"names": ["macs"], "ids": ["a"], "values": [["much"]]},
        {"names": ["bits"], "ids": ["a"], "values": [[1.0]]},
    ],
)
def test_a_damaged_document_is_a_store_error(store: Store, document: dict) -> None:
    CostTable(store, "w").add(SPACE, ARCHS[:1], lambda rows: {"macs": features(rows)["macs"]})
    store.put_state("costs:w", document)
    with pytest.raises(StoreError, match="'costs:w' in the store is damaged"):
        CostTable(store, "w").find(["a"])
