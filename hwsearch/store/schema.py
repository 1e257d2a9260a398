"""The tables. A change here needs a step in `migrations.MIGRATIONS`."""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa
from typing_extensions import override

from latency_tables.reading import parse_json


class Json(sa.types.TypeDecorator[Any]):
    """Column type: JSON kept as text, alike in every database; NaN and Infinity as Python's json writes them."""

    impl = sa.Text
    cache_ok = True

    @override
    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> str | None:
        return None if value is None else json.dumps(value, separators=(",", ":"))

    @override
    def process_result_value(self, value: Any, dialect: sa.Dialect) -> Any:
        return None if value is None else parse_json(value)


metadata = sa.MetaData()

meta = sa.Table(
    "meta",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)

architectures = sa.Table(
    "architectures",
    metadata,
    sa.Column("arch_id", sa.Text, primary_key=True),
    sa.Column("space", sa.Text, nullable=False),
    sa.Column("genes", Json, nullable=False),
)

devices = sa.Table(
    "devices",
    metadata,
    sa.Column("fingerprint", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("description", Json, nullable=False),
)

measurements = sa.Table(
    "measurements",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("arch_id", sa.Text, nullable=False),
    sa.Column("metric", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("protocol", sa.Text, nullable=False),
    sa.Column("purpose", sa.Text, nullable=False),
    sa.Column("supernet", sa.Text, nullable=False),
    sa.Column("value", sa.Double),
    sa.Column("unit", sa.Text, nullable=False),
    sa.Column("spread", sa.Double),
    sa.Column("low", sa.Double),
    sa.Column("high", sa.Double),
    sa.Column("repeats", sa.Integer, nullable=False),
    sa.Column("failure", sa.Text),
    sa.Column("details", Json, nullable=False),
    sa.Column("record", sa.LargeBinary),
    sa.Column("started_at", sa.Text, nullable=False),
    sa.Column("ended_at", sa.Text, nullable=False),
    sa.Column("run", sa.Integer),
    sqlite_autoincrement=True,
)
sa.Index("measurements_by_key", measurements.c.key)
sa.Index("measurements_by_metric", measurements.c.metric, measurements.c.subject)
# the promise itself, for writers that do not go through `Store`: a key has one value at most
sa.Index(
    "measurements_one_value",
    measurements.c.key,
    unique=True,
    sqlite_where=measurements.c.value.is_not(None),
    postgresql_where=measurements.c.value.is_not(None),
)

runs = sa.Table(
    "runs",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("command", sa.Text, nullable=False),
    sa.Column("started_at", sa.Text, nullable=False),
    sa.Column("ended_at", sa.Text),
    sa.Column("host", Json, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sqlite_autoincrement=True,
)

state = sa.Table(
    "state",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("document", Json, nullable=False),
    sa.Column("written_at", sa.Text, nullable=False),
    sa.UniqueConstraint("name", "version"),
    sqlite_autoincrement=True,
)

# work to be done, by whichever process claims it: see `hwsearch.store.queue`
jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("key", sa.Text, nullable=False, unique=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("device", sa.Text, nullable=False),
    sa.Column("payload", Json, nullable=False),
    sa.Column("deadline_s", sa.Double, nullable=False),
    sa.Column("max_attempts", sa.Integer, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("worker", sa.Text),
    sa.Column("lease_s", sa.Double),
    sa.Column("lease_until", sa.Double),
    sa.Column("failure", sa.Text),
    sa.Column("created_at", sa.Text, nullable=False),
    sa.Column("finished_at", sa.Text),
    sqlite_autoincrement=True,
)
sa.Index("jobs_by_status", jobs.c.status, jobs.c.device)
