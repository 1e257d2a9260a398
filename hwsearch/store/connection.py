"""Connections: how a database is opened, how writers take turns, and what its errors mean."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from hwsearch._json import JsonObject
from hwsearch.errors import StoreError
from latency_tables.reading import ReadingError

#: what to say (problem, what to do) by SQLite's primary result code
_SQLITE = {
    sqlite3.SQLITE_NOTADB: (
        "is not a SQLite database.",
        "Name the store's own file; it starts with 'SQLite format 3'.",
    ),
    sqlite3.SQLITE_CORRUPT: (
        "is damaged or truncated.",
        "Save what is readable with 'sqlite3 FILE .recover', or restore a copy.",
    ),
    sqlite3.SQLITE_READONLY: ("is read-only.", "Make the file and its folder writable, or copy it elsewhere."),
    sqlite3.SQLITE_PERM: ("may not be accessed.", "Make the file and its folder writable, or copy it elsewhere."),
    sqlite3.SQLITE_FULL: (
        "cannot grow: the disk is full.",
        "Free some space and repeat; nothing already stored is lost.",
    ),
    sqlite3.SQLITE_IOERR: (
        "cannot be read or written: I/O error.",
        "Check the disk and its free space; nothing already stored is lost.",
    ),
    sqlite3.SQLITE_CANTOPEN: ("cannot be opened.", "Check that its folder exists and that you may write there."),
}
#: the same where PostgreSQL does not let this user in
LOGIN = ("refuses the login.", "Check the user in the URL, and the password in PGPASSWORD or ~/.pgpass.")
#: the same by the SQLSTATE (or its class) of PostgreSQL
_POSTGRES = {
    "53100": _SQLITE[sqlite3.SQLITE_FULL],
    "25006": ("is read-only.", "Connect to the primary server, as a user who may write."),
    "42501": ("may not be accessed.", "Ask for the rights to create tables and to write them."),
    "28": LOGIN,
    "3D": ("does not exist.", "Create it with 'createdb NAME'."),
}


def describe(error: DBAPIError, timeout_s: float) -> tuple[str, str | None]:
    """Say what a database's error means and what to do.

    Parameters
    ----------
    error : sqlalchemy.exc.DBAPIError
        From SQLite or PostgreSQL.
    timeout_s : float
        How long a writer waited, seconds.

    Returns
    -------
    problem : str
        The rest of a sentence about the store.
    hint : str or None
        What to do about it.
    """
    orig = error.orig
    code = getattr(orig, "sqlite_errorcode", None)
    state = getattr(orig, "sqlstate", None) or ""
    if (code is not None and code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)) or state == "55P03":
        return f"was locked for more than {timeout_s:g} s.", "End the other program that writes to it, and repeat."
    found = _SQLITE.get(code & 0xFF) if code is not None else _POSTGRES.get(state) or _POSTGRES.get(state[:2])
    if found:
        return found
    if code is None and "password" in str(orig).lower():  # before there is a connection, there is no SQLSTATE
        return LOGIN
    if (code is None and not state and error.connection_invalidated) or "connect" in str(orig).lower():
        return f"cannot be reached: {str(orig).strip()}.", "Check the server and the URL."
    return f"failed: {str(orig).strip()}.", None


def without_password(target: str) -> str:
    """Leave out the password of a store's URL.

    PostgreSQL's client library takes a missing one from ``PGPASSWORD`` or ``~/.pgpass``.

    Parameters
    ----------
    target : str
        A path or URL.

    Returns
    -------
    str
        The same where it has none.

    Raises
    ------
    StoreError
        For a malformed URL, without its text.

    Examples
    --------
    >>> without_password("postgresql+psycopg://me:secret@host/db?connect_timeout=5&password=secret")
    'postgresql+psycopg://me@host/db?connect_timeout=5'
    >>> without_password("store.sqlite")
    'store.sqlite'
    """
    if "://" not in target:
        return target
    try:
        url = sa.make_url(target)
    except (ArgumentError, ValueError):
        raise _malformed() from None
    secrets = [name for name in url.query if "password" in name.lower()]
    if url.password is None and not secrets:
        return target
    return url._replace(password=None).difference_update_query(secrets).render_as_string(hide_password=False)


def _malformed() -> StoreError:
    """Make the error for a malformed URL, without its text: it may hold a password."""
    return StoreError("the store's URL is malformed.", hint="Write postgresql+psycopg://USER@HOST/DATABASE.")


class Database:
    """An engine that hands out read and write transactions; safe across threads, processes and forks.

    Parameters
    ----------
    target : str or Path
        A file for SQLite, or a URL ``postgresql+psycopg://USER@HOST/DATABASE``.
    timeout_s : float
        How long to wait for another writer, seconds.

    Attributes
    ----------
    label : str
        The path or URL for messages, without password and options.
    dialect : {"sqlite", "postgresql"}
        Kind of database.

    Raises
    ------
    StoreError
        For a malformed URL, a missing driver, or another kind of database.
    """

    def __init__(self, target: str | Path, *, timeout_s: float = 30.0) -> None:
        text = os.fspath(target)
        self.timeout_s = timeout_s
        if "\0" in text:
            raise StoreError(f"the store's name {text!r} holds a zero byte.")
        try:
            url = sa.make_url(text) if "://" in text else sa.URL.create("sqlite", database=text)
            self.label = url.set(query={}).render_as_string(hide_password=True) if "://" in text else text
            self.dialect = url.get_backend_name()
            if self.dialect not in ("sqlite", "postgresql"):
                raise StoreError(
                    f"store {self.label!r} is of kind {self.dialect!r}.", hint="Use a SQLite path or a PostgreSQL URL."
                )
            if self.dialect == "sqlite" and url.database in (None, "", ":memory:"):
                raise StoreError(
                    f"store {self.label!r} names no file.", hint="Measurements outlive a process: name a file."
                )
            self._engine = sa.create_engine(url, **self._options())
        except (NoSuchModuleError, ImportError) as error:
            raise StoreError(
                f"store {self.label!r} needs a driver: {error}.", hint="pip install 'psycopg[binary]'"
            ) from error
        except (ArgumentError, ValueError):
            raise _malformed() from None
        self._pid = os.getpid()
        self._inherited: list[sa.Pool] = []
        if self.dialect == "sqlite":
            sa.event.listen(self._engine, "connect", self._on_connect)
            sa.event.listen(self._engine, "begin", self._on_begin)

    def _options(self) -> JsonObject:
        if self.dialect == "sqlite":
            return {"connect_args": {"timeout": self.timeout_s}}
        return {"pool_pre_ping": True}

    def _on_connect(self, connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # we begin transactions ourselves, see _on_begin
        # FULL, not NORMAL: with NORMAL a power cut may take the last commits with it. One fsync a
        # commit is little beside what a measurement costs.
        connection.execute("PRAGMA synchronous=FULL")
        deadline = time.monotonic() + self.timeout_s
        while connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            try:
                connection.execute("PRAGMA journal_mode=WAL")
                return  # a file system without shared memory keeps its rollback journal, which is safe too
            except sqlite3.OperationalError as error:  # two openers switch at once: SQLite does not wait here
                if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_READONLY:
                    return
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)

    @staticmethod
    def _on_begin(connection: sa.Connection) -> None:
        write = connection.get_execution_options().get("hwsearch_write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    def _current(self) -> sa.Engine:
        if os.getpid() != self._pid:  # a forked child must neither use nor close its parent's connections
            self._inherited.append(self._engine.pool)
            self._engine.dispose(close=False)
            self._pid = os.getpid()
        return self._engine

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Begin a transaction that sees one state of the database.

        Yields
        ------
        sqlalchemy.Connection
            For reading.

        Raises
        ------
        StoreError
            If the database fails.
        """
        with self.explained(), self._current().connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """Begin the only write transaction of that moment, in any process; all of it is kept, or nothing.

        Yields
        ------
        sqlalchemy.Connection
            For reading and writing.

        Raises
        ------
        StoreError
            If the database fails, or another writer holds it for longer than the timeout.
        """
        with self.explained(), self._current().connect() as connection:
            connection = connection.execution_options(hwsearch_write=True)
            with connection.begin():
                if self.dialect == "postgresql":
                    connection.exec_driver_sql(f"SET LOCAL lock_timeout = {int(1000 * self.timeout_s)}")
                    connection.exec_driver_sql("SELECT pg_advisory_xact_lock(hashtext(current_schema()), 687793)")
                yield connection

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Turn the database's errors within the context into a `StoreError` that names the store and what to do.

        Yields
        ------
        None
            Within, database errors are explained.

        Raises
        ------
        StoreError
            In the place of the database's own error.
        """
        try:
            yield
        except DBAPIError as error:
            problem, hint = describe(error, self.timeout_s)
            raise StoreError(f"store {self.label!r} {problem}", hint=hint) from error
        except OverflowError as error:
            raise StoreError(f"store {self.label!r} cannot keep a number: {error}.") from error
        except UnicodeDecodeError as error:  # SQLite's messages quote what a damaged file has in the place of names
            problem, hint = _SQLITE[sqlite3.SQLITE_CORRUPT]
            raise StoreError(f"store {self.label!r} {problem}", hint=hint) from error
        except (ReadingError, TypeError) as error:  # TypeError: a number where text belongs
            raise StoreError(
                f"store {self.label!r} holds text that is not JSON: {error}.",
                hint="The file was edited or damaged; restore a copy.",
            ) from error

    def close(self) -> None:
        """Close all connections of this process."""
        self._current().dispose()
