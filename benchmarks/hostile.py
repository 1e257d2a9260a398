"""Damaged and hostile files: what the product's readers make of them.

    python -m benchmarks.hostile [--quick] [--json] [--folder DIR] [--inputs N] [--kinds NAMES] [--seed N] [--processes N]

Of every kind of file that the product reads (`hostile_texts`, `hostile_arrays`, `hostile_data`) a valid one is damaged in thousands of ways:
bits, bytes, cut and doubled parts, numbers and texts at their limits, deep nesting; in containers also within, with checksums that are
right again. Files made by hand come first: those that announce more than they hold. Each is read in a child process whose memory is
bounded, and the outcome is one of

- ``right``: a value within its legal range; the valid file's own value where the format has a checksum or digest over it and the damage
  was not hidden from that;
- ``refused``: an error of the product (`HwsearchError`, `TableError`, `predictors.PredictorError`);
- ``tracebacks``: any other exception; ``crashes``: the process ended;
- ``silent_wrong``: a value that differs from the valid file's although a checksum or digest of the format tells it, or that lies outside
  its legal range (a latency that is not positive, a configuration that cannot be written and read again, a tensor that is
  declared larger than it is stored, a measurement under another's key, and so on for each kind: `Kind.fits`). Other changed values cannot be told
  from meant ones, and are no fault.

``over_memory`` counts files that cost more than 1 GiB above what the process had, or for which memory was asked that the bound did not
give, also where an error of the product came of it; ``over_time`` those of more than 20 s of processor time (or 120 s on the clock).
All five must be 0. Faulty files are kept in the folder, ``faults/``.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from collections import Counter
from pathlib import Path

import pandas as pd

from benchmarks.frame import Benchmark, Result, Run
from benchmarks.hostile_kinds import kinds
from benchmarks.hostile_pool import Outcome, again, run

QUICK, FULL = 2_400, 20_000
#: figures that must be 0
FAULTS = ("tracebacks", "crashes", "silent_wrong", "over_memory", "over_time")


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--inputs", type=int, help=f"files (default: {FULL}, quick {QUICK})")
    parser.add_argument("--kinds", nargs="+", help="kinds whose name contains one of these (default: all)")
    parser.add_argument("--seed", type=int, default=0, help="decides the damage (default: %(default)s)")
    parser.add_argument(
        "--processes", type=int, default=os.cpu_count() or 1, help="child processes (default: one a core)"
    )


def run_hostile(given: Run) -> Result:
    """Damage files and read them.

    Parameters
    ----------
    given : Run
        The command line.

    Returns
    -------
    Result
        A row a kind.
    """
    wanted = given.args.kinds or [""]
    names = [name for name in kinds() if any(word in name for word in wanted)]
    if not names:
        given.refuse(f"--kinds: there are {', '.join(kinds())}.")
    total = given.args.inputs or (QUICK if given.quick else FULL)
    jobs = [(names[k % len(names)], k // len(names)) for k in range(total)]
    found: list[Outcome] = []
    kept = given.folder / "faults"
    shutil.rmtree(kept, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="hostile-") as place:
        for outcome in run(jobs, Path(place), given.args.seed, given.args.processes):
            found.append(outcome)
            if outcome.fault:
                given.say(
                    f"{outcome.kind} {outcome.index}: {outcome.what}, {outcome.mib:g} MiB, {outcome.seconds:g} s: {outcome.detail}"
                )
                kept.mkdir(parents=True, exist_ok=True)
                data = again(outcome.kind, outcome.index, given.args.seed, Path(place))
                (kept / f"{outcome.kind.replace(' ', '-')}.{outcome.index}").write_bytes(data)
            if len(found) % 500 == 0:
                given.say(f"{len(found)} of {total} files")
    return _result(names, found)


def _result(names: list[str], found: list[Outcome]) -> Result:
    rows = []
    for name in names:
        of = [o for o in found if o.kind == name]
        what = Counter(o.what for o in of)
        rows.append(
            {
                "kind": name,
                "inputs": len(of),
                "right": what["right"],
                "refused": what["refused"],
                "tracebacks": what["traceback"],
                "crashes": what["crash"],
                "silent_wrong": what["silent_wrong"],
                "over_memory": sum(o.over_memory for o in of),
                "over_time": sum(o.over_time for o in of),
                "most_mib": max((o.mib for o in of), default=0.0),
                "most_seconds": max((o.seconds for o in of), default=0.0),
            }
        )
    table = pd.DataFrame(rows)
    summary = {name: int(table[name].sum()) for name in ("inputs", *FAULTS)}
    faults = [vars(o) for o in found if o.fault]
    return Result(summary, table, {"faults": faults}, ok=not faults)


BENCHMARK = Benchmark(
    "hostile",
    "What readers make of damaged and hostile files",
    f"{QUICK} files in the place of {FULL}",
    run_hostile,
    _options,
)

if __name__ == "__main__":
    raise SystemExit(BENCHMARK.main())
