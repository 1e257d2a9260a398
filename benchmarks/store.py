"""A store of a million measurements: one campaign's part of it, all of it, and a campaign whose own it is.

    python -m benchmarks.store [--quick] [--json] [--folder DIR] [--rows N] [--devices N]

The rows are inserted by plain SQL: accuracies (each with a record of 250 bytes), latencies and energies of `--rows` / 4
architectures under 50 supernets and two devices. A fresh process then opens the store, counts all values, and reads what one campaign does:
accuracies and device metrics of its supernet, with their keys checked. ``open_s`` is for all of that, ``peak_mib`` the process's
highest memory above that after imports (targets: 60 s, 600 MiB); ``whole_s`` and ``whole_mib`` are for reading all rows into a frame, which
only an export does.

Then a small campaign on `--devices` simulated devices is run to its end, and its own store filled up to as many rows
(`benchmarks.store_campaign`). ``front_s``, ``front_cpu_s`` and ``front_mib`` are what ``hwsearch front`` takes on it, ``run_s``,
``run_cpu_s`` and ``run_mib`` what a resumed ``hwsearch run`` takes that has nothing to measure: the processes' seconds by the clock, seconds of
processor time, and highest memory, imports included. ``front_small_mib`` and ``run_small_mib`` are those of the small campaign
before it was filled: what no store can take less than.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pandas as pd

from benchmarks import store_campaign
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
    own = _own_campaign(given, rows)
    summary = {
        "rows": int(part["count"]), "own_rows": int(part["read"]), "open_s": part["seconds"], "peak_mib": part["mib"],
        "whole_s": whole["seconds"], "whole_mib": whole["mib"],
        "campaign_rows": int(own["campaign"]["count"]), "front_small_mib": own["small front"]["mib"], "run_small_mib": own["small run"]["mib"],
        **{f"{verb}_{k}": own[verb][v] for verb in ("front", "run") for k, v in (("s", "seconds"), ("cpu_s", "cpu_s"), ("mib", "mib"))},
    }  # fmt: skip
    table = pd.DataFrame([{"what": name} | figures for name, figures in {**found, **own}.items()])
    within = all(x["seconds"] <= MOST_SECONDS and x["mib"] <= MOST_MIB for x in (part, own["front"], own["run"]))
    done = all(x["ok"] for x in own.values() if "ok" in x)
    return Result(summary, table, ok=within and done and part["count"] == rows)


def _own_campaign(given: Run, rows: int) -> dict[str, dict[str, float]]:
    """Measure the commands on a campaign before and after its store is filled."""
    folder = given.folder / "campaign"
    shutil.rmtree(folder, ignore_errors=True)
    config = given.folder / "campaign.toml"
    config.write_text(store_campaign.configuration(given.args.devices), encoding="utf-8")
    store_campaign.measure("run", str(config), "--folder", str(folder))
    front = ("front", str(folder), "--device", "d0", "--json")
    found = {"small front": store_campaign.measure(*front), "small run": store_campaign.measure("run", str(folder))}
    found["campaign"] = {"count": float(store_campaign.fill(folder, rows))}
    given.say(f"a campaign of {found['campaign']['count']:.0f} rows")
    found |= {"front": store_campaign.measure(*front), "run": store_campaign.measure("run", str(folder))}
    for name, figures in found.items():
        given.say(f"{name}: {figures}")
    shutil.rmtree(folder, ignore_errors=True)
    return found


def options(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's own options."""
    parser.add_argument("--rows", type=int, help="measurements (default: 1,000,000; quick: 200,000)")
    parser.add_argument("--devices", type=int, default=2, help="of the campaign that owns them (default: %(default)s)")


BENCHMARK = Benchmark("store", "A store of a million measurements", "200,000 measurements", run, options)


if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
