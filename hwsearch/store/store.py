"""`Store`: the append-only truth of a campaign, in a SQLite file or any PostgreSQL database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypedDict, Unpack

import pandas as pd
import sqlalchemy as sa

from hwsearch._json import to_json
from hwsearch.errors import StoreError, nearest
from hwsearch.spaces import Architecture, SearchSpace
from hwsearch.store import migrations, schema
from hwsearch.store.connection import Database
from hwsearch.store.measurement import Measurement, utc_now
from hwsearch.store.table import DTYPES, to_frame, write_csv
from hwsearch.store.text import clean_text

#: texts of one IN clause; databases limit the parameters of a statement
CHUNK = 5000

_M = schema.measurements
_FIELDS = [c for c in _M.c if c.name not in ("id", "key")]
_NAMES = [c.name for c in _FIELDS]


class Filters(TypedDict, total=False):
    """Which measurements: exact matches of their fields, and collections of ids or keys; None means any."""

    metric: str | None
    subject: str | None
    purpose: str | None
    protocol: str | None
    supernet: str | None
    run: int | None
    arch_ids: Iterable[str] | None
    keys: Iterable[str] | None


@dataclass(frozen=True)
class Run:
    """One command that wrote to the store; `ended_at` is None while it runs, or if it was killed."""

    id: int
    command: str
    started_at: str
    ended_at: str | None
    host: dict[str, Any]
    status: str


class Store:
    """Measurements, each kept once and for good, and what is needed to read them.

    Any number of processes may use one store. When `add` has returned, its measurements survive a
    crash, a kill -9 and a power cut. All methods raise `StoreError` when the database fails.
    """

    def __init__(self, database: Database) -> None:
        self.database = database

    @classmethod
    def open(cls, target: str | Path, *, create: bool = True, timeout_s: float = 30.0) -> Self:
        """The store in a SQLite file (a path) or in a database (a URL, ``postgresql+psycopg://HOST/NAME``).

        create : make it if it does not exist; timeout_s : wait that long for another writer
        """
        if not create and "://" not in str(target) and not Path(target).is_file():
            raise StoreError(
                f"store {str(target)!r} does not exist.", hint="Measure something first, or check the path."
            )
        database = Database(target, timeout_s=timeout_s)
        try:
            migrations.prepare(database, create=create)
        except BaseException:
            database.close()
            raise
        return cls(database)

    def close(self) -> None:
        self.database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Store({self.database.label!r})"

    def check(self) -> None:
        """Read the whole SQLite file and raise `StoreError` if any of it is damaged; slow for a large one."""
        if self.database.dialect != "sqlite":
            return
        with self.database.read() as connection:
            found = connection.exec_driver_sql("PRAGMA integrity_check").scalars().all()
        if found != ["ok"]:
            raise StoreError(
                f"store {self.database.label!r} is damaged: {found[0]}.",
                hint="Save what is readable with 'sqlite3 FILE .recover', or restore a copy.",
            )

    # ------------------------------------------------------------------ measurements
    def add(
        self, measurements: Iterable[Measurement], *, run: int | None = None, max_failures: int | None = None
    ) -> int:
        """Keep measurements in one transaction; returns how many were new.

        The first value of a key wins and later ones, and later failures, are dropped. Failures before
        it are all kept, or at most `max_failures` a key. `run` is noted where a measurement has none.
        """
        batch = list(measurements)
        if not batch:
            return 0
        with self.database.write() as connection:
            return self.add_within(connection, batch, run=run, max_failures=max_failures)

    def add_within(
        self,
        connection: sa.Connection,
        batch: Sequence[Measurement],
        *,
        run: int | None = None,
        max_failures: int | None = None,
    ) -> int:
        """As `add`, as a part of the caller's write transaction."""
        rows: list[dict[str, Any]] = []
        settled, failures = self._attempts(connection, {m.key for m in batch})
        for m in batch:
            if m.key in settled or (m.failed and max_failures is not None and failures[m.key] >= max_failures):
                continue
            if m.failed:
                failures[m.key] += 1
            else:
                settled.add(m.key)
            row = {name: getattr(m, name) for name in _NAMES}
            rows.append({**row, "key": m.key, "run": run if m.run is None else m.run})
        if rows:
            connection.execute(sa.insert(_M), rows)
        return len(rows)

    def _attempts(self, connection: sa.Connection, keys: Collection[str]) -> tuple[set[str], Counter[str]]:
        """(keys with a value, number of failures by key) among `keys`."""
        settled: set[str] = set()
        failures: Counter[str] = Counter()
        for chunk in _chunks(keys):
            query = (
                sa.select(_M.c.key, sa.func.count(_M.c.value), sa.func.count())
                .where(_M.c.key.in_(chunk))
                .group_by(_M.c.key)
            )
            for key, values, attempts in connection.execute(query):
                if values:
                    settled.add(key)
                failures[key] = attempts - values
        return settled, failures

    def known(self, keys: Iterable[str], *, max_failures: int | None = None) -> set[str]:
        """Those of `keys` that need no measuring: they have a value, or failed `max_failures` times already."""
        wanted = set(keys)
        with self.database.read() as connection:
            settled, failures = self._attempts(connection, wanted)
        if max_failures is None:
            return settled
        return settled | {k for k in wanted if failures[k] >= max_failures}

    def find(self, **filters: Unpack[Filters]) -> list[Measurement]:
        """Measured values, oldest first. Filters: see `Filters`."""
        rows = self._rows(_FIELDS, _M.c.value.is_not(None), **filters)
        return [Measurement(**dict(zip(_NAMES, row, strict=True))) for row in rows]

    def failures(self, **filters: Unpack[Filters]) -> list[Measurement]:
        """Failed attempts, oldest first, also of keys that got a value later. Filters: see `Filters`."""
        rows = self._rows(_FIELDS, _M.c.value.is_(None), **filters)
        return [Measurement(**dict(zip(_NAMES, row, strict=True))) for row in rows]

    def frame(self, *, failed: bool = False, **filters: Unpack[Filters]) -> pd.DataFrame:
        """Measurements as a frame, oldest first, without records; with `failed`, failures too (value NaN).

        Columns: `hwsearch.store.table.DTYPES`. Filters: see `Filters`.
        """
        condition = sa.true() if failed else _M.c.value.is_not(None)
        return to_frame(self._rows([_M.c[name] for name in DTYPES], condition, **filters))

    def _rows(
        self, columns: Sequence[sa.Column[Any]], condition: sa.ColumnElement[bool], **filters: Unpack[Filters]
    ) -> list[tuple[Any, ...]]:
        """Rows (columns...) that meet the condition and the filters, oldest first."""
        query = sa.select(_M.c.id, *columns).where(condition)
        wanted = [(_M.c.arch_id, filters.pop("arch_ids", None)), (_M.c.key, filters.pop("keys", None))]
        for name, value in filters.items():
            if name not in Filters.__annotations__:
                raise TypeError(f"{name!r} is no filter. {nearest(name, Filters.__annotations__)}")
            if value is not None:
                query = query.where(_M.c[name] == value)
        queries = [query]
        for column, texts in wanted:
            if texts is not None:
                parts = list(_chunks(set(texts)))
                queries = [q.where(column.in_(part)) for q in queries for part in parts]
        with self.database.read() as connection:
            rows = [row for q in queries for row in connection.execute(q.order_by(_M.c.id)).all()]
        rows.sort(key=lambda row: int(row[0]))
        return [tuple(row)[1:] for row in rows]

    # ------------------------------------------------------------------ what measurements are of
    def add_architectures(self, archs: Iterable[Architecture]) -> int:
        """Keep the genes behind architecture ids; returns how many were new."""
        rows = {a.id: {"arch_id": a.id, "space": a.space_name, "genes": a.to_dict()} for a in archs}
        table = schema.architectures
        with self.database.write() as connection:
            for chunk in _chunks(rows.keys()):
                for arch_id in connection.scalars(sa.select(table.c.arch_id).where(table.c.arch_id.in_(chunk))):
                    del rows[arch_id]
            if rows:
                connection.execute(sa.insert(table), list(rows.values()))
        return len(rows)

    def architectures(self, space: SearchSpace) -> list[Architecture]:
        """All kept architectures of a space, by id. Raises `SpaceError` if one does not fit the space."""
        return self._architectures(space, sa.true())

    def architecture(self, space: SearchSpace, arch_id: str) -> Architecture:
        """The kept architecture with that id."""
        found = self._architectures(space, schema.architectures.c.arch_id == arch_id)
        if not found:
            raise StoreError(
                f"store {self.database.label!r} holds no architecture {arch_id!r} of space {space.name!r}.",
                hint="Check the id, and that the campaign's supernet is the same.",
            )
        return found[0]

    def _architectures(self, space: SearchSpace, condition: sa.ColumnElement[bool]) -> list[Architecture]:
        table = schema.architectures
        query = (
            sa.select(table.c.arch_id, table.c.genes)
            .where(table.c.space == space.name, condition)
            .order_by(table.c.arch_id)
        )
        with self.database.read() as connection:
            rows = connection.execute(query).all()
        found = [Architecture(space.name, genes) for _, genes in rows]
        space.to_array(found)  # raises for genes the space does not have
        for arch, (arch_id, _) in zip(found, rows, strict=True):
            if arch.id != arch_id:
                raise StoreError(f"store {self.database.label!r} holds genes of {arch.id} under the id {arch_id!r}.")
        return found

    def add_device(self, fingerprint: str, name: str, description: Mapping[str, Any]) -> bool:
        """Keep what a device's fingerprint stands for; returns whether it was new (the first wins)."""
        row = {
            "fingerprint": fingerprint,
            "name": name,
            "description": to_json(description, "device", error=StoreError, nan_to_none=True),
        }
        table = schema.devices
        with self.database.write() as connection:
            if connection.scalar(sa.select(table.c.name).where(table.c.fingerprint == fingerprint)) is not None:
                return False
            connection.execute(sa.insert(table), row)
        return True

    def devices(self) -> dict[str, tuple[str, dict[str, Any]]]:
        """{fingerprint: (name, description)} of all kept devices."""
        with self.database.read() as connection:
            rows = connection.execute(sa.select(schema.devices).order_by(schema.devices.c.fingerprint)).all()
        return {row.fingerprint: (row.name, row.description) for row in rows}

    # ------------------------------------------------------------------ runs and state
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

    def get_state(self, name: str, version: int | None = None) -> dict[str, Any] | None:
        """The last document under a name, or that of a version; None if there is none."""
        table = schema.state
        query = sa.select(table.c.document).where(table.c.name == name).order_by(table.c.version.desc()).limit(1)
        if version is not None:
            query = query.where(table.c.version == version)
        with self.database.read() as connection:
            return connection.scalar(query)

    # ------------------------------------------------------------------ export
    def export_csv(self, path: str | Path) -> int:
        """Write all measurements and failures, with genes and device names, to a CSV file; returns the rows.

        Readers see the old file or the whole new one, never a part.
        """
        frame = self.frame(failed=True)
        with self.database.read() as connection:
            genes = {row.arch_id: (row.space, row.genes) for row in connection.execute(sa.select(schema.architectures))}
        names = {fingerprint: name for fingerprint, (name, _) in self.devices().items()}
        frame.insert(1, "space", [genes.get(a, ("", None))[0] for a in frame["arch_id"]])
        frame.insert(2, "genes", [genes.get(a, ("", None))[1] for a in frame["arch_id"]])
        frame.insert(5, "device", [names.get(s, "") for s in frame["subject"]])
        write_csv(frame, path)
        return len(frame)


def _chunks(items: Iterable[str]) -> Iterator[list[str]]:
    ordered = sorted(items)
    for i in range(0, len(ordered), CHUNK):
        yield ordered[i : i + CHUNK]
