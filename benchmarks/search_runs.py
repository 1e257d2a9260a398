"""Runs of the search benchmark: one (task, tactic, seed) after the other, on record as soon as it is finished."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import json
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.search_rivals import options_of, pool_volume, tactic_of
from benchmarks.search_task import Best, Task, best_known, ordinal_sum
from benchmarks.search_tasks import load
from hwsearch._typing import FloatArray
from hwsearch.objectives.pareto import non_dominated
from hwsearch.searchers import create, find
from hwsearch.searchers.predicted.weaknas import WeakNasSearcher

OURS = "default"
#: the default tactic's own sizes of its first sample and of a batch; the rivals' own are theirs whatever the ask
START, BATCH = 20, 8
RIVAL_BATCH = 10
#: the first samples of tactics that have one; `+start` replaces it
FIRST = {
    "weaknas": 10,
    "weaknas-balanced": 10,
    "nsga2-20": 20,
    "linas": 50,
    "nsga2": 50,
    "nsga3": 50,
    "unsga3": 50,
    "age-moea": 50,
    "ctaea": 50,
    "moead": 50,
}
#: what a run's code can be in, and packages whose own files only pass names on
PROJECT = ("hwsearch", "predictors", "benchmarks", "latency_tables")
PACKAGES = ("hwsearch", "hwsearch.searchers", "benchmarks")
#: how many of our architectures are kept, for `new_device`
KNOWN = 300
#: after how many evaluations the front is kept
ATTAINED = 100
#: asks with so many told are those whose inner evaluations a second are quoted
LATE = (130, 150)


# ---------------------------------------------------------------------- one run
@dataclass(frozen=True)
class Cell:
    """One run: what is kept of it is told by `run`."""

    task: str
    tactic: str
    seed: int
    evaluations: int


def run(cell: Cell) -> dict[str, Any]:
    """Search and judge by the truth.

    With two objectives: `volume`, after each evaluation the hypervolume of the true values of what is non-dominated by
    the measured ones, and `accuracy_at_limit`, the true accuracy of the most accurate, as measured, that measured
    within the limit (NaN: none did); `attained`, the true values of what was non-dominated as measured after `ATTAINED`
    evaluations. With one: `accuracy`, the true value of the best measured, and `query`, when the
    optimum was first evaluated (None: never); the run ends there. `seconds` and `cpu_seconds` are the tactic's own.
    `inner_cpu_seconds` belong to its `inner_evaluations` on predictions: as it tells them, or else of whole asks,
    fits included; `late_evaluations` and `late_cpu_seconds` are those of asks with about 150 told. `pool_volume`: the
    hypervolume of WeakNAS's pool, were all of it measured without noise.
    """
    task = load(cell.task)
    name, _, start = cell.tactic.partition("+")
    options = options_of(name, task) | ({"known": task.known} if name == OURS and task.known else {})
    searcher = create(tactic_of(name), task.space, task.objectives, seed=cell.seed, **options)
    single = len(task.objectives) == 1
    optimum = best_known(task).volume if single else np.inf
    rows = np.empty((0, len(task.space.choices)), dtype=np.int64)
    measured = np.empty((0, len(task.objectives)))
    seconds = cpu = inner_cpu = late_cpu = 0.0
    inner = late = 0
    if start:
        rng = np.random.default_rng([cell.seed, 0x57A7])
        first = task.space.sample_balanced_array(
            min(max(START, FIRST.get(name, START)), cell.evaluations), rng, lambda r: ordinal_sum(task.space, r)
        )
        rows, measured = first, task.measure(first, cell.seed)
        searcher.tell(task.space.from_array(rows), measured)
    while len(rows) < cell.evaluations:
        batch = (BATCH if len(rows) else START) if name == OURS else RIVAL_BATCH
        clock, processor = time.perf_counter(), time.process_time()
        archs = searcher.ask(min(batch, cell.evaluations - len(rows)))
        asked = time.process_time() - processor
        if not archs:
            break
        new = task.space.to_array(archs)
        seconds += time.perf_counter() - clock
        cpu += asked
        if searcher.info.inner_evaluations:
            inner += searcher.info.inner_evaluations
            spent = getattr(searcher, "inner_cpu_seconds", asked)
            inner_cpu += spent
            if LATE[0] <= len(rows) <= LATE[1]:
                late, late_cpu = late + searcher.info.inner_evaluations, late_cpu + spent
        values = task.measure(new, cell.seed)
        rows, measured = np.concatenate([rows, new]), np.concatenate([measured, values])
        clock, processor = time.perf_counter(), time.process_time()
        searcher.tell(archs, values)
        seconds += time.perf_counter() - clock
        cpu += time.process_time() - processor
        if single and task.true(new).max() >= optimum:
            break
    out: dict[str, Any] = {
        "seconds": round(seconds, 3),
        "cpu_seconds": round(cpu, 3),
        "inner_evaluations": inner,
        "inner_cpu_seconds": round(inner_cpu, 3),
        "late_evaluations": late,
        "late_cpu_seconds": round(late_cpu, 3),
    }
    if not single and isinstance(searcher, WeakNasSearcher):
        out["pool_volume"] = float(f"{pool_volume(task, searcher.pool):.8g}")
    true = task.true(rows)
    if single:
        hit = np.flatnonzero(true[:, 0] >= optimum)
        best = np.maximum.accumulate(measured[:, 0])
        first_best = np.array([int(np.argmax(measured[:, 0] == value)) for value in best])
        out |= {"accuracy": _short(true[first_best, 0]), "query": int(hit[0]) + 1 if len(hit) else None}
    else:
        out |= {
            "volume": _short(volumes(task, true, measured)),
            "accuracy_at_limit": _short(accuracy_at_limit(task, true, measured)),
        }
        if len(rows) >= ATTAINED:
            front = non_dominated(measured[:ATTAINED], searcher.objectives)
            out["attained"] = [_short(values) for values in true[:ATTAINED][front]]
        if name == OURS:
            out["rows"] = ["".join(chr(ord("a") + v) for v in row) for row in rows[:KNOWN]]
    return out


def _short(values: FloatArray) -> list[float | None]:
    return [None if np.isnan(v) else float(f"{v:.8g}") for v in values]


def volumes(task: Task, true: FloatArray, measured: FloatArray) -> FloatArray:
    """Compute after each evaluation (n,) the hypervolume of the true values of those that no measured value dominates."""
    costs = task.costs(measured)
    front: list[int] = []
    out = np.zeros(len(costs))
    for i, new in enumerate(costs):
        there = costs[front]
        if len(front) and (there <= new).all(axis=1).any():
            out[i] = out[i - 1]
            continue
        front = [*(np.array(front, dtype=np.int64)[~(new <= there).all(axis=1)] if front else ()), i]
        out[i] = task.volume(true[front])
    return out


def accuracy_at_limit(task: Task, true: FloatArray, measured: FloatArray) -> FloatArray:
    """Return after each evaluation (n,) the true accuracy of the best one measured within `task.limit`; NaN before any is."""
    assert task.limit is not None
    within = np.where(measured[:, 1] <= task.limit, measured[:, 0], -np.inf)
    best = np.maximum.accumulate(within)
    place = np.array([int(np.argmax(within == value)) for value in best], dtype=np.int64)
    return np.where(np.isfinite(best), true[place, 0], np.nan)


# ---------------------------------------------------------------------- all runs
def sources(module: str) -> dict[str, bytes]:
    """Return the source of a module and of all that it imports of this project, by name, found by reading the imports."""
    seen: dict[str, bytes] = {}

    def visit(name: str) -> None:
        if name in seen or name in PACKAGES or name.split(".")[0] not in PROJECT:
            return
        try:
            spec = importlib.util.find_spec(name)
        except ModuleNotFoundError:  # a name inside a module
            return
        if spec is None or spec.origin is None:
            return
        seen[name] = Path(spec.origin).read_bytes()
        for node in ast.walk(ast.parse(seen[name])):
            if isinstance(node, ast.ImportFrom) and node.module:
                visit(node.module)
                for alias in node.names:
                    visit(f"{node.module}.{alias.name}")

    visit(module)
    return seen


@cache
def digest(module: str) -> str:
    """Digest the text of `sources`."""
    found = sources(module)
    return hashlib.sha256(b"\0".join(found[name] for name in sorted(found))).hexdigest()[:16]


@cache
def _version(tactic: str) -> str:
    """Name what the runs of a tactic depend on: its code, the tasks, and how they are judged."""
    code = digest(find(tactic_of(tactic)).__module__)
    return f"{code}-{digest('benchmarks.search_runs')}"


class Record:
    """The finished cells of a folder: a line each, the last one of a cell counts."""

    def __init__(self, folder: Path, any_version: bool = False) -> None:
        self.path = folder / "cells.jsonl"
        self._any = any_version
        self._done: dict[tuple[Any, ...], dict[str, Any]] = {}
        folder.mkdir(parents=True, exist_ok=True)
        if self.path.exists():
            text = self.path.read_text(encoding="utf-8")
            if text and not text.endswith("\n"):  # the line that an interrupted run was writing
                self.path.write_text(text[: text.rfind("\n") + 1], encoding="utf-8")
            for line in text[: text.rfind("\n") + 1].splitlines():
                entry = json.loads(line)
                self._done[self._key(entry, entry["version"])] = entry

    def _key(self, entry: dict[str, Any], version: str) -> tuple[Any, ...]:
        key = tuple(entry[k] for k in ("task", "tactic", "seed", "evaluations"))
        return key if self._any else (*key, version)

    def find(self, cell: Cell) -> dict[str, Any] | None:
        return self._done.get(self._key(vars(cell), _version(cell.tactic)))

    def get(self, cell: Cell) -> dict[str, Any]:
        """Return the result of a cell that has been run; raise KeyError otherwise."""
        return self._done[self._key(vars(cell), _version(cell.tactic))]

    def add(self, cell: Cell, result: dict[str, Any]) -> None:
        entry = {**vars(cell), "version": _version(cell.tactic), **result}
        self._done[self._key(entry, entry["version"])] = entry
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")


def run_all(cells: Sequence[Cell], record: Record, processes: int = 2) -> None:
    """Run what is not on record, and put each on record when it is finished; progress goes to stderr."""
    missing = [cell for cell in cells if record.find(cell) is None]
    started = time.monotonic()
    for k, (cell, result) in enumerate(_each(missing, processes), 1):
        record.add(cell, result)
        line = f"{k}/{len(missing)} {time.monotonic() - started:.0f} s  {cell.task} {cell.tactic} {cell.seed}"
        print(f"\r{line:<78}", end="" if sys.stderr.isatty() else "\n", file=sys.stderr, flush=True)


def _each(cells: Sequence[Cell], processes: int) -> Iterator[tuple[Cell, dict[str, Any]]]:
    """Yield each cell and its result, as they finish; with one process in this one."""
    if processes < 2 or len(cells) < 2:
        yield from ((cell, run(cell)) for cell in cells)
        return
    os.environ["OMP_NUM_THREADS"] = "1"  # inherited by the processes
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        futures = {pool.submit(run, cell): cell for cell in cells}
        try:
            yield from ((futures[future], future.result()) for future in as_completed(futures))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def bests(names: Iterable[str], folder: Path, processes: int = 2) -> dict[str, Best]:
    """Return the best that is known of each task, found once a folder and version of the tasks."""
    folder.mkdir(parents=True, exist_ok=True)
    version = digest("benchmarks.search_tasks")
    paths = {name: folder / f"best-{name.replace('/', '-').replace('#', '-')}-{version}.npz" for name in names}
    missing = [name for name, path in paths.items() if not path.exists()]
    if processes > 1 and len(missing) > 1:
        os.environ["OMP_NUM_THREADS"] = "1"
        with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
            found = list(pool.map(_best, missing))
    else:
        found = [_best(name) for name in missing]
    for name, best in zip(missing, found, strict=True):
        np.savez(paths[name], rows=best.rows, values=best.values, volume=best.volume)
    return {name: _read(path) for name, path in paths.items()}


def _best(name: str) -> Best:
    return best_known(load(name))


def _read(path: Path) -> Best:
    with np.load(path) as data:
        return Best(data["rows"], data["values"], float(data["volume"]))
