"""A finished campaign whose own store holds very many rows: made small, filled up by plain SQL, and read by its commands.

Subnets are added that are clearly worse than all that were measured, so that front and candidates stay what they were, and
a resumed run has nothing to measure. Each has an accuracy and a latency on each device, in groups whose measuring processes
the rows share, as real ones do.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from hwsearch.spaces import Architecture, SearchSpace
from hwsearch.spaces.files import from_dict
from hwsearch.store import measurement_key

#: tables of the simulated devices, in the order in which a campaign takes them
TABLES = ("amd-epyc-vm-t1-b1/cifar10-mbv3", "amd-epyc-vm-t2-b16/cifar10-mbv3")
SETTINGS = """
[supernet]
name = "cifar10-mbv3"

[data]
calibration_images = 60
validation_images = 80
test_images = 90
batch = 60

[[objective]]
metric = "accuracy"

[[objective]]
metric = "latency"

[protocol]
processes = [2, 2]

[fleet]
isolation = false

[profile]
latency = 20
accuracy = 14
random = 3

[search]
rounds = 1
per_round = 4
inner_evaluations = 400

[validate]
candidates = 5
processes = [2, 2]
"""
#: subnets that share measuring processes, and seconds between two groups
GROUP, APART_S = 20, 20.0
#: what a subnet's accuracy (points) and latency (factor) are worse by than the worst that was measured
WORSE, SLOWER = 20.0, 2.0
#: fields of a row in the order in which they are inserted
FIELDS = "key, arch_id, metric, subject, protocol, purpose, supernet, value, unit, spread, low, high, repeats, details, record, started_at, ended_at, run"  # fmt: skip
#: seconds after which a command is ended
MOST_S = 900.0


def configuration(devices: int) -> str:
    """Return a campaign's configuration with so many simulated devices, as TOML."""
    parts = [
        f'[[device]]\nname = "d{k}"\nruntime = "simulated"\nbatch = {(1, 16)[k % 2]}\noptions = {{ table = "{TABLES[k % 2]}", seed = {k} }}'
        for k in range(devices)
    ]
    return SETTINGS + "\n" + "\n\n".join(parts) + "\n"


def new_subnets(space: SearchSpace, known: set[str], n: int, seed: int = 0) -> list[Architecture]:
    """Draw subnets that a store does not know yet."""
    rng, found = np.random.default_rng(seed), {}
    while len(found) < n:
        found |= {a.id: a for a in space.sample(n - len(found), rng) if a.id not in known}
    return list(found.values())


def fill(folder: Path, rows: int) -> int:
    """Add subnets to a finished campaign until its store holds so many measurements; returns how many there are."""
    with sqlite3.connect(folder / "store.sqlite") as connection:
        connection.execute("PRAGMA synchronous=OFF")
        connection.row_factory = sqlite3.Row
        record = json.loads(_state(connection, "record:%")[1])
        space, weights = from_dict(record["supernet"]["space"]), record["supernet"]["digest"]
        known = {row[0] for row in connection.execute("SELECT arch_id FROM architectures")}
        have = int(connection.execute("SELECT count(*) FROM measurements").fetchone()[0])
        accuracy = connection.execute(
            "SELECT * FROM measurements WHERE metric = 'accuracy' AND purpose = 'search' ORDER BY value LIMIT 1"
        ).fetchone()
        latency = connection.execute(
            "SELECT *, max(value) FROM measurements WHERE metric = 'latency_ms' AND purpose = 'search' GROUP BY subject"
        ).fetchall()
        n = max(0, rows - have) // (1 + len(latency))
        archs = new_subnets(space, known, n)
        genes = ((a.id, space.name, json.dumps(a.to_dict())) for a in archs)
        connection.executemany("INSERT INTO architectures (arch_id, space, genes) VALUES (?, ?, ?)", genes)
        _add_costs(connection, weights, archs, space)
        marks = ", ".join("?" * len(FIELDS.split(",")))
        statement = f"INSERT INTO measurements ({FIELDS}) VALUES ({marks})"
        connection.executemany(statement, _accuracies(archs, accuracy))
        for row in latency:
            connection.executemany(statement, _latencies(archs, row))
        return int(connection.execute("SELECT count(*) FROM measurements").fetchone()[0])


