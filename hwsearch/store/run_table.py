"""The part of a store that keeps runs of commands, and named documents with their versions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from hwsearch._json import JsonObject, to_json
from hwsearch.errors import StoreError
from hwsearch.store import schema
from hwsearch.store.connection import Database
from hwsearch.store.measurement import utc_now
from hwsearch.store.text import clean_text


@dataclass(frozen=True)
class Run:
    """One command that wrote to the store; `ended_at` is None while it runs, or if it was killed."""

    id: int
    command: str
    started_at: str
    ended_at: str | None
    host: JsonObject
    status: str


class RunTable:
    """Runs and named documents of a store.

    Attributes
    ----------
    database : Database
        Where they lie.
    """

    database: Database

    def begin_run(self, command: str, host: Mapping[str, Any]) -> int:
        """Note that a command starts on a host; returns the run's id."""
        row = {"command": clean_text(command), "host": to_json(host, "host", error=StoreError, nan_to_none=True)}
        with self.database.write() as connection:
            done = connection.execute(sa.insert(schema.runs), {**row, "started_at": utc_now(), "status": "running"})
            assert done.inserted_primary_key is not None
            return int(done.inserted_primary_key[0])

    def end_run(self, run: int, status: str) -> None:
        """Note how a run ended: ``done``, ``failed``, ``interrupted``."""
        with self.database.write() as connection:
            query = sa.update(schema.runs).where(schema.runs.c.id == run).values(ended_at=utc_now(), status=status)
            if connection.execute(query).rowcount != 1:
                raise StoreError(f"store {self.database.label!r} has no run {run}.", hint="Use the id begin_run gave.")

    def runs(self) -> list[Run]:
        """All runs, oldest first."""
        with self.database.read() as connection:
            return [
                Run(**row._mapping) for row in connection.execute(sa.select(schema.runs).order_by(schema.runs.c.id))
            ]

    def put_state(self, name: str, document: Mapping[str, Any]) -> int:
        """Keep a JSON document under a name; returns its version, 1 for the first. Older versions stay."""
        table = schema.state
        row = {
            "name": name,
            "document": to_json(document, f"state {name!r}", error=StoreError),
            "written_at": utc_now(),
        }
        with self.database.write() as connection:
            last = connection.scalar(sa.select(sa.func.max(table.c.version)).where(table.c.name == name)) or 0
            connection.execute(sa.insert(table), {**row, "version": last + 1})
        return int(last) + 1

    def get_state(self, name: str, version: int | None = None) -> JsonObject | None:
        """The last document under a name, or that of a version; None if there is none."""
        table = schema.state
        query = sa.select(table.c.document).where(table.c.name == name).order_by(table.c.version.desc()).limit(1)
        if version is not None:
            query = query.where(table.c.version == version)
        with self.database.read() as connection:
            return connection.scalar(query)
