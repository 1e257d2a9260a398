"""The part of a store that keeps measured values and failures."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, TypedDict, Unpack

import pandas as pd
import sqlalchemy as sa

from hwsearch._json import JsonObject
from hwsearch.errors import StoreError, nearest
from hwsearch.store import schema
from hwsearch.store.connection import Database
from hwsearch.store.measurement import Measurement, measurement_key
from hwsearch.store.table import DTYPES, to_frame

#: texts of one IN clause; databases limit the parameters of a statement
CHUNK = 5000
#: rows that are fetched at a time
BLOCK = 2000

_M = schema.measurements
_FIELDS = [c for c in _M.c if c.name not in ("id", "key")]
_NAMES = [c.name for c in _FIELDS]
_TEXTS = _NAMES.index("value")
#: what a key is made of, in the order of `measurement_key`
_KEYED = ("arch_id", "metric", "subject", "protocol", "purpose", "supernet")


Query = sa.Select[Any]
#: what a query yields
Row = tuple[Any, ...]


class Filters(TypedDict, total=False):
    """Which measurements are asked for: exact matches of their fields, and collections of ids or keys; None means any.

    Attributes
    ----------
    metric, subject, purpose, protocol, supernet : str or None
        As in `Measurement`.
    run : int or None
        Id of the run that measured it.
    up_to : int or None
        What had been added when `MeasurementTable.last` gave this number.
    arch_ids, keys, protocols : iterable of str or None
        Any of these architectures, any of these keys, any of these protocols.
    """

    metric: str | None
    subject: str | None
    purpose: str | None
    protocol: str | None
    supernet: str | None
    run: int | None
    up_to: int | None
    arch_ids: Iterable[str] | None
    keys: Iterable[str] | None
    protocols: Iterable[str] | None


class MeasurementTable:
    """Measurements of a store, each kept once and for good.

    The first value of a key wins; failures before it are kept beside it.

    Attributes
    ----------
    database : Database
        Where they lie.
    """

    database: Database

    def add(
        self, measurements: Iterable[Measurement], *, run: int | None = None, max_failures: int | None = None
    ) -> int:
        """Keep measurements in one transaction.

        The first value of a key wins and later ones, and later failures, are dropped.

        Parameters
        ----------
        measurements : iterable of Measurement
            Values and failures.
        run : int, optional
            Noted where a measurement has none.
        max_failures : int, optional
            Failures before a value are kept at most so often for a key; by default all.

        Returns
        -------
        int
            How many were new.

        Raises
        ------
        StoreError
            If the database fails; then nothing is kept.
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
        """Keep measurements as a part of the caller's write transaction; see `add`.

        Parameters
        ----------
        connection : sqlalchemy.Connection
            Of `Database.write`.
        batch : sequence of Measurement
            Values and failures.
        run, max_failures : int, optional
            As in `add`.

        Returns
        -------
        int
            How many were new.
        """
        rows: list[JsonObject] = []
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
        """Find (keys with a value, number of failures by key) among `keys`."""
        settled: set[str] = set()
        failures: Counter[str] = Counter()
        for chunk in chunks(keys):
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
        """Tell which keys need no measuring.

        Parameters
        ----------
        keys : iterable of str
            `Measurement.key`.
        max_failures : int, optional
            So many failures are enough; by default only values count.

        Returns
        -------
        set of str
            Those with a value, or with enough failures.
        """
        wanted = set(keys)
        with self.database.read() as connection:
            settled, failures = self._attempts(connection, wanted)
        if max_failures is None:
            return settled
        return settled | {k for k in wanted if failures[k] >= max_failures}

    def find(self, **filters: Unpack[Filters]) -> list[Measurement]:
        """Find measured values, oldest first.

        Parameters
        ----------
        **filters
            See `Filters`.

        Returns
        -------
        list of Measurement
            Without failures.
        """
        return self._measurements(_M.c.value.is_not(None), **filters)

    def scan(self, fields: Sequence[str], **filters: Unpack[Filters]) -> Iterator[Row]:
        """Yield fields of measured values, oldest first, without making a `Measurement` of each.

        Parameters
        ----------
        fields : sequence of str
            Names of fields of `Measurement`.
        **filters
            See `Filters`.

        Yields
        ------
        tuple
            The fields of one value, in the order asked for.
        """
        columns = [_M.c[name] for name in ("key", *_KEYED, *fields)]
        for key, *row in self._rows(columns, _M.c.value.is_not(None), **filters):
            self._check_key(key, row[: len(_KEYED)])
            # a few texts, in many rows
            yield tuple(sys.intern(v) if type(v) is str else v for v in row[len(_KEYED) :])

    def last(self) -> int:
        """Return a number that grows with every measurement and failure that is added.

        Returns
        -------
        int
            0 for an empty store; see `Filters`.
        """
        with self.database.read() as connection:
            return int(connection.scalar(sa.select(sa.func.max(_M.c.id))) or 0)

    def failures(self, **filters: Unpack[Filters]) -> list[Measurement]:
        """Find failed attempts, oldest first, also of keys that got a value later.

        Parameters
        ----------
        **filters
            See `Filters`.

        Returns
        -------
        list of Measurement
            Without values.
        """
        return self._measurements(_M.c.value.is_(None), **filters)

    def frame(self, *, failed: bool = False, **filters: Unpack[Filters]) -> pd.DataFrame:
        """Read measurements into a frame, oldest first, without records.

        Parameters
        ----------
        failed : bool
            Whether failures are among them, with value NaN.
        **filters
            See `Filters`.

        Returns
        -------
        pandas.DataFrame
            Columns: `hwsearch.store.table.DTYPES`.
        """
        condition = sa.true() if failed else _M.c.value.is_not(None)
        return self._checked(list(self._rows([_M.c[name] for name in DTYPES], condition, **filters)))

    def read_rows(self, query: Query) -> Iterator[Row]:
        """Yield the rows of a query whose last columns are those of a frame; each is what its key says.

        Parameters
        ----------
        query : sqlalchemy.Select
            Any columns, then those of `hwsearch.store.table.DTYPES`.

        Yields
        ------
        tuple
            One row.
        """
        first, numbers = -len(DTYPES), [list(DTYPES).index(n) for n, t in DTYPES.items() if t != "object"]
        with self.database.read() as connection:
            for found in connection.execution_options(yield_per=BLOCK).execute(query):
                own = found[first:]
                wrong = [own[k] for k in numbers if not isinstance(own[k], (int, float, type(None)))]
                if wrong:
                    raise self._damaged(f"a number is none: {wrong[0]!r}")
                self._check_key(own[-1], own[: len(_KEYED)])
                yield tuple(found)

    def _checked(self, rows: list[Row]) -> pd.DataFrame:
        """Make a frame of rows that are what their keys say."""
        try:
            frame = to_frame(rows)
        except (TypeError, ValueError, OverflowError) as error:
            raise self._damaged(f"a number is none: {error}") from error
        for key, *parts in zip(*(frame[name] for name in ("key", *_KEYED)), strict=True):
            self._check_key(key, parts)
        return frame

    def _check_key(self, key: object, parts: Sequence[object]) -> None:
        """Raise where a row is not what its key says; `parts` are its fields `_KEYED`."""
        if not all(isinstance(part, str) for part in parts) or measurement_key(*map(str, parts)) != key:
            raise self._damaged(f"measurement {key!r} is another than its key says")

    def _measurements(self, condition: sa.ColumnElement[bool], **filters: Unpack[Filters]) -> list[Measurement]:
        found = []
        for key, *row in self._rows([_M.c.key, *_FIELDS], condition, **filters):
            texts = (sys.intern(v) if type(v) is str else v for v in row[:_TEXTS])  # a few, in many rows
            m = Measurement(**dict(zip(_NAMES, (*texts, *row[_TEXTS:]), strict=True)))
            if measurement_key(*(getattr(m, name) for name in _KEYED)) != key:  # `m.key` would be kept with each
                raise self._damaged(f"measurement {key!r} is another than its key says")
            found.append(m)
        return found

    def _damaged(self, what: str) -> StoreError:
        return StoreError(
            f"store {self.database.label!r} is damaged: {what}.", hint="The file was edited or damaged; restore a copy."
        )

    def _rows(
        self, columns: Sequence[sa.Column[Any]], condition: sa.ColumnElement[bool], **filters: Unpack[Filters]
    ) -> Iterator[Row]:
        """Yield rows (columns...) that meet the condition and the filters, oldest first."""
        queries = self._queries(columns, condition, **filters)
        if len(queries) == 1:
            with self.database.read() as connection:
                yield from _streamed(connection, queries[0].order_by(_M.c.id))
            return
        with self.database.read() as connection:
            rows = [row for q in queries for row in _streamed(connection, q, keep_id=True)]
        rows.sort(key=lambda row: int(row[0]))
        yield from (row[1:] for row in rows)

    def _queries(
        self, columns: Sequence[sa.Column[Any]], condition: sa.ColumnElement[bool], **filters: Unpack[Filters]
    ) -> list[Query]:
        """Make the queries of id and columns; several where there are more ids or keys than one statement can hold."""
        query: Query = sa.select(_M.c.id, *columns).where(condition)
        if (up_to := filters.pop("up_to", None)) is not None:
            query = query.where(_M.c.id <= up_to)
        wanted = [
            (_M.c.arch_id, filters.pop("arch_ids", None)),
            (_M.c.key, filters.pop("keys", None)),
            (_M.c.protocol, filters.pop("protocols", None)),
        ]
        for name, value in filters.items():
            if name not in Filters.__annotations__:
                raise TypeError(f"{name!r} is no filter. {nearest(name, Filters.__annotations__)}")
            if value is not None:
                query = query.where(_M.c[name] == value)
        queries = [query]
        for column, texts in wanted:
            if texts is not None:
                parts = list(chunks(set(texts)))
                queries = [q.where(column.in_(part)) for q in queries for part in parts]
        return queries

    def count(self, **filters: Unpack[Filters]) -> int:
        """Count measured values, without reading them.

        Parameters
        ----------
        **filters
            See `Filters`.

        Returns
        -------
        int
            Values, without failures.
        """
        queries = self._queries([], _M.c.value.is_not(None), **filters)
        with self.database.read() as connection:
            counts = [connection.scalar(sa.select(sa.func.count()).select_from(q.subquery())) for q in queries]
        return sum(int(n or 0) for n in counts)


def _streamed(connection: sa.Connection, query: Query, *, keep_id: bool = False) -> Iterator[Row]:
    """Yield rows a part at a time; of a million neither the driver nor this keeps a list."""
    for row in connection.execution_options(yield_per=BLOCK).execute(query):
        yield tuple(row) if keep_id else tuple(row)[1:]


def chunks(items: Iterable[str]) -> Iterator[list[str]]:
    """Cut texts into lists that one statement can hold.

    Parameters
    ----------
    items : iterable of str
        Any number.

    Yields
    ------
    list of str
        At most `CHUNK` each, in alphabetical order.
    """
    ordered = sorted(items)
    for i in range(0, len(ordered), CHUNK):
        yield ordered[i : i + CHUNK]
