"""`Store`: the append-only truth of a campaign, in a SQLite file or any PostgreSQL database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import sqlalchemy as sa

from hwsearch.errors import StoreError
from hwsearch.store import migrations, schema
from hwsearch.store.connection import Database
from hwsearch.store.measurement_table import MeasurementTable
from hwsearch.store.run_table import RunTable
from hwsearch.store.subject_table import SubjectTable
from hwsearch.store.table import DTYPES, write_csv

#: columns of an exported file
_CSV = ("arch_id", "space", "genes", "metric", "subject", "device", *list(DTYPES)[3:])


class Store(MeasurementTable, SubjectTable, RunTable):
    """Measurements, each kept once and for good, and what is needed to read them.

    Any number of processes may use one store. When `add` has returned, its measurements survive a crash, a kill -9 and a power
    cut. All methods raise `StoreError` when the database fails.

    Parameters
    ----------
    database : Database
        With current tables; `open` sees to that.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from hwsearch.store import Measurement, Store
    >>> with Store.open(Path(tempfile.mkdtemp()) / "store.sqlite") as store:
    ...     store.add([Measurement("a1", "latency_ms", "device", "p", "search", 2.5, "ms")])
    ...     [m.value for m in store.find(metric="latency_ms")]
    1
    [2.5]
    """

    def __init__(self, database: Database) -> None:
        self.database = database

    @classmethod
    def open(cls, target: str | Path, *, create: bool = True, timeout_s: float = 30.0) -> Self:
        """Open the store in a SQLite file or in a database.

        Parameters
        ----------
        target : str or Path
            A path, or a URL ``postgresql+psycopg://HOST/NAME``.
        create : bool
            Make it if it does not exist.
        timeout_s : float
            Wait that long for another writer, seconds.

        Returns
        -------
        Store
            With tables of the current version.

        Raises
        ------
        StoreError
            If it does not exist, is another program's, or is newer than this program.
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
        """Close all connections of this process."""
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
        """Read the whole SQLite file; slow for a large one, and nothing for other databases.

        Raises
        ------
        StoreError
            If any of it is damaged.
        """
        if self.database.dialect != "sqlite":
            return
        with self.database.read() as connection:
            found = connection.exec_driver_sql("PRAGMA integrity_check").scalars().all()
        if found != ["ok"]:
            raise StoreError(
                f"store {self.database.label!r} is damaged: {found[0]}.",
                hint="Save what is readable with 'sqlite3 FILE .recover', or restore a copy.",
            )

    def export_csv(self, path: str | Path) -> int:
        """Write all measurements and failures, with genes and device names, to a CSV file.

        Readers see the old file or the whole new one, never a part.

        Parameters
        ----------
        path : str or Path
            The file.

        Returns
        -------
        int
            Number of rows.

        Raises
        ------
        StoreError
            If the file cannot be written.
        """
        return write_csv(_CSV, self._explained(), path)

    def _explained(self) -> Iterator[tuple[object, ...]]:
        """Yield all rows with spaces, genes and names of devices (columns of `_CSV`), oldest first; JSON as it is kept."""
        m, a = schema.measurements, schema.architectures
        columns = [sa.type_coerce(m.c[name], sa.Text) if name == "details" else m.c[name] for name in DTYPES]
        query = sa.select(a.c.space, sa.type_coerce(a.c.genes, sa.Text), *columns).order_by(m.c.id)
        query = query.select_from(m.outerjoin(a, m.c.arch_id == a.c.arch_id))
        names = {fingerprint: name for fingerprint, (name, _) in self.devices().items()}
        for space, genes, *row in self.read_rows(query):
            arch_id, metric, subject, *rest = row
            yield arch_id, space, genes, metric, subject, names.get(str(subject)), *rest
