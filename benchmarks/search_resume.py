"""Campaigns that are killed at random moments must ask what an uninterrupted one asks.

    python -m benchmarks.search_resume [--quick] [--json] [--folder DIR] [--tactic NAME …] [--kills 100] [--evaluations 48] [--seed 0]

A process asks, measures (a formula) and tells. After each ask and each tell it writes the searcher's state, and the record
of its asks, to a file that replaces the one before at once. It is killed (SIGKILL) after a random time, of up to its
longest step and a tenth of the campaign, and started again from the file, until the campaign is done; then the record is compared with that of a
process which nobody killed. Further campaigns, with other seeds, follow until there were so many kills.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.frame import Benchmark, Result, Run
from hwsearch.searchers import Searcher, create
from hwsearch.testing.toy_spaces import TWO, large_space, values_of

TACTICS = ("default", "nsga2", "optuna-tpe", "weaknas")
BATCH = 6
#: a kill is a kill only in these seconds; a campaign that a machine is too slow for ends with an error
PATIENCE = 600.0


def campaign(searcher: Searcher, evaluations: int, path: Path) -> None:
    """Run, or go on, until so many are told; each step is in the file before the next begins."""
    space = searcher.space
    asks: list[list[list[int]]] = []
    steps: list[float] = []
    if path.exists():
        kept = json.loads(path.read_text(encoding="utf-8"))
        asks, steps = kept["asks"], kept["steps"]
        searcher.load_state_dict(kept["state"])
    while len(searcher.values) < evaluations:
        begin = time.monotonic()
        rows = searcher.pending_rows
        if len(rows):
            values = values_of(space, space.from_array(rows), 2)
            values[rows.sum(axis=1) % 7 == 0] = np.nan  # some fail
            searcher.tell_array(rows, values)
        else:
            asks.append(searcher.ask_array(BATCH).tolist())
        steps.append(time.monotonic() - begin)
        beside = path.with_suffix(".new")
        beside.write_text(json.dumps({"state": searcher.state_dict(), "asks": asks, "steps": steps}), encoding="utf-8")
        beside.replace(path)


def killed(tactic: str, kills: int, evaluations: int, seed: int = 0) -> dict[str, Any]:
    """`kills` and `campaigns` that there were, `asks` that were compared, and whether they were `equal`; `under_way` are
    the kills that came after the first step."""
    fork = multiprocessing.get_context("fork")
    rng = np.random.default_rng(seed)
    done = {"kills": 0, "under_way": 0, "campaigns": 0, "asks": 0, "equal": True}
    begin = time.monotonic()
    while done["kills"] < kills:
        with tempfile.TemporaryDirectory(prefix="hwsearch-bench-") as folder:
            steady, broken = Path(folder) / "steady.json", Path(folder) / "broken.json"
            # processes start with a copy of a fresh searcher, so that few kills hit what is not the campaign
            run = create(tactic, large_space(), TWO, seed + done["campaigns"]), evaluations
            started = time.monotonic()
            process = fork.Process(target=campaign, args=(*run, steady))
            process.start()
            process.join()
            wall = time.monotonic() - started
            expected = json.loads(steady.read_text(encoding="utf-8"))
            finished = False
            while not finished:
                process = fork.Process(target=campaign, args=(*run, broken))
                process.start()
                process.join(
                    rng.uniform(0.0, max(expected["steps"]) + wall / 10) if done["kills"] < kills else PATIENCE
                )
                process.kill()
                process.join()
                finished = process.exitcode == 0
                if not finished and process.exitcode != -9:
                    raise RuntimeError(f"the campaign of {tactic!r} ended with {process.exitcode} after {done} kills.")
                done["kills"] += not finished
                done["under_way"] += not finished and broken.exists()
            found = json.loads(broken.read_text(encoding="utf-8"))
            for record in (expected, found):
                record["state"]["info"] = None  # may hold times
            done["equal"] &= found["asks"] == expected["asks"] and found["state"] == expected["state"]
            done["campaigns"] += 1
            done["asks"] += len(found["asks"])
    return done | {"seconds": round(time.monotonic() - begin, 1)}


def options(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's own options."""
    parser.add_argument("--tactic", action="append", help=f"default: {', '.join(TACTICS)}")
    parser.add_argument("--kills", type=int, help="for each tactic (default: 100; quick: 6)")
    parser.add_argument("--evaluations", type=int, default=48)
    parser.add_argument("--seed", type=int, default=0)


def run(given: Run) -> Result:
    """Kill the campaigns of each tactic and compare what they asked."""
    args = given.args
    tactics = args.tactic or (TACTICS[:2] if given.quick else TACTICS)
    kills = args.kills if args.kills is not None else 6 if given.quick else 100
    found = {}
    for name in tactics:
        found[name] = killed(name, kills, args.evaluations, args.seed)
        given.say(f"{name}: {found[name]}")
    table = pd.DataFrame([{"tactic": name} | figures for name, figures in found.items()])
    equal = all(f["equal"] for f in found.values())
    summary = {"equal": equal, "kills": int(table["kills"].sum()), "asks": int(table["asks"].sum())}
    return Result(summary, table, {"tactics": found}, ok=equal)


BENCHMARK = Benchmark(
    "search_resume",
    "Campaigns that are killed ask what an uninterrupted one asks",
    "two tactics, six kills",
    run,
    options,
)


if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
