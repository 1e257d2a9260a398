"""The queue: work that outlives the process that asked for it, done by whichever process claims it.

A job is leased to one worker for some seconds, which the worker extends while it works. A lease that ends without a result
puts the job back, so a worker that dies or hangs costs one job's time. The result and the end of the job are one
transaction, and a measurement has one value at most, so a job that was done twice is kept once.

Times are the database server's, or this host's where the database is a file. A clock that steps can end a lease early,
which costs a repeated job, or make one look longer than it can be, which counts as ended; no job is lost by it.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Iterable, Sequence

import sqlalchemy as sa

from hwsearch._json import JsonObject, to_json
from hwsearch.errors import StoreError
from hwsearch.store import schema
from hwsearch.store.job import Job, NewJob, Status
from hwsearch.store.measurement import Measurement, utc_now
from hwsearch.store.store import Store
from hwsearch.store.text import clean_text
from hwsearch.store.worker_names import is_dead

_J = schema.jobs


_CHUNK = 500


_COLUMNS = [_J.c[name] for name in Job.__dataclass_fields__]


class Queue:
    """The jobs in a store. Every method is one transaction; all raise `StoreError` when the database fails.

    Parameters
    ----------
    store : Store
        Where jobs and results are kept.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.database = store.database

    def submit(self, jobs: Iterable[NewJob]) -> int:
        """Queue jobs.

        One that has ended starts afresh, also the one whose last worker was lost. One that is queued already keeps its place and
        attempts, and takes payload and limits anew, which a user may have changed since; one that is leased stays as it is.

        Parameters
        ----------
        jobs : iterable of NewJob
            Two of one key are one job.

        Returns
        -------
        int
            How many were queued.
        """
        batch = {j.key: j for j in jobs}
        with self.database.write() as connection:
            self._expire(connection, self._now(connection))
            return self._submit(connection, list(batch.values()))

    def _submit(self, connection: sa.Connection, batch: Sequence[NewJob]) -> int:
        count = 0
        for job in batch:
            row = {
                "key": job.key,
                "kind": job.kind,
                "device": job.device,
                "payload": to_json(job.payload, f"job {job.key!r}", error=StoreError),
                "deadline_s": float(job.deadline_s),
                "max_attempts": int(job.max_attempts),
                "status": "queued",
                "attempts": 0,
                "worker": None,
                "lease_s": None,
                "lease_until": None,
                "failure": None,
                "created_at": utc_now(),
                "finished_at": None,
            }
            status = connection.scalar(sa.select(_J.c.status).where(_J.c.key == job.key))
            if status is None:
                connection.execute(sa.insert(_J), row)
            elif status == "queued":
                changed = {k: row[k] for k in ("payload", "deadline_s", "max_attempts")}
                connection.execute(sa.update(_J).where(_J.c.key == job.key).values(**changed))
            elif status != "leased":
                connection.execute(sa.update(_J).where(_J.c.key == job.key).values(**row))
            count += status not in ("queued", "leased")
        return count

    def claim(
        self,
        worker: str,
        devices: Collection[str],
        *,
        lease_s: float = 60.0,
        kinds: Collection[str] | None = None,
        keys: Collection[str] | None = None,
    ) -> Job | None:
        """Lease the oldest queued job that fits.

        Parameters
        ----------
        worker : str
            As `worker_name` gives it.
        devices : collection of str
            What the worker can do.
        lease_s : float
            Length of the lease, seconds.
        kinds, keys : collection of str, optional
            Which jobs; by default any.

        Returns
        -------
        Job or None
            None if there is none.
        """
        conditions = [_J.c.status == "queued", _J.c.device.in_(list(devices))]
        if kinds is not None:
            conditions.append(_J.c.kind.in_(list(kinds)))
        if keys is not None:
            wanted = sorted(keys)
            chunks = [wanted[i : i + _CHUNK] for i in range(0, len(wanted), _CHUNK)]
            conditions.append(sa.or_(sa.false(), *(_J.c.key.in_(c) for c in chunks)))
        with self.database.write() as connection:
            now = self._now(connection)
            self._expire(connection, now)
            row = connection.execute(sa.select(*_COLUMNS).where(*conditions).order_by(_J.c.id).limit(1)).first()
            if row is None:
                return None
            values = {
                "status": "leased",
                "attempts": row.attempts + 1,
                "worker": worker,
                "lease_s": lease_s,
                "lease_until": now + lease_s,
            }
            connection.execute(sa.update(_J).where(_J.c.id == row.id).values(**values))
        return Job(**{**row._mapping, "status": "leased", "attempts": row.attempts + 1, "worker": worker})

    def extend(self, job: Job, *, lease_s: float = 60.0) -> bool:
        """Lease a job for some more seconds.

        Parameters
        ----------
        job : Job
            As `claim` gave it.
        lease_s : float
            From now on, seconds.

        Returns
        -------
        bool
            False when the lease is no longer this claim's: a later claim owns the job, even one of the same worker.
        """
        with self.database.write() as connection:
            values = {"lease_s": lease_s, "lease_until": self._now(connection) + lease_s}
            return connection.execute(sa.update(_J).where(*self._mine(job)).values(**values)).rowcount == 1

    def complete(self, job: Job, measurements: Iterable[Measurement] = (), *, run: int | None = None) -> int:
        """Keep a job's results and end it, both or neither.

        A late result, whose lease has ended, is kept as well where there is no other yet. A job that was split meanwhile stays so:
        whoever waits for it must learn of its parts.

        Parameters
        ----------
        job : Job
            As `claim` gave it.
        measurements : iterable of Measurement
            Its results.
        run : int, optional
            Noted where a measurement has none.

        Returns
        -------
        int
            How many results were new.
        """
        batch = list(measurements)
        with self.database.write() as connection:
            new = self.store.add_within(connection, batch, run=run) if batch else 0
            self._end(connection, [_J.c.id == job.id, _J.c.status != "split"], "done", None)
        return new

    def fail(self, job: Job, failure: str, measurements: Iterable[Measurement] = ()) -> Status | None:
        """Note that an attempt failed.

        Parameters
        ----------
        job : Job
            As `claim` gave it.
        failure : str
            How.
        measurements : iterable of Measurement
            What is to be kept all the same.

        Returns
        -------
        str or None
            ``queued`` (again), ``failed`` (for good, after its last attempt); None when the lease is no longer this claim's.
        """
        batch = list(measurements)
        with self.database.write() as connection:
            if batch:
                self.store.add_within(connection, batch)
            last = job.attempts >= job.max_attempts
            if last:
                return "failed" if self._end(connection, self._mine(job), "failed", failure) else None
            values = {"status": "queued", "worker": None, "lease_until": None, "failure": clean_text(failure)}
            changed = connection.execute(sa.update(_J).where(*self._mine(job)).values(**values)).rowcount
        return "queued" if changed else None

    def split(self, job: Job, parts: Sequence[NewJob], failure: str) -> bool:
        """Put smaller jobs in the place of one.

        Parameters
        ----------
        job : Job
            As `claim` gave it.
        parts : sequence of NewJob
            Are queued.
        failure : str
            Why.

        Returns
        -------
        bool
            False when the lease is no longer this claim's; then nothing is queued.
        """
        with self.database.write() as connection:
            if not self._end(connection, self._mine(job), "split", failure):
                return False
            self._submit(connection, parts)
        return True

    def release(self, job: Job) -> bool:
        """Give a job back as if it had not been claimed.

        Parameters
        ----------
        job : Job
            As `claim` gave it.

        Returns
        -------
        bool
            False when the lease is no longer this claim's.
        """
        values = {"status": "queued", "attempts": job.attempts - 1, "worker": None, "lease_until": None}
        with self.database.write() as connection:
            return connection.execute(sa.update(_J).where(*self._mine(job)).values(**values)).rowcount == 1

    def expire(self) -> int:
        """Put back the jobs whose worker was lost.

        Returns
        -------
        int
            How many leases ended.
        """
        with self.database.write() as connection:
            return self._expire(connection, self._now(connection))

    def find(self, keys: Collection[str] | None = None) -> list[Job]:
        """Find jobs.

        Parameters
        ----------
        keys : collection of str, optional
            By default all.

        Returns
        -------
        list of Job
            Oldest first.
        """
        wanted = None if keys is None else sorted(keys)
        with self.database.read() as connection:
            query = sa.select(*_COLUMNS)
            if wanted is None:
                rows = list(connection.execute(query).all())
            else:
                chunks = [wanted[i : i + _CHUNK] for i in range(0, len(wanted), _CHUNK)]
                rows = [r for c in chunks for r in connection.execute(query.where(_J.c.key.in_(c))).all()]
        return [Job(**row._mapping) for row in sorted(rows, key=lambda row: row.id)]

    def counts(self) -> Counter[str]:
        """Count jobs of each status.

        Returns
        -------
        collections.Counter
            By status.
        """
        with self.database.read() as connection:
            rows = connection.execute(sa.select(_J.c.status, sa.func.count()).group_by(_J.c.status)).all()
        return Counter({str(row[0]): int(row[1]) for row in rows})

    # ------------------------------------------------------------------ inside a transaction
    def _now(self, connection: sa.Connection) -> float:
        if self.database.dialect == "postgresql":  # one clock for all hosts
            return float(connection.exec_driver_sql("SELECT extract(epoch FROM clock_timestamp())").scalar() or 0.0)
        return time.time()

    @staticmethod
    def _mine(job: Job) -> list[sa.ColumnElement[bool]]:
        if job.worker is None:
            raise StoreError(f"job {job.key!r} is leased to nobody.", hint="Use the job that claim() gave.")
        return [
            _J.c.id == job.id,
            _J.c.status == "leased",
            _J.c.worker == job.worker,
            _J.c.attempts == job.attempts,
        ]

    @staticmethod
    def _end(
        connection: sa.Connection, where: Sequence[sa.ColumnElement[bool]], status: Status, failure: str | None
    ) -> bool:
        values: JsonObject = {"status": status, "lease_until": None, "finished_at": utc_now()}
        if failure is not None:
            values["failure"] = clean_text(failure)
        return connection.execute(sa.update(_J).where(*where).values(**values)).rowcount == 1

    def _expire(self, connection: sa.Connection, now: float) -> int:
        leased = connection.execute(
            sa.select(_J.c.id, _J.c.worker, _J.c.attempts, _J.c.max_attempts, _J.c.lease_s, _J.c.lease_until).where(
                _J.c.status == "leased"
            )
        ).all()
        ended = 0
        for row in leased:
            # beyond its own length a lease can only end when the clock was set back
            running = row.lease_until is not None and now <= row.lease_until <= now + row.lease_s + 1
            if running and not is_dead(row.worker or ""):
                continue
            ended += 1
            where = [_J.c.id == row.id]
            failure = f"worker {row.worker} was lost in attempt {row.attempts} of {row.max_attempts}"
            if row.attempts >= row.max_attempts:
                self._end(connection, where, "failed", failure)
            else:
                values = {"status": "queued", "worker": None, "lease_until": None, "failure": failure}
                connection.execute(sa.update(_J).where(*where).values(**values))
        return ended
