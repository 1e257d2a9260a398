"""Search for a new device by few latencies of it and the accuracies of a former campaign.

    python -m benchmarks.search_new_device [--quick] [--json] [--folder DIR] [--seeds 5] [--pairs SOURCE:TARGET …]

`python -m benchmarks.search --new-device` does the same beside its other tasks.

The former campaign is the default tactic's search of 150 evaluations on the source device; the target is a device unlike it
(Once-for-All MobileNetV3, `benchmarks.search_ofa`). Its accuracies, and 30 latencies on the target, which are chosen as `hwsearch
run --reuse` chooses them, name a front over the whole space; then 24 subnets are measured in full. Beside it: what the former
search measured, all timed again (150 latencies), and the tactic from nothing. Shares are of the target's best known hypervolume,
by the true values of what is named, or of what is non-dominated as measured on the target. Finished (source, target, seed) are
kept in the folder, with a digest of the code; a run that was interrupted goes on from there.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.frame import Benchmark, Result, Run, curves
from benchmarks.search_runs import BATCH, OURS, Cell, Record, bests, digest, run_all
from benchmarks.search_task import Best, Task, ordinal_sum
from benchmarks.search_tasks import load
from hwsearch._typing import FloatArray, IntArray
from hwsearch.objectives.pareto import non_dominated
from hwsearch.searchers import Searcher, create
from predictors.schema import Column
from predictors.sources import Source
from predictors.transfer import WEIGHED, DeviceTransferPredictor

#: source and target: batches that fill a GPU, and single images, which wait for kernels to be launched
PAIRS = ("v100-b64:2080ti-b1", "v100-b64:v100-b1")
#: evaluations of the former search; latencies of the target; members of a named front; full evaluations that are judged
FORMER, LATENCIES, MEMBERS, JUDGED = 150, 30, 60, (8, 24)
#: as `hwsearch.campaigns.steps.new_device`
POOL, ONE_BY_ONE, TOGETHER = 300, 10, 5


def former_rows(record: Record, source: str, seed: int) -> IntArray:
    """Read what the former search measured (150, genes)."""
    entry = record.get(Cell(f"ofa/{source}", OURS, seed, FORMER))
    return np.array([[ord(c) - ord("a") for c in row] for row in entry["rows"]], dtype=np.int64)


def new_device(source: Task, target: Task, old: IntArray, best: Best, seed: int) -> dict[str, float]:
    """Run the campaign of a new device, and its rivals; all figures are shares."""

    def share(rows: IntArray) -> float:
        return round(target.volume(target.true(rows)) / best.volume, 5)

    def measured(searcher: Searcher) -> float:
        there = np.flatnonzero(~np.isnan(searcher.values).any(axis=1))
        keep = non_dominated(searcher.values[there], target.parsed)
        return share(searcher.rows_at(there[keep]))

    before, again = source.measure(old, seed), target.measure(old, seed)
    out = {"pool": share(old[non_dominated(again, target.parsed)])}
    out["former_front"] = share(old[non_dominated(before, source.parsed)])
    searcher = create(OURS, target.space, target.objectives, seed=seed, known=target.known)
    accuracies = np.column_stack([before[:, 0], np.full(len(old), np.nan)])
    searcher.tell_array(old, accuracies)
    timed = chosen(source, target, old, before[:, 1], seed)
    # accuracy and its noise belong to the subnet: where a timed subnet is one of the former, both are known of it
    there = np.array([bool((old == row).all(axis=1).any()) for row in timed])
    values = target.measure(timed, seed)
    searcher.tell_array(timed, np.column_stack([np.where(there, values[:, 0], np.nan), values[:, 1]]))
    out["ours_0"] = share(target.space.to_array(searcher.predicted_front(MEMBERS)))
    for n in range(BATCH, max(JUDGED) + 1, BATCH):
        archs = searcher.ask(BATCH)
        searcher.tell(archs, target.measure(target.space.to_array(archs), seed))
        if n in JUDGED:
            out[f"ours_{n}"] = measured(searcher)
    out[f"named_{n}"] = share(target.space.to_array(searcher.predicted_front(MEMBERS)))
    nothing = create(OURS, target.space, target.objectives, seed=seed, known=target.known)
    asked = 0
    for n in (8, 12, 4, 8, 8, 8, 6):
        archs = nothing.ask(n)
        nothing.tell(archs, target.measure(target.space.to_array(archs), seed))
        asked += n
        if asked in (*JUDGED, max(JUDGED) + LATENCIES):
            out[f"nothing_{asked}"] = measured(nothing)
    return out


def chosen(source: Task, target: Task, old: IntArray, latencies: FloatArray, seed: int) -> IntArray:
    """Choose what is timed on the target, as `hwsearch.campaigns.steps.new_device.choose_subnets` does (30, genes)."""
    space, rng = target.space, np.random.default_rng([seed, 0xDE11])
    assert target.known is not None
    known = target.known

    def encoded(rows: IntArray) -> FloatArray:
        return np.column_stack([space.encode_array(rows), known(rows)])

    schema = space.schema(Column(f"fact{i}") for i in range(known(old[:1]).shape[1]))
    model = DeviceTransferPredictor(schema, {source.name: Source(encoded(old), latencies)})
    pool = space.collect_array(
        POOL,
        lambda m: space.sample_balanced_array(m, rng, lambda rows: ordinal_sum(space, rows)),
        lambda rows: np.zeros(len(rows), dtype=bool),
    )
    found, whole = target.measure(pool, seed)[:, 1], model.with_sources(encoded(pool))
    measured = {0: float(found[0]), 1: float(found[1])}  # the smallest and the largest
    while len(measured) < LATENCIES:
        step = max(1, WEIGHED - len(measured)) if len(measured) < ONE_BY_ONE else TOGETHER
        new = model.plan_with_sources(whole, min(step, LATENCIES - len(measured)), measured)
        measured |= {int(i): float(found[i]) for i in new}
    return pool[list(measured)]


def figures(given: Run) -> dict[str, list[dict[str, Any]]]:
    """Run what is not kept yet; shares of each seed by pair."""
    pairs = given.args.pairs or (PAIRS[:1] if given.quick else PAIRS)
    seeds = given.args.new_seeds or (1 if given.quick else 5)
    names = [tuple(pair.split(":")) for pair in pairs]
    best = bests([f"ofa/{target}" for _, target in names], given.folder, given.args.processes)
    record = Record(given.folder)
    sources = dict.fromkeys(source for source, _ in names)
    run_all([Cell(f"ofa/{s}", OURS, k, FORMER) for k in range(seeds) for s in sources], record, given.args.processes)
    kept = _Kept(given.folder / "new_device.jsonl")
    out: dict[str, list[dict[str, Any]]] = {pair: [] for pair in pairs}
    for seed in range(seeds):
        for pair, (source, target) in zip(pairs, names, strict=True):
            started = time.monotonic()
            found = kept.get(pair, seed)
            if found is None:
                tasks = load(f"ofa/{source}"), load(f"ofa/{target}")
                found = new_device(*tasks, former_rows(record, source, seed), best[f"ofa/{target}"], seed)
                kept.add(pair, seed, found)
                given.say(f"{pair} {seed}: {time.monotonic() - started:.0f} s {found}")
            out[pair].append(found)
    return out


class _Kept:
    """Finished runs: a line each."""

    def __init__(self, path: Path) -> None:
        self._path = path
        code = digest("benchmarks.search_new_device") + digest("hwsearch.searchers.bayesian.plumb")
        self._version = hashlib.sha256(code.encode()).hexdigest()[:16]
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        lines = [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]
        self._done = {(e["pair"], e["seed"]): e["shares"] for e in lines if e["version"] == self._version}

    def get(self, pair: str, seed: int) -> dict[str, float] | None:
        return self._done.get((pair, seed))

    def add(self, pair: str, seed: int, shares: dict[str, float]) -> None:
        line = {"pair": pair, "seed": seed, "version": self._version, "shares": shares}
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def summary(found: dict[str, list[dict[str, Any]]]) -> dict[str, float]:
    """Return the least median over pairs.

    new_device_0 : the front that is named from 30 latencies, no accuracy measured
    new_device_8, new_device_24 : the front as measured after so many full evaluations, latencies of the former pool not needed
    new_device_24_named : the front that is named then
    """
    medians = {pair: pd.DataFrame(shares).median() for pair, shares in found.items()}
    names = {"new_device_0": "ours_0", **{f"new_device_{n}": f"ours_{n}" for n in JUDGED}}
    names["new_device_24_named"] = "named_24"
    return {name: round(min(float(m[key]) for m in medians.values()), 4) for name, key in names.items()}


def rows(found: dict[str, list[dict[str, Any]]]) -> pd.DataFrame:
    """Make one row of each pair and arm: median, least and greatest share."""
    table = []
    for pair, shares in found.items():
        for arm, values in pd.DataFrame(shares).items():
            name, _, n = str(arm).rpartition("_")
            evaluated = int(n) if n.isdigit() else 0
            label = name if n.isdigit() else str(arm)
            table.append({"pair": pair, "arm": label, "evaluated": evaluated, "share": round(float(values.median()), 4),
                          "least": round(float(values.min()), 4), "greatest": round(float(values.max()), 4)})  # fmt: skip
    return pd.DataFrame(table)


def run(given: Run) -> Result:
    """Run all pairs."""
    found = figures(given)
    table = rows(found)
    return Result(
        summary(found),
        table,
        {"shares": found},
        lambda folder: curves(
            table[table["pair"] == table["pair"].iloc[0]],
            folder,
            "search_new_device",
            BENCHMARK.title,
            x="evaluated",
            y="share",
            by="arm",
        ),
    )


def options(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's own options."""
    parser.add_argument(
        "--pairs", nargs="+", help=f"SOURCE:TARGET (default: {' '.join(PAIRS)}, with --quick the first)"
    )
    parser.add_argument("--seeds", type=int, dest="new_seeds", help="of each pair (default 5, with --quick 1)")
    parser.add_argument("--processes", type=int, default=2)


BENCHMARK = Benchmark(
    "search_new_device", "The front of a new device from 30 latencies", "one pair of devices, one seed", run, options
)


if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
