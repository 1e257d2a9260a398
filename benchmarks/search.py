"""The search benchmark: how good a front each tactic has after how many measurements.

    python -m benchmarks.search [--quick] [--json] [--folder DIR] [--tactic NAME …] [--task NAME …]

Tasks (see `benchmarks.search_tasks`): ``ofa/DEVICE`` and ``nb201/DEVICE`` with two objectives, ``nb201-exact/DATASET`` and
``nb201-noisy/DATASET`` with one, and ``real`` (only with --real), the embedded supernet measured on this computer. With
--new-device, the front of a device from 30 latencies and another's accuracies (`benchmarks.search_new_device`).
A measurement of an architecture is the same for all tactics of a seed. A tactic's name may end in ``+start``: it is told a
balanced start, as the default tactic has it, in place of its own first sample; these measurements count.

Finished (task, tactic, seed) cells are kept in the folder, with a digest of the code they depend on; a run that was
interrupted goes on from there, on two processes. The whole takes two to three hours on two cores, ``--quick`` two to three
minutes: fewer seeds, tasks and tactics, each of which does what it does in the whole. ``--replicas`` checks the rivals against
published figures instead.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd

import latency_tables
from benchmarks import search_new_device, search_real, search_replicas
from benchmarks.frame import Benchmark, Result, Run
from benchmarks.search_busy import own_cpu_busy
from benchmarks.search_figures import bounds, new_devices, one_objective, summary, two_objectives
from benchmarks.search_plots import plot, plot_attainment
from benchmarks.search_rivals import VARIANTS, tactic_of
from benchmarks.search_runs import OURS, Cell, Record, bests, run_all
from benchmarks.search_task import DATASETS, NB201_DEVICES, OFA_DEVICES
from benchmarks.search_tasks import load
from benchmarks.search_text import CAVEATS, new_device_table, table
from hwsearch.errors import HwsearchError
from hwsearch.searchers import find, tactics

MULTI = (
    "default",
    "weaknas",
    "weaknas-balanced",
    "weaknas+start",
    "linas",
    "linas+start",
    "nsga2-20",
    "nsga2",
    "nsga2+start",
    "optuna-tpe",
    "optuna-gp",
    "lamoo",
    "balanced-random",
    "random",
)
SINGLE = (
    "default",
    "weaknas",
    "weaknas-mlp",
    "linas",
    "bananas",
    "brp-nas",
    "regularised-evolution",
    "local-search",
    "optuna-tpe",
    "random",
)
#: evaluations a run, where it is not 300
BUDGET = {"optuna-gp": 150, "weaknas": 1000, "nsga2": 1000, "balanced-random": 1000, "random": 1000}
#: what is run on the first device of each family only
FIRST_ONLY = ("optuna-gp", "weaknas+start", "linas+start", "nsga2+start", "balanced-random")
#: queries after which a search for NAS-Bench-201's optimum ends without it
QUERIES = 500
#: seeds of the other tactics there, and of all where labels are noisy
FEW = 20
#: seeds of WeakNAS with its published network, whose every round takes a minute
FEWEST = 5


def options(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's own options."""
    parser.add_argument("--tactic", nargs="+", help=f"only these, besides {OURS}; NAME+start with a balanced start")
    parser.add_argument("--task", nargs="+", help="only these")
    parser.add_argument("--seeds", type=int, help="default 10; quick 1")
    parser.add_argument(
        "--single-seeds",
        type=int,
        help="seeds of the tasks with one objective; default 100 (20 for most tactics); quick 3",
    )
    parser.add_argument("--evaluations", type=int, help="at most so many a run")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument(
        "--any-version", action="store_true", help="take finished runs of other versions of the code, too"
    )
    parser.add_argument("--on-record", action="store_true", help="run nothing: show what the folder holds")
    parser.add_argument("--busy", action="store_true", help="also measure processor time beside eight busy processes")
    parser.add_argument("--real", action="store_true", help="also the embedded supernet, measured on this computer")
    parser.add_argument("--new-device", action="store_true", help="also the front of a new device from 30 latencies")
    parser.add_argument(
        "--replicas", action="store_true", help="check the rivals against published figures, nothing else"
    )


def check_names(given: Run) -> None:
    """End the program where a tactic or a task does not exist."""
    for tactic in given.args.tactic or ():
        try:
            find(tactic_of(tactic))
        except HwsearchError as error:
            given.refuse(f"--tactic {tactic}: {error} There are {', '.join([*tactics(), *VARIANTS])}.")
    for name in given.args.task or ():
        try:
            load(name)
        except (HwsearchError, latency_tables.TableError, KeyError, ValueError):
            given.refuse(f"--task {name}: there is no such task. There are {', '.join(_default_tasks(False))}.")


def cells_of(given: Run, names: list[str], seeds: int, cap: int) -> dict[str, list[Cell]]:
    """List the runs of each task."""
    single_seeds = given.args.single_seeds or (3 if given.quick else 100)
    return {
        name: [
            Cell(
                name, tactic, seed, min(cap, QUERIES if _is_single(name) else BUDGET.get(tactic.partition("+")[0], 300))
            )
            for tactic in _chosen(name, given.args.tactic, given.quick)
            for seed in range(_single_seeds(name, tactic, single_seeds) if _is_single(name) else seeds)
        ]
        for name in names
    }


