"""A store of a million measurements: opening it, counting, and reading one campaign's part.

    python -m benchmarks.store [--quick] [--json] [--folder DIR] [--rows N]

The rows are inserted by plain SQL: accuracies (each with a record of 250 bytes), latencies and energies of `--rows` / 4
architectures under 50 supernets and two devices. A fresh process then opens the store, counts all values, and reads what one campaign does:
accuracies and device metrics of its supernet, with their keys checked. ``open_s`` is for all of that, ``peak_mib`` the process's
highest memory above that after imports (targets: 60 s, 600 MiB); ``whole_s`` and ``whole_mib`` are for reading all rows into a frame, which
only an export does.
"""

from __future__ import annotations

import argparse
import json
import resource
import sqlite3
import subprocess
import sys
from pathlib import Path

import pandas as pd

from benchmarks.frame import Benchmark, Result, Run
from hwsearch.store import Store, measurement_key

SUPERNETS, TIME = 50, "2026-01-31T12:00:00.000000Z"
METRICS = (
    ("accuracy", "data", "%"),
    ("latency_ms", "cpu", "ms"),
    ("latency_ms", "gpu", "ms"),
    ("energy_mj", "gpu", "mJ"),
)
#: targets: seconds to open and read a campaign's part, and MiB
MOST_SECONDS, MOST_MIB = 60.0, 600.0


def fill(path: Path, rows: int) -> None:
    """Make a store with so many measurements."""
    Store.open(path).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA synchronous=OFF")
    names = "key, arch_id, metric, subject, protocol, purpose, supernet, value, unit, spread, low, high, repeats, details, record, started_at, ended_at"

    def values():
        for i in range(rows):
            metric, subject, unit = METRICS[i % 4]
            parts = (f"{i // 4:012x}", metric, subject, "p", "search", f"net-{i // 4 % SUPERNETS}")
            value, record = 1.0 + i % 997, bytes(250) if metric == "accuracy" else None
            yield (
                measurement_key(*parts),
                *parts,
                value,
                unit,
                0.1,
                value - 0.1,
                value + 0.1,
                100,
                '{"p90":2.5}',
                record,
                TIME,
                TIME,
            )

    with connection:
        connection.executemany(f"INSERT INTO measurements ({names}) VALUES ({', '.join('?' * 17)})", values())
    connection.close()


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def look(path: Path, whole: bool) -> dict[str, float]:
    """Open a store and read a part or all of it; the body of the fresh process."""
    import time

    before, started = _peak_mib(), time.monotonic()
    with Store.open(path, create=False) as store:
        count = store.count()
        if whole:
            read = len(store.frame())
        else:
            read = sum(
                len(store.find(subject=subject, protocols={"p", "q"}, supernet="net-7"))
                for _, subject, _ in METRICS[:3]
            )
    return {
        "count": count,
        "read": read,
        "seconds": round(time.monotonic() - started, 2),
        "mib": round(_peak_mib() - before, 1),
    }


def run(given: Run) -> Result:
    """Fill a store and look at it in fresh processes."""
    rows = given.args.rows or (200_000 if given.quick else 1_000_000)
    path = given.folder / "store.sqlite"
    for beside in given.folder.glob("store.sqlite*"):
        beside.unlink()
    fill(path, rows)
    given.say(f"{rows} rows")
    found = {}
    for name in ("part", "whole"):
        code = f"import json, pathlib; from benchmarks.store import look; print(json.dumps(look(pathlib.Path({str(path)!r}), {name == 'whole'})))"
        done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
        found[name] = json.loads(done.stdout)
        given.say(f"{name}: {found[name]}")
    for beside in given.folder.glob("store.sqlite*"):
        beside.unlink()
    part, whole = found["part"], found["whole"]
    summary = {
        "rows": int(part["count"]), "own_rows": int(part["read"]), "open_s": part["seconds"], "peak_mib": part["mib"],
        "whole_s": whole["seconds"], "whole_mib": whole["mib"],
    }  # fmt: skip
    table = pd.DataFrame([{"what": name} | figures for name, figures in found.items()])
    return Result(
        summary, table, ok=part["seconds"] <= MOST_SECONDS and part["mib"] <= MOST_MIB and part["count"] == rows
    )


def options(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's own options."""
    parser.add_argument("--rows", type=int, help="measurements (default: 1,000,000; quick: 200,000)")


BENCHMARK = Benchmark("store", "A store of a million measurements", "200,000 measurements", run, options)


if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
