"""The schema's version: how a new store is made, and how an older one is brought up to date."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import sqlalchemy as sa

from hwsearch.errors import StoreError
from hwsearch.store import schema
from hwsearch.store.connection import Database

log = logging.getLogger("hwsearch")

Migration = Callable[[sa.Connection], None]


def _add_jobs(connection: sa.Connection) -> None:
    """Migrate to version 2: the queue."""
    schema.jobs.create(connection)


#: step i brings version i + 1 to i + 2; append only, and never change a step that was released
MIGRATIONS: tuple[Migration, ...] = (_add_jobs,)


def current_version(steps: Sequence[Migration] | None = None) -> int:
    """Return the version of the schema that this program writes.

    Parameters
    ----------
    steps : sequence of callable, optional
        By default `MIGRATIONS`.

    Returns
    -------
    int
        1 and the number of steps.
    """
    return 1 + len(MIGRATIONS if steps is None else steps)


def prepare(database: Database, *, create: bool = True) -> None:
    """Make the tables of a new store, or bring an old one to the current version.

    All steps run in one transaction, under the lock that all writers take; a SQLite file is copied to ``FILE.vN.bak`` first.
    Writes nothing when the version is current, so a read-only store can be read.

    Parameters
    ----------
    database : Database
        The store's.
    create : bool
        Whether an empty database becomes a store.

    Raises
    ------
    StoreError
        For a newer version, for another program's database, and, if not `create`, for an empty one.
    """
    steps = MIGRATIONS
    with database.read() as connection:
        version = _version(connection, database)
    if version == current_version(steps):
        return
    if version is None and not create:
        raise StoreError(f"store {database.label!r} is empty.", hint="Measure something first, or check the path.")
    with database.write() as connection:
        version = _version(connection, database)  # another process may have been faster
        if version is None:
            schema.metadata.create_all(connection)
            connection.execute(sa.insert(schema.meta), {"name": "schema_version", "value": str(current_version(steps))})
            return
        if version > current_version(steps):
            raise StoreError(
                f"store {database.label!r} has schema version {version}, "
                f"newer than the {current_version(steps)} this hwsearch knows.",
                hint="Install a newer hwsearch.",
            )
        if version == current_version(steps):
            return
        if database.dialect == "sqlite":
            log.info("store %s: copied to %s before migration", database.label, _backup(connection, database, version))
        for step in steps[version - 1 :]:
            step(connection)
        where = schema.meta.c.name == "schema_version"
        connection.execute(sa.update(schema.meta).where(where).values(value=str(current_version(steps))))


def _version(connection: sa.Connection, database: Database) -> int | None:
    """Read the store's version; None for an empty database."""
    present = set(sa.inspect(connection).get_table_names())
    ours = set(schema.metadata.tables)
    foreign = StoreError(f"store {database.label!r} is another program's database.", hint="Name the store's own file.")
    if "meta" not in present:
        # a PostgreSQL database may hold other things beside the store; a file may not
        if present & ours or (present and database.dialect == "sqlite"):
            raise foreign
        return None
    if {c["name"] for c in sa.inspect(connection).get_columns("meta")} != {"name", "value"}:
        raise foreign
    text = connection.scalar(sa.select(schema.meta.c.value).where(schema.meta.c.name == "schema_version"))
    if text is None or not text.isdecimal() or int(text) < 1:
        raise foreign
    return int(text)


def _backup(connection: sa.Connection, database: Database, version: int) -> Path | None:
    """Copy the committed state of a SQLite store beside it; the caller holds the write lock."""
    file = str(connection.exec_driver_sql("PRAGMA database_list").all()[0][2])
    target = Path(f"{file}.v{version}.bak")
    part = Path(f"{target}.part")
    try:
        part.unlink(missing_ok=True)
        with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(part)) as copy:
            source.backup(copy)
        with part.open("rb") as handle:
            os.fsync(handle.fileno())
        part.replace(target)
    except (OSError, sqlite3.Error) as error:
        raise StoreError(
            f"store {database.label!r} needs an update, but its copy {str(target)!r} could not be written: {error}.",
            hint="Free some space or make the folder writable; the store is unchanged.",
        ) from error
    return target
