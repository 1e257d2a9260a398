"""The part of a store that keeps runs of commands, and named documents with their versions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
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
    """One command that wrote to the store.

    Attributes
    ----------
    id : int
        Noted with each measurement.
    command : str
        As it was given.
    started_at : str
        UTC.
    ended_at : str or None
        UTC; None while it runs, or if it was killed.
    host : dict
        Facts of the machine.
    status : str
        ``running``, ``done``, ``failed`` or ``interrupted``.
    """

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
        """Note that a command starts on a host.

        Parameters
        ----------
        command : str
            As it was given.
        host : mapping
            Facts of the machine; JSON-able.

        Returns
        -------
        int
            The run's id.
        """
        row = {"command": clean_text(command), "host": to_json(host, "host", error=StoreError, nan_to_none=True)}
        with self.database.write() as connection:
            done = connection.execute(sa.insert(schema.runs), {**row, "started_at": utc_now(), "status": "running"})
            assert done.inserted_primary_key is not None
            return int(done.inserted_primary_key[0])

    def end_run(self, run: int, status: str) -> None:
        """Note how a run ended.

        Parameters
        ----------
        run : int
            The id that `begin_run` gave.
        status : {"done", "failed", "interrupted"}
            How it ended.

        Raises
        ------
        StoreError
            If there is no such run.
        """
        with self.database.write() as connection:
            query = sa.update(schema.runs).where(schema.runs.c.id == run).values(ended_at=utc_now(), status=status)
            if connection.execute(query).rowcount != 1:
                raise StoreError(f"store {self.database.label!r} has no run {run}.", hint="Use the id begin_run gave.")

    def runs(self) -> list[Run]:
        """Read all runs.

        Returns
        -------
        list of Run
            Oldest first.
        """
        with self.database.read() as connection:
            return [
                Run(**row._mapping) for row in connection.execute(sa.select(schema.runs).order_by(schema.runs.c.id))
            ]

    def lost_seconds(self) -> dict[str, float]:
        """Tell how long runs worked that never noted their end, as a killed process does not.

        Such a run counts from its begin to the last measurement or document that was kept before the next run began: so long
        at least it worked.

        Returns
        -------
        dict of str to float
            Seconds by command; those of a run that goes on now are among them.
        """
        runs = self.runs()
        found: dict[str, float] = {}
        ends = [run.started_at for run in runs[1:]]
        for k, run in enumerate(runs):
            if run.status == "running":
                last = self._last_kept(run.started_at, ends[k] if k < len(ends) else utc_now())
                worked = datetime.fromisoformat(last) - datetime.fromisoformat(run.started_at)
                found[run.command] = found.get(run.command, 0.0) + worked.total_seconds()
        return found

    def _last_kept(self, begin: str, end: str) -> str:
        """Return when something was kept last between two times; the first of them where nothing was."""
        kept = (schema.measurements.c.ended_at, schema.state.c.written_at)
        with self.database.read() as connection:
            found = [connection.scalar(sa.select(sa.func.max(c)).where(c > begin, c <= end)) for c in kept]
        return max([begin, *filter(None, found)])

    def put_state(self, name: str, document: Mapping[str, Any]) -> int:
        """Keep a JSON document under a name; older versions stay.

        Parameters
        ----------
        name : str
            Of the document.
        document : mapping
            JSON-able.

        Returns
        -------
        int
            Its version, 1 for the first.
        """
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
        """Read a document.

        Parameters
        ----------
        name : str
            Of the document.
        version : int, optional
            By default the last.

        Returns
        -------
        dict or None
            None if there is none.
        """
        table = schema.state
        query = sa.select(table.c.document).where(table.c.name == name).order_by(table.c.version.desc()).limit(1)
        if version is not None:
            query = query.where(table.c.version == version)
        with self.database.read() as connection:
            document = connection.scalar(query)
        if document is not None and not isinstance(document, dict):
            raise StoreError(
                f"store {self.database.label!r} is damaged: its document {name!r} is not a JSON object.",
                hint="The file was edited or damaged; restore a copy.",
            )
        return document
