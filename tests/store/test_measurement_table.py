"""Measured values against a dict, and how they are found."""

from __future__ import annotations

import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsearch.errors import StoreError
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


def test_counting_reads_nothing_and_damage_is_told(tmp_path: Path) -> None:
    path = tmp_path / "counted.sqlite"
    with Store.open(path) as store:
        store.add([Measurement(f"a{k}", "latency_ms", "d", f"p{k % 2}", "search", 1.0 + k, "ms") for k in range(7)])
        store.add([Measurement("a9", "latency_ms", "d", "p0", "search", None, "ms", failure="no")])
        assert store.count() == 7 and store.count(protocols=["p0"]) == 4 and store.count(arch_ids=[]) == 0
        assert [m.value for m in store.find(protocols=["p1", "p0"])] == [1.0 + k for k in range(7)]
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE measurements SET arch_id = 'another' WHERE id = 2")
        connection.commit()
    with Store.open(path) as store:
        for read in (store.find, store.frame):
            with pytest.raises(StoreError, match="is another than its key says"):
                read()


def test_fields_are_scanned_without_a_measurement_of_each_and_only_what_was_there_at_a_time(store: Store) -> None:
    assert store.last() == 0
    store.add([make("a", 1.0), make("b", None), make("c", 3.0, details={"looks": [1]})])
    then = store.last()
    store.add([make("d", 4.0)])
    assert store.last() > then
    assert list(store.scan(["arch_id", "value", "details"], up_to=then)) == [("a", 1.0, {}), ("c", 3.0, {"looks": [1]})]
    assert [m.arch_id for m in store.find(up_to=then)] == ["a", "c"] and store.count(up_to=then) == 2
    assert list(store.scan(["value"], protocols=["other"])) == []


def test_a_scanned_row_is_compared_with_its_key(store: Store, tmp_path: Path) -> None:
    store.add([make("a", 1.0)])
    with closing(sqlite3.connect(tmp_path / "store.sqlite")) as raw, raw:
        raw.execute("UPDATE measurements SET arch_id = 'b'")
    with pytest.raises(StoreError, match="is another than its key says"):
        list(store.scan(["value"]))
