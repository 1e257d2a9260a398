"""The store against a dict, and everything else that goes in and comes out."""

from __future__ import annotations

import csv
import json
import math
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsearch.errors import SpaceError, StoreError
from hwsearch.spaces import Choice, SearchSpace
from hwsearch.store import Measurement, Store, measurement_table
from hwsearch.store.table import DTYPES

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
finite = st.floats(allow_nan=False, allow_infinity=False)
attempts = st.builds(
    make,
    st.sampled_from(["a", "b"]),
    st.none() | finite,
    purpose=st.sampled_from(["search", "validate"]),
    subject=st.sampled_from(["", "dev"]),
    supernet=st.sampled_from(["", "w"]),
    details=st.dictionaries(st.text(max_size=3), st.integers() | finite | st.text(max_size=3), max_size=2),
    record=st.none() | st.binary(max_size=4),
    low=st.none() | finite,
    run=st.none() | st.integers(0, 9),
)
steps = st.lists(st.tuples(st.lists(attempts, max_size=5), st.none() | st.integers(0, 2), st.booleans()), max_size=8)


@settings(max_examples=25, deadline=None)
@given(steps)
def test_any_sequence_of_adds_behaves_as_a_dict(sequence: list[tuple[list[Measurement], int | None, bool]]) -> None:
    values: dict[str, Measurement] = {}
    failed: list[Measurement] = []
    count: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        store = Store.open(Path(folder) / "s.sqlite")
        for batch, max_failures, reopen in sequence:
            new = 0
            for m in batch:
                if m.key in values or (m.failed and max_failures is not None and count[m.key] >= max_failures):
                    continue
                new += 1
                if m.failed:
                    failed.append(m)
                    count[m.key] += 1
                else:
                    values[m.key] = m
            assert store.add(batch, max_failures=max_failures) == new
            if reopen:
                store.close()
                store = Store.open(Path(folder) / "s.sqlite")
            assert store.find() == list(values.values())  # all fields, records too, in the order they came
            assert store.failures() == failed
            keys = {m.key for m in batch} | {"never seen"}
            assert store.known(keys) == keys & values.keys()
            assert store.known(keys, max_failures=2) == {k for k in keys if k in values or count[k] >= 2}
            for name in ("purpose", "subject", "supernet"):
                wanted = [m for m in values.values() if getattr(m, name) == ""]
                assert store.find(**{name: ""}) == wanted  # type: ignore[arg-type]
            assert store.find(arch_ids=["a"]) == [m for m in values.values() if m.arch_id == "a"]
        store.close()


def test_nothing_in_is_nothing_out(store: Store) -> None:
    assert store.add([]) == 0 and store.find() == [] and store.known([]) == set() and store.known(["x"]) == set()
    frame = store.frame()
    assert len(frame) == 0 and list(frame.columns) == list(DTYPES)
    assert frame["value"].dtype == np.float64 and frame["repeats"].dtype == np.int64


def test_known_of_zero_allowed_failures_is_everything(store: Store) -> None:
    assert store.known(["x"], max_failures=0) == {"x"}


def test_all_or_nothing_of_a_batch(store: Store) -> None:
    def half() -> Iterator[Measurement]:
        yield make("a")
        raise RuntimeError("power")

    with pytest.raises(RuntimeError):
        store.add(half())
    with pytest.raises(StoreError):
        store.add([make("b"), make("c", repeats=1, run=2**80)])  # no database holds that integer
    assert store.find() == []


def test_run_is_noted_where_a_measurement_has_none(store: Store) -> None:
    store.add([make("a"), make("b", run=7)], run=3)
    assert [(m.arch_id, m.run) for m in store.find()] == [("a", 3), ("b", 7)]
    assert [m.arch_id for m in store.find(run=3)] == ["a"]


def test_filters_combine_and_long_lists_are_cut(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    ms = [make(f"{i:02}", float(i), metric=("accuracy", "latency_ms")[i % 2]) for i in range(40)]
    store.add(ms)
    monkeypatch.setattr(measurement_table, "CHUNK", 3)
    some, keys = [f"{i:02}" for i in range(30)], [m.key for m in ms[10:]]
    assert store.find(metric="accuracy", arch_ids=some, keys=iter(keys)) == ms[10:30:2]
    assert store.known(m.key for m in ms) == {m.key for m in ms}
    assert store.add(ms) == 0
    with pytest.raises(TypeError, match="'purpose'"):
        store.find(purpos="search")  # type: ignore[call-arg]


def test_frame_holds_the_numbers_with_their_types(store: Store) -> None:
    store.add([make("a", 2.5, spread=0.1, details={"p50": 2.4}), make("b", None), make("b", None)], run=1)
    frame = store.frame(failed=True)
    assert frame["value"].tolist()[0] == 2.5 and np.isnan(frame["value"][1:]).all()
    assert frame["spread"][0] == 0.1 and np.isnan(frame["low"][0])
    assert frame["details"][0] == {"p50": 2.4} and frame["failure"][0] is None and frame["failure"][2] == "crashed"
    assert frame["key"][0] == make("a").key and frame["run"].tolist() == [1, 1, 1]
    assert "record" not in frame
    assert store.frame()["arch_id"].tolist() == ["a"]


# ------------------------------------------------------------------ architectures, devices
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


# ------------------------------------------------------------------ runs and state
def test_runs_begin_and_end(store: Store) -> None:
    first, second = store.begin_run("hwsearch profile", {"cpu": "x"}), store.begin_run("hwsearch search", {})
    store.end_run(first, "done")
    a, b = store.runs()
    assert (a.id, a.command, a.status, a.host) == (first, "hwsearch profile", "done", {"cpu": "x"})
    assert a.ended_at is not None and a.ended_at >= a.started_at
    assert (b.id, b.status, b.ended_at) == (second, "running", None)
    with pytest.raises(StoreError, match="no run 99"):
        store.end_run(99, "done")


def test_state_keeps_every_version(store: Store) -> None:
    assert store.get_state("search") is None
    rng = np.random.default_rng(0)
    first = {"rng": rng.bit_generator.state, "values": [[0.1, math.nan], [math.inf, 1e-320]]}
    assert store.put_state("search", first) == 1
    assert store.put_state("search", {"round": 2}) == 2 and store.put_state("other", {}) == 1
    assert store.get_state("search") == {"round": 2} and store.get_state("other") == {}
    assert repr(store.get_state("search", 1)) == repr(first)  # by repr, since NaN is not itself
    assert store.get_state("search", 3) is None
    with pytest.raises(StoreError, match=r"state 'search'.*'seen'.*set"):
        store.put_state("search", {"seen": {1, 2}})


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

    monkeypatch.setattr(pd.DataFrame, "to_csv", full)
    with pytest.raises(StoreError, match="No space left"):
        store.export_csv(path)
    assert path.read_text() == "old" and list(tmp_path.glob(".*")) == []
    with pytest.raises(StoreError, match="cannot be written"):
        store.export_csv(tmp_path / "missing" / "m.csv")
