"""Architectures and devices."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from hwsearch.errors import SpaceError, StoreError
from hwsearch.spaces import Choice, SearchSpace
from hwsearch.store import Measurement, Store

SPACE = SearchSpace("tiny", [Choice("depth", (1, 2)), Choice("width", (0.5, 1.0)), Choice("act", ("relu", "swish"))])


def make(arch_id: str = "a", value: float | None = 1.0, **changes: object) -> Measurement:
    fields: dict[str, object] = {"metric": "latency_ms", "subject": "dev", "protocol": "p", "purpose": "search"}
    failure = "crashed" if value is None else None
    return Measurement(**{"arch_id": arch_id, **fields, "value": value, "unit": "ms", "failure": failure, **changes})  # type: ignore[arg-type]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "store.sqlite") as opened:
        yield opened


def test_architectures_come_back_equal(store: Store) -> None:
    archs = list(SPACE.enumerate())
    assert store.add_architectures(archs[:3] * 2) == 3 and store.add_architectures(archs) == len(archs) - 3
    assert store.add_architectures([]) == 0
    assert set(store.architectures(SPACE)) == set(archs)
    for arch in archs:
        found = store.architecture(SPACE, arch.id)
        assert (
            found == arch
            and found.id == arch.id
            and SPACE.to_array([found]).tolist() == SPACE.to_array([arch]).tolist()
        )
    other = SearchSpace("other", [Choice("depth", (1, 2))])
    assert store.architectures(other) == []
    with pytest.raises(StoreError, match="of space 'other'"):
        store.architecture(other, archs[0].id)
    with pytest.raises(SpaceError, match="width"):
        store.architectures(SearchSpace("tiny", [Choice("depth", (1, 2))]))


def test_genes_under_a_wrong_id_are_noticed(store: Store) -> None:
    store.add_architectures([SPACE.smallest()])
    with store.database.write() as connection:
        connection.exec_driver_sql("UPDATE architectures SET genes = replace(genes, 'relu', 'swish')")
    with pytest.raises(StoreError, match=SPACE.smallest().id):
        store.architectures(SPACE)


def test_devices_are_kept_once(store: Store) -> None:
    assert store.add_device("f1", "box", {"cores": np.int64(2)}) and not store.add_device("f1", "renamed", {})
    assert store.devices() == {"f1": ("box", {"cores": 2})}


def test_some_architectures_are_read_by_id_and_ids_alone(store: Store) -> None:
    archs = list(SPACE.enumerate())
    store.add_architectures(archs)
    ids = sorted(a.id for a in archs)
    assert store.architecture_ids(SPACE) == ids
    assert {a.id for a in store.architectures(SPACE, ids[:2] + ["unknown"])} == set(ids[:2])
    assert store.architectures(SPACE, []) == []
