"""The store against a dict, and everything else that goes in and comes out."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from hwsearch.errors import StoreError
from hwsearch.spaces import Choice, SearchSpace
from hwsearch.store import Measurement, Store, table

SPACE = SearchSpace("tiny", [Choice("depth", (1, 2)), Choice("width", (0.5, 1.0)), Choice("act", ("relu", "swish"))])


def make(arch_id: str = "a", value: float | None = 1.0, **changes: object) -> Measurement:
    fields: dict[str, object] = {"metric": "latency_ms", "subject": "dev", "protocol": "p", "purpose": "search"}
    failure = "crashed" if value is None else None
    return Measurement(**{"arch_id": arch_id, **fields, "value": value, "unit": "ms", "failure": failure, **changes})  # type: ignore[arg-type]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "store.sqlite") as opened:
        yield opened


# ------------------------------------------------------------------ measurements


# ------------------------------------------------------------------ architectures, devices


# ------------------------------------------------------------------ runs and state


# ------------------------------------------------------------------ export
def test_csv_reads_without_hwsearch(store: Store, tmp_path: Path) -> None:
    arch = SPACE.largest()
    store.add_architectures([arch])
    store.add_device("dev", "edge-box", {})
    store.add(
        [make(arch.id, 0.1 + 0.2, details={"p50": 1.0}), make("unknown", None, failure='said "no",\nüber', subject="x")]
    )
    path = tmp_path / "measurements.csv"
    path.write_text("old")
    assert store.export_csv(path) == 2
    with path.open(encoding="utf-8", newline="") as file:
        first, second = csv.DictReader(file)
    assert float(first["value"]) == 0.1 + 0.2 and first["device"] == "edge-box" and first["space"] == "tiny"
    assert json.loads(first["genes"]) == arch.to_dict() and json.loads(first["details"]) == {"p50": 1.0}
    assert second["value"] == "" and second["failure"] == 'said "no",\nüber' and second["genes"] == ""
    assert len(pd.read_csv(path)) == 2
    assert [p.name for p in tmp_path.glob("*.csv*")] + list(tmp_path.glob(".*")) == ["measurements.csv"]


def test_csv_that_cannot_be_written_leaves_the_old_one(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "measurements.csv"
    path.write_text("old")

    def full(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(table.csv, "writer", full)
    with pytest.raises(StoreError, match="No space left"):
        store.export_csv(path)
    assert path.read_text() == "old" and list(tmp_path.glob(".*")) == []
    with pytest.raises(StoreError, match="cannot be written"):
        store.export_csv(tmp_path / "missing" / "m.csv")


def test_a_csv_of_several_parts_is_that_of_one(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [Measurement(f"a{k}", "latency_ms", "d", "p", "search", k / 3, "ms", details={"k": k}) for k in range(7)]
    store.add([*rows, Measurement("a9", "latency_ms", "d", "p", "search", None, "ms", failure="no")])
    assert store.export_csv(tmp_path / "one.csv") == 8
    monkeypatch.setattr(table, "TOGETHER", 3)
    assert store.export_csv(tmp_path / "several.csv") == 8
    assert (tmp_path / "several.csv").read_bytes() == (tmp_path / "one.csv").read_bytes()
