"""Everything that can be wrong with the place a store is in; what was committed stays."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import OperationalError
from sqlalchemy.schema import CreateIndex

from hwsearch.errors import StoreError
from hwsearch.store import Measurement, Store, schema
from hwsearch.store.connection import Database, describe


def make(i: int, record: bytes | None = None) -> Measurement:
    return Measurement(f"a{i}", "accuracy", "data", "p", "search", float(i), "%", record=record)


def filled(path: Path, n: int) -> Path:
    with Store.open(path) as store:
        store.add(make(i, b"x" * 1000) for i in range(n))
    return path


def test_commits_reach_the_disk_before_add_returns(tmp_path: Path) -> None:
    with Store.open(tmp_path / "s.sqlite") as store, store.database.read() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL


def test_a_text_file_is_not_a_store(tmp_path: Path) -> None:
    path = tmp_path / "notes.sqlite"
    path.write_text("my notes\n" * 200)
    with pytest.raises(StoreError, match=r"notes.sqlite' is not a SQLite database"):
        Store.open(path)
    assert path.read_text() == "my notes\n" * 200


def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.sqlite"
    for statement in ("CREATE TABLE recipes (id INTEGER)", "CREATE TABLE meta (colour TEXT)"):
        with sqlite3.connect(path) as connection:
            connection.execute(statement)
        connection.close()
        with pytest.raises(StoreError, match="another program's"):
            Store.open(path)
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (2,)
    connection.close()


def test_a_truncated_file_is_noticed(tmp_path: Path) -> None:
    path = filled(tmp_path / "s.sqlite", 200)
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(StoreError, match=r"damaged or truncated.*recover"):
        Store.open(path)


def test_check_finds_damage_inside(tmp_path: Path) -> None:
    path = filled(tmp_path / "s.sqlite", 200)
    with Store.open(path) as store:
        store.check()
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 4096] = b"\xff" * 4096
    path.write_bytes(data)
    with Store.open(path) as store, pytest.raises(StoreError, match="damaged"):
        store.check()


def test_text_that_is_not_json_is_a_typed_error(tmp_path: Path) -> None:
    with Store.open(filled(tmp_path / "s.sqlite", 1)) as store:
        with store.database.write() as connection:
            connection.exec_driver_sql("UPDATE measurements SET details = '{'")
        with pytest.raises(StoreError, match="not JSON"):
            store.find()


def test_a_read_only_store_can_be_read_and_says_so_on_writing(tmp_path: Path) -> None:
    path = filled(tmp_path / "s.sqlite", 3)
    with Store.open(f"sqlite:///file:{path}?mode=ro&uri=true") as store:
        assert len(store.find()) == 3
        with pytest.raises(StoreError, match="read-only"):
            store.add([make(9)])
    with pytest.raises(StoreError, match="cannot be opened"):
        Store.open(f"sqlite:///file:{tmp_path}/none.sqlite?mode=ro&uri=true")


def test_missing_places(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"cannot be opened.*folder"):
        Store.open(tmp_path / "missing" / "s.sqlite")
    with pytest.raises(StoreError, match="cannot be opened"):
        Store.open(tmp_path)
    with pytest.raises(StoreError, match="does not exist"):
        Store.open(tmp_path / "s.sqlite", create=False)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "empty.sqlite").touch()
    with pytest.raises(StoreError, match="is empty"):
        Store.open(tmp_path / "empty.sqlite", create=False)


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("mysql://host/db", "'mysql'"),
        ("sqlite://", "no file"),
        (":memory:", "no file"),
        ("postgresql+nodriver://me:secret@host/db", "driver"),
        ("postgresql+nodriver://host/db?password=secret", "driver"),
        ("postgresql://h:port:x//", "malformed"),
    ],
)
def test_urls_that_name_no_store(url: str, word: str) -> None:
    with pytest.raises(StoreError, match=word) as caught:
        Store.open(url)
    assert "secret" not in str(caught.value)


def test_a_full_disk_loses_nothing_and_can_go_on(tmp_path: Path) -> None:
    with Store.open(tmp_path / "s.sqlite") as store:
        with store.database.read() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
            connection.exec_driver_sql(f"PRAGMA max_page_count={pages + 20}")
        kept = 0
        with pytest.raises(StoreError, match=r"disk is full.*nothing already stored is lost"):
            for i in range(200):
                store.add([make(i, b"x" * 2000)])
                kept += 1
        assert 0 < kept < 200 and len(store.find()) == kept
        store.check()
        with store.database.read() as connection:
            connection.exec_driver_sql("PRAGMA max_page_count=100000")
        assert store.add(make(i, b"x" * 2000) for i in range(200)) == 200 - kept


LIMITED = """
import resource, signal, sys
from hwsearch.errors import StoreError
from hwsearch.store import Measurement, Store
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store = Store.open(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
try:
    for i in range(1000):
        m = Measurement(f"a{i}", "accuracy", "d", "p", "search", 1.0, "%", record=b"x" * 2000)
        store.add([m])
        print(m.key, flush=True)
except StoreError as error:
    print(error, file=sys.stderr)
"""


def test_a_write_the_system_refuses_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    done = subprocess.run([sys.executable, "-c", LIMITED, str(path)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "s.sqlite' cannot" in done.stderr
    keys = done.stdout.split()
    assert 0 < len(keys) < 1000
    with Store.open(path) as store:
        store.check()
        assert store.known(keys) == set(keys)


def test_a_lock_held_too_long_is_named_and_readers_go_on(tmp_path: Path) -> None:
    path = filled(tmp_path / "s.sqlite", 2)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with Store.open(path, timeout_s=0.05) as store:
        with pytest.raises(StoreError, match=r"locked for more than 0\.05 s"):
            store.add([make(5)])
        assert len(store.find()) == 2
        other.execute("ROLLBACK")
        assert store.add([make(5)]) == 1
    other.close()


def test_another_writer_cannot_give_a_key_two_values(tmp_path: Path) -> None:
    path = filled(tmp_path / "s.sqlite", 1)
    other = sqlite3.connect(path)
    columns = [c.name for c in schema.measurements.c if c.name != "id"]
    copy = f"INSERT INTO measurements ({', '.join(columns)}) SELECT {', '.join(columns)} FROM measurements"
    with pytest.raises(sqlite3.IntegrityError):
        other.execute(copy)
    other.close()


def test_postgresql_gets_the_same_promise() -> None:
    index = next(i for i in schema.measurements.indexes if i.name == "measurements_one_value")
    text = str(CreateIndex(index).compile(dialect=postgresql.dialect()))  # type: ignore[no-untyped-call]
    assert "UNIQUE" in text and text.endswith("WHERE value IS NOT NULL")


@pytest.mark.parametrize(
    ("sqlstate", "text", "word"),
    [
        ("53100", "could not extend file", "disk is full"),
        ("25006", "cannot execute INSERT in a read-only transaction", "read-only"),
        ("55P03", "canceling statement due to lock timeout", "locked"),
        ("28P01", "password authentication failed", "login"),
        ("3D000", "no such database", "does not exist"),
        (None, "connection to server at '::1' refused", "cannot be reached"),
        (None, "connection failed: fe_sendauth: no password supplied", "login"),
        ("XX000", "odd thing", "failed: odd thing"),
    ],
)
def test_postgresql_errors_in_words(sqlstate: str | None, text: str, word: str) -> None:
    class Failed(Exception):
        pass

    orig = Failed(text)
    orig.sqlstate = sqlstate  # type: ignore[attr-defined]
    problem, _ = describe(OperationalError("INSERT", {}, orig), 1.0)
    assert word in problem


def test_unknown_sqlite_errors_keep_their_text() -> None:
    orig = sqlite3.OperationalError("no such table: x")
    orig.sqlite_errorcode = sqlite3.SQLITE_ERROR
    assert describe(OperationalError("SELECT", {}, orig), 1.0) == ("failed: no such table: x.", None)


def test_a_forked_child_gets_its_own_connections(tmp_path: Path) -> None:
    with Store.open(tmp_path / "s.sqlite") as store:
        store.add([make(0)])
        before = store.database._current().pool
        child = os.fork()
        if child == 0:
            ok = store.add([make(1)]) == 1 and len(store.find()) == 2 and store.database._current().pool is not before
            os._exit(0 if ok else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert store.database._current().pool is before
        assert store.add([make(1), make(2)]) == 1 and len(store.find()) == 3
        store.check()


def test_a_name_with_a_zero_byte_is_refused() -> None:
    for name in ("a\0b", "postgresql+psycopg://me@host/a\0b"):
        with pytest.raises(StoreError, match="holds a zero byte"):
            Database(name)