def rows(tasks: dict[str, dict[str, dict[str, Any]]]) -> pd.DataFrame:
    """Make one row of each task and tactic: its median share, or its queries, at the end."""
    return pd.DataFrame(
        [
            {
                "task": name,
                "tactic": tactic,
                "share": [*f["share"].values()][-1][1] if f.get("share") else None,
                "queries_mean": f.get("queries_mean"),
                "seconds": f["seconds"][1],
            }
            for name, task in tasks.items()
            for tactic, f in task.items()
        ],
        columns=["task", "tactic", "share", "queries_mean", "seconds"],
    )


def run(given: Run) -> Result:
    """Run what is missing on record, then compute the figures."""
    args = given.args
    if args.replicas:
        return search_replicas.result(
            search_replicas.replicas(given.folder, quick=given.quick, processes=args.processes)
        )
    check_names(given)
    seeds = args.seeds or (1 if given.quick else 10)
    cap = args.evaluations or (100 if given.quick else 1000)
    names = args.task or _default_tasks(given.quick)
    cells = cells_of(given, names, seeds, cap)
    best = bests(names, given.folder, args.processes)
    record = Record(given.folder, args.any_version)
    if args.on_record:
        cells = {name: [cell for cell in group if record.find(cell) is not None] for name, group in cells.items()}
        cells = {name: group for name, group in cells.items() if group}
        names = list(cells)
    else:
        run_all([cell for group in cells.values() for cell in group], record, args.processes)

    tasks: dict[str, dict[str, dict[str, Any]]] = {}
    entries: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for name, group in cells.items():
        found = entries[name] = {}
        for cell in group:
            found.setdefault(cell.tactic, []).append(record.get(cell))
        tasks[name] = (
            one_objective(found, best[name], group[0].evaluations)
            if _is_single(name)
            else two_objectives(found, best[name])
        )
    bound = {name: bounds(name, best[name], seeds) for name in cells if load(name).reference is not None}
    facts = {name: {} if given.quick else load(name).facts() for name in cells}
    new: dict[str, Any] = {}
    for family in ("ofa", "nb201"):
        devices = [name.partition("/")[2] for name in names if name.startswith(f"{family}/") and "#" not in name]
        if len(devices) > 1:
            found_new = new_devices(family, devices, record, seeds, min(cap, BUDGET.get(OURS, 300)), best)
            new |= {f"{family}/{device}": figures for device, figures in found_new.items()}
    text = [table(name, tasks[name], facts[name], best[name], bound.get(name)) for name in names]
    text += [new_device_table(new)] if new else []
    details: dict[str, Any] = {"tasks": dict(tasks), "bounds": bound, "new_device": new, "facts": facts, "seeds": seeds}
    if args.real:
        details["tasks"]["real"] = search_real.real(given.folder / "real", quick=given.quick)
        text.append(f"\nreal: {json.dumps(details['tasks']['real'])}")

    further: dict[str, float] = {}
    if args.new_device:
        args.pairs, args.new_seeds = None, None if given.quick else seeds
        shares = search_new_device.figures(given)
        further = search_new_device.summary(shares)
        details["new_device_front"] = shares
        text.append(f"\nnew device:\n{search_new_device.rows(shares).to_string(index=False)}")

    def plots(folder: Path) -> list[Path]:
        for name, found in entries.items():
            plot(name, found, best[name], folder)
            plot_attainment(name, found, best[name], folder)
        return sorted(folder.glob("*.png"))

    busy = own_cpu_busy() if args.busy else None
    figures = summary(tasks, new, bound, busy) | further
    return Result(figures, rows(tasks), details, plots, "\n".join([*text, CAVEATS]))


def _is_single(name: str) -> bool:
    return name.startswith("nb201-")


def _single_seeds(name: str, tactic: str, seeds: int) -> int:
    """Return all seeds where our queries are compared with WeakNAS's; otherwise `FEW`, which say enough."""
    if tactic == "weaknas-mlp":
        return min(seeds, FEWEST)
    return seeds if name.startswith("nb201-exact/") and tactic in (OURS, "weaknas") else min(seeds, FEW)


def _default_tasks(quick: bool) -> list[str]:
    devices = [f"ofa/{d}" for d in OFA_DEVICES[: 1 if quick else None]]
    devices += [] if quick else [f"ofa-exact/{d}" for d in OFA_DEVICES]
    devices += [f"nb201/{d}" for d in NB201_DEVICES[: 1 if quick else None]]
    labels = ("exact",) if quick else ("exact", "noisy")
    return devices + [f"nb201-{label}/{d}" for label in labels for d in [*DATASETS][: 1 if quick else None]]


def _chosen(name: str, wanted: list[str] | None, quick: bool) -> list[str]:
    """Return the tactics of a task: those asked for, with the default one, or the benchmark's own choice."""
    if wanted:
        return list(dict.fromkeys([OURS, *wanted]))
    if quick:
        return [OURS, "weaknas", "linas", "random"]
    if _is_single(name):
        return list(SINGLE)
    if name.startswith("ofa-exact/"):
        return [OURS]
    listed = name.startswith("nb201/")  # its pool is the whole table however it is drawn
    first = name in (f"ofa/{OFA_DEVICES[0]}", f"nb201/{NB201_DEVICES[0]}")
    chosen = [tactic for tactic in MULTI if first or tactic not in FIRST_ONLY]
    return [tactic for tactic in chosen if tactic != "weaknas-balanced" or not listed]


BENCHMARK = Benchmark(
    "search",
    "How good a front each tactic has after how many measurements",
    "one seed (three with one objective), four tactics, one device a family, one data set, 100 evaluations, no errors of the tasks",
    run,
    options,
)


if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
