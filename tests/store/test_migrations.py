"""Opening stores of other versions: an old one is brought up to date, a newer one is refused."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from hwsearch.errors import StoreError
from hwsearch.store import Measurement, Store, migrations

#: version 1 as it was released, by hand: if this no longer opens, a migration is missing
VERSION_1 = """
CREATE TABLE meta (name TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE architectures (arch_id TEXT NOT NULL PRIMARY KEY, space TEXT NOT NULL, genes TEXT NOT NULL);
CREATE TABLE devices (fingerprint TEXT NOT NULL PRIMARY KEY, name TEXT NOT NULL, description TEXT NOT NULL);
CREATE TABLE measurements (
  id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, "key" TEXT NOT NULL, arch_id TEXT NOT NULL, metric TEXT NOT NULL,
  subject TEXT NOT NULL, protocol TEXT NOT NULL, purpose TEXT NOT NULL, supernet TEXT NOT NULL, value DOUBLE,
  unit TEXT NOT NULL, spread DOUBLE, low DOUBLE, high DOUBLE, repeats INTEGER NOT NULL, failure TEXT,
  details TEXT NOT NULL, record BLOB, started_at TEXT NOT NULL, ended_at TEXT NOT NULL, run INTEGER);
CREATE INDEX measurements_by_key ON measurements ("key");
CREATE INDEX measurements_by_metric ON measurements (metric, subject);
CREATE UNIQUE INDEX measurements_one_value ON measurements ("key") WHERE value IS NOT NULL;
CREATE TABLE runs (
  id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, command TEXT NOT NULL, started_at TEXT NOT NULL, ended_at TEXT,
  host TEXT NOT NULL, status TEXT NOT NULL);
CREATE TABLE state (
  id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, version INTEGER NOT NULL,
  document TEXT NOT NULL, written_at TEXT NOT NULL, UNIQUE (name, version));
INSERT INTO meta VALUES ('schema_version', '1');
"""
#: version 2 is version 1 and the queue
VERSION_2 = """
CREATE TABLE jobs (
  id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, "key" TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, device TEXT NOT NULL,
  payload TEXT NOT NULL, deadline_s DOUBLE NOT NULL, max_attempts INTEGER NOT NULL, status TEXT NOT NULL,
  attempts INTEGER NOT NULL, worker TEXT, lease_s DOUBLE, lease_until DOUBLE, failure TEXT, created_at TEXT NOT NULL,
  finished_at TEXT);
CREATE INDEX jobs_by_status ON jobs (status, device);
"""
OLD = Measurement("a", "accuracy", "data", "p", "search", 81.5, "%", spread=0.5, details={"n": 2000}, record=b"\x01")


def version_1(path: Path) -> Path:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(VERSION_1)
        connection.execute(
            "INSERT INTO measurements (key, arch_id, metric, subject, protocol, purpose, supernet, value, unit, spread,"
            " repeats, details, record, started_at, ended_at) VALUES (?,'a','accuracy','data','p','search','',81.5,'%',"
            "0.5,1,'{\"n\":2000}',X'01',?,?)",
            (OLD.key, OLD.started_at, OLD.ended_at),
        )
        connection.commit()
    return path


def shape(path: Path) -> set[tuple[str, ...]]:
    """Every column and index of a database."""
    with closing(sqlite3.connect(path)) as c:
        columns = c.execute(
            "SELECT m.name, p.name, upper(p.type), p.[notnull], p.pk FROM sqlite_master m, pragma_table_info(m.name) p"
            " WHERE m.type='table'"
        )
        indexes = c.execute(
            "SELECT m.name, i.name, i.[unique], i.partial, x.name FROM sqlite_master m, pragma_index_list(m.name) i,"
            " pragma_index_info(i.name) x WHERE m.type='table'"
        )
        return {tuple(map(str, row)) for row in [*columns, *indexes]}


def value_of(path: Path, sql: str) -> object:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchone()[0]


def add_operator(connection: sa.Connection) -> None:
    connection.exec_driver_sql("ALTER TABLE runs ADD COLUMN operator TEXT")


def fail(connection: sa.Connection) -> None:
    raise RuntimeError("power cut")


def test_a_new_store_has_exactly_the_released_shape(tmp_path: Path) -> None:
    Store.open(tmp_path / "new.sqlite").close()
    version_2 = version_1(tmp_path / "v2.sqlite")
    with closing(sqlite3.connect(version_2)) as connection:
        connection.executescript(VERSION_2)
    assert shape(tmp_path / "new.sqlite") == shape(version_2)
    Store.open(version_1(tmp_path / "v1.sqlite")).close()
    assert shape(tmp_path / "v1.sqlite") == shape(version_2)
    assert value_of(tmp_path / "new.sqlite", "SELECT value FROM meta") == str(migrations.current_version())


def test_a_version_1_store_opens_and_goes_on(tmp_path: Path) -> None:
    with Store.open(version_1(tmp_path / "s.sqlite")) as store:
        assert store.find() == [OLD]
        assert store.add([OLD, Measurement("b", "accuracy", "data", "p", "search", 80.0, "%")]) == 1


def test_version_1_becomes_version_2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = version_1(tmp_path / "s.sqlite")
    monkeypatch.setattr(migrations, "MIGRATIONS", (add_operator,))
    for _ in range(2):  # the second opening has nothing to do
        with Store.open(path) as store:
            assert store.find() == [OLD]
        assert value_of(path, "SELECT value FROM meta") == "2"
        assert value_of(path, "SELECT count(*) FROM pragma_table_info('runs') WHERE name='operator'") == 1
    backup = tmp_path / "s.sqlite.v1.bak"
    assert (
        value_of(backup, "SELECT value FROM meta") == "1" and value_of(backup, "SELECT value FROM measurements") == 81.5
    )
    assert shape(backup) == shape(version_1(tmp_path / "again.sqlite"))
    assert not list(tmp_path.glob("*.part"))


def test_the_copy_holds_what_is_only_in_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = version_1(tmp_path / "s.sqlite")
    monkeypatch.setattr(migrations, "MIGRATIONS", ())
    with Store.open(path) as reader:
        reader.add([Measurement("b", "accuracy", "data", "p", "search", 80.0, "%")])  # still in the WAL
        monkeypatch.setattr(migrations, "MIGRATIONS", (add_operator,))
        Store.open(path).close()
    assert value_of(tmp_path / "s.sqlite.v1.bak", "SELECT count(*) FROM measurements") == 2


def test_only_the_missing_steps_run_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, ran = version_1(tmp_path / "s.sqlite"), []
    steps = tuple(lambda connection, n=n: ran.append(n) for n in (2, 3, 4))
    for upto, expected in ((1, [2]), (3, [2, 3, 4])):
        monkeypatch.setattr(migrations, "MIGRATIONS", steps[:upto])
        Store.open(path).close()
        assert ran == expected
    assert sorted(p.name for p in tmp_path.glob("*.bak")) == ["s.sqlite.v1.bak", "s.sqlite.v2.bak"]


def test_a_step_that_fails_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = version_1(tmp_path / "s.sqlite")
    before = shape(path)
    monkeypatch.setattr(migrations, "MIGRATIONS", (add_operator, fail))
    with pytest.raises(RuntimeError, match="power cut"):
        Store.open(path)
    assert shape(path) == before and value_of(path, "SELECT value FROM meta") == "1"
    monkeypatch.setattr(migrations, "MIGRATIONS", ())
    with Store.open(path) as store:
        assert store.find() == [OLD]


def test_a_copy_that_cannot_be_made_stops_the_migration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = version_1(tmp_path / "s.sqlite")
    (tmp_path / "s.sqlite.v1.bak").mkdir()
    monkeypatch.setattr(migrations, "MIGRATIONS", (add_operator,))
    with pytest.raises(StoreError, match=r"v1.bak' could not be written"):
        Store.open(path)
    assert value_of(path, "SELECT value FROM meta") == "1"


def test_two_openers_migrate_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, ran, both = version_1(tmp_path / "s.sqlite"), [], threading.Barrier(2)

    def slow(connection: sa.Connection) -> None:
        ran.append(1)
        add_operator(connection)

    monkeypatch.setattr(migrations, "MIGRATIONS", (slow,))

    def open_it() -> None:
        both.wait()
        Store.open(path).close()

    threads = [threading.Thread(target=open_it) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ran == [1] and value_of(path, "SELECT value FROM meta") == "2"


@pytest.mark.parametrize(("version", "word"), [("99", "version 99.*newer hwsearch"), ("zero", "another program's")])
def test_versions_that_cannot_be_read(tmp_path: Path, version: str, word: str) -> None:
    path = version_1(tmp_path / "s.sqlite")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE meta SET value = ?", (version,))
        connection.commit()
    with pytest.raises(StoreError, match=word):
        Store.open(path)
    assert value_of(path, "SELECT value FROM meta") == version and not list(tmp_path.glob("*.bak"))