def _state(connection: sqlite3.Connection, name: str) -> tuple[str, str]:
    query = "SELECT name, document FROM state WHERE name LIKE ? ORDER BY id DESC LIMIT 1"
    found = connection.execute(query, (name,)).fetchone()
    return str(found[0]), str(found[1])


def _add_costs(connection: sqlite3.Connection, weights: str, archs: list[Architecture], space: SearchSpace) -> None:
    """Keep costs of the new subnets, as `hwsearch.campaigns.costs.CostTable` does: made up, from their genes."""
    name, document = _state(connection, f"costs:{weights}")
    names = json.loads(document)["names"]
    version = int(connection.execute("SELECT max(version) FROM state WHERE name = ?", (name,)).fetchone()[0])
    for k in range(0, len(archs), 20_000):
        part = archs[k : k + 20_000]
        size = 1e6 + space.to_array(part).sum(axis=1).astype(float)
        values = np.repeat(size[:, None], len(names), axis=1).tolist()
        version += 1
        text = json.dumps({"names": names, "ids": [a.id for a in part], "values": values})
        row = (name, version, text, "2026-01-31T12:00:00.000000Z")
        connection.execute("INSERT INTO state (name, version, document, written_at) VALUES (?, ?, ?, ?)", row)


def _row(template: sqlite3.Row, arch_id: str, **changes: Any) -> tuple[Any, ...]:
    row = {k: template[k] for k in template.keys()} | {"arch_id": arch_id} | changes  # noqa: SIM118
    row["key"] = measurement_key(*(row[k] for k in ("arch_id", "metric", "subject", "protocol", "purpose", "supernet")))
    return tuple(row[name.strip()] for name in FIELDS.split(","))


def _accuracies(archs: list[Architecture], worst: sqlite3.Row) -> Iterator[tuple[Any, ...]]:
    for i, arch in enumerate(archs):
        value = max(0.0, worst["value"] - WORSE) * (0.5 + i % 1000 / 2000)
        yield _row(worst, arch.id, value=value, low=max(0.0, value - 5), high=value + 5)


def _latencies(archs: list[Architecture], slowest: sqlite3.Row) -> Iterator[tuple[Any, ...]]:
    details = json.loads(slowest["details"])
    rng, looks = np.random.default_rng(1), details["looks"]
    first = float(looks[0][0])
    for i, arch in enumerate(archs):
        if i % GROUP == 0:
            began = first - APART_S * (1 + (len(archs) - i) // GROUP)
        factor = SLOWER + i % 1000 / 500
        noise = 0.002 * rng.standard_normal(len(looks))
        details["looks"] = [
            [began + 0.4 * k, round(float(look[1] + np.log(factor) + noise[k]), 8), *look[2:]]
            for k, look in enumerate(looks)
        ]
        value, low, high = (slowest[k] * factor for k in ("value", "low", "high"))
        text = json.dumps(details, separators=(",", ":"))
        yield _row(slowest, arch.id, value=value, low=low, high=high, spread=(high - low) / 2, details=text)


def measure(*words: str) -> dict[str, float]:
    """Run a command of `hwsearch` in a process of its own.

    Parameters
    ----------
    *words : str
        Its arguments.

    Returns
    -------
    dict
        ``seconds`` (by the clock), ``cpu_s``, ``mib`` (the process's highest memory, imports included) and ``ok`` (1.0 where it
        succeeded).
    """
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "hwsearch", *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    stop = threading.Timer(MOST_S, process.send_signal, (signal.SIGKILL,))
    stop.start()
    _, status, used = os.wait4(process.pid, 0)
    stop.cancel()
    process.returncode = os.waitstatus_to_exitcode(status)
    return {
        "seconds": round(time.monotonic() - began, 1),
        "cpu_s": round(used.ru_utime + used.ru_stime, 1),
        "mib": round(used.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10), 1),
        "ok": float(process.returncode == 0),
    }
