"""The search benchmark: how good a front each tactic has after how many measurements.

    python -m benchmarks.search [--quick] [--json] [--tactic NAME …] [--task NAME …] [--folder DIR]

Tasks (see `benchmarks.search_tasks`): ``ofa/DEVICE`` and ``nb201/DEVICE`` with two objectives, ``nb201-exact/DATASET`` and
``nb201-noisy/DATASET`` with one, and ``real`` (only with --real), the embedded supernet measured on this computer.
A measurement of an architecture is the same for all tactics of a seed. A tactic's name may end in ``+start``: it is told a
balanced start, as the default tactic has it, in place of its own first sample; these measurements count.

Finished (task, tactic, seed) cells are kept in the folder, with a digest of the code they depend on; a run that was
interrupted goes on from there, on two processes. The whole takes two to three hours on two cores, ``--quick`` under two minutes. ``--replicas`` checks the rivals against published figures instead.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import latency_tables
from benchmarks.search_plots import AT, curves, plot, plot_attainment
from benchmarks.search_runs import KNOWN, OURS, Cell, Record, bests, run_all
from benchmarks.search_tasks import DATASETS, NB201_DEVICES, OFA_DEVICES, Best, FloatArray, IntArray, Task, load
from hwsearch.errors import HwsearchError
from hwsearch.objectives.pareto import non_dominated
from hwsearch.searchers import find, tactics

MULTI = (
    "default",
    "weaknas",
    "weaknas+start",
    "linas",
    "linas+start",
    "nsga2",
    "nsga2+start",
    "balanced-random",
    "random",
)
SINGLE = (
    "default",
    "weaknas",
    "linas",
    "bananas",
    "brp-nas",
    "regularised-evolution",
    "local-search",
    "optuna-tpe",
    "random",
)
#: evaluations a run, where it is not 300
BUDGET = {"weaknas": 1000, "nsga2": 1000, "balanced-random": 1000, "random": 1000}
#: what is run on the first device of each family only
FIRST_ONLY = ("weaknas+start", "linas+start", "nsga2+start", "balanced-random")
#: queries after which a search for NAS-Bench-201's optimum ends without it
QUERIES = 500
#: seeds of the other tactics there, and of all where labels are noisy
FEW = 20
#: after how many latencies of a new device its front is judged
NEW_AT = (5, 10, 20)


# ---------------------------------------------------------------------- figures
def quartiles(values: NDArray[Any]) -> list[float | None]:
    """Lower quartile, median, upper quartile of values (n,); None when there are none."""
    values = np.asarray(values, dtype=np.float64)
    values = values[~np.isnan(values)]
    return [round(float(v), 5) for v in np.quantile(values, [0.25, 0.5, 0.75])] if len(values) else [None] * 3


def reached(curve: FloatArray, target: float) -> int | None:
    """The number of evaluations after which a curve (n,) is first at `target`; None if it never is."""
    there = np.flatnonzero(curve >= target)
    return int(there[0]) + 1 if len(there) else None


def two_objectives(cells: dict[str, list[dict[str, Any]]], best: Best) -> dict[str, dict[str, Any]]:
    """The figures of a task with two objectives, by tactic; quartiles over seeds."""
    share = {tactic: curves(entries, "volume") / best.volume for tactic, entries in cells.items()}
    median = {tactic: np.median(curve, axis=0) for tactic, curve in share.items()}
    targets = {
        f"{rival}@{n}": float(median[rival][n - 1])
        for rival, n in _targets({tactic: curve.shape[1] for tactic, curve in share.items()})
    }
    out = {}
    for tactic, entries in cells.items():
        within = curves(entries, "accuracy_at_limit")
        n = share[tactic].shape[1]
        out[tactic] = {
            "seeds": len(entries),
            "evaluations": n,
            "share": {str(k): quartiles(share[tactic][:, k - 1]) for k in AT if k <= n},
            "reaches": {target: reached(median[tactic], value) for target, value in targets.items()},
            "accuracy_at_limit": {str(k): quartiles(within[:, k - 1]) for k in AT if k <= n},
            **_times(entries),
        }
    return out


def _targets(evaluations: dict[str, int]) -> list[tuple[str, int]]:
    """WeakNAS after 1,000 evaluations and LINAS after 250, or after as many as there are in a shorter run."""
    wanted = {"weaknas": 1000, "linas": 250}
    return [(rival, min(n, evaluations[rival])) for rival, n in wanted.items() if rival in evaluations]


def one_objective(cells: dict[str, list[dict[str, Any]]], best: Best, cap: int) -> dict[str, dict[str, Any]]:
    """Queries to the optimum and the accuracy on the way, by tactic.

    `queries_mean` counts a run that did not find the optimum with the cap, so it is a lower bound; a run ends when the
    optimum has been evaluated, and its accuracy stays what it was there.
    """
    out = {}
    for tactic, entries in cells.items():
        queries = np.array([entry["query"] or np.nan for entry in entries], dtype=np.float64)
        accuracy = np.array(
            [entry["accuracy"] + [entry["accuracy"][-1]] * (cap - len(entry["accuracy"])) for entry in entries]
        )
        capped = np.where(np.isnan(queries), cap, queries)
        out[tactic] = {
            "seeds": len(entries),
            "cap": cap,
            "found": float(np.mean(~np.isnan(queries))),
            "queries": quartiles(capped),
            "queries_mean": round(float(capped.mean()), 2),
            "queries_mean_when_found": None if np.isnan(queries).all() else round(float(np.nanmean(queries)), 2),
            "accuracy": {str(k): quartiles(accuracy[:, k - 1]) for k in AT if k <= cap},
            "accuracy_mean": {str(k): round(float(accuracy[:, k - 1].mean()), 3) for k in AT if k <= cap},
            "optimum": round(best.volume, 4),
            **_times(entries),
        }
    return out


def _times(entries: list[dict[str, Any]]) -> dict[str, Any]:
    inner = sum(entry["inner_evaluations"] for entry in entries)
    return {
        "seconds": quartiles(np.array([entry["seconds"] for entry in entries])),
        "cpu_seconds": quartiles(np.array([entry["cpu_seconds"] for entry in entries])),
        "inner_evals_per_s": round(inner / sum(entry["inner_cpu_seconds"] for entry in entries)) if inner else None,
    }


# ---------------------------------------------------------------------- a new device
def new_device(target: Task, others: Sequence[Task], rows: IntArray, best: Best, seed: int) -> dict[str, float]:
    """The front of a device of which few latencies are known, from accuracies and the latencies of other devices.

    rows : (n, genes) architectures whose accuracy and latencies on the others have been measured

    The log latency is predicted as the others' mean plus a Bayesian linear correction in theirs, from k
    measurements spread over the front by the others' mean. The share is of the true values of what is then predicted to
    be non-dominated (the measured ones by their measurement). `0` takes the others' mean as it is, `all` measures
    every row.
    """
    from sklearn.linear_model import BayesianRidge

    measured = target.measure(rows, seed)
    log = np.log(np.stack([task.measure(rows, seed)[:, 1] for task in others], axis=1))
    mean = log.mean(axis=1)
    deviations = np.column_stack([mean, log - mean[:, None]])
    deviations = (deviations - deviations.mean(axis=0)) / np.maximum(deviations.std(axis=0), 1e-9)
    true = target.true(rows)

    def share(latency: FloatArray) -> float:
        keep = non_dominated(np.column_stack([measured[:, 0], latency]), target.parsed)
        return target.volume(true[keep]) / best.volume

    out = {"0": share(np.exp(mean)), "all": share(measured[:, 1])}
    front = np.flatnonzero(non_dominated(np.column_stack([measured[:, 0], mean]), target.parsed))
    for k in NEW_AT:
        spread = front if len(front) >= k else np.arange(len(rows))
        goals = np.linspace(mean[spread].min(), mean[spread].max(), k)
        chosen: list[int] = []
        for goal in goals:
            gap = np.abs(mean[spread] - goal)
            gap[np.isin(spread, chosen)] = np.inf
            chosen.append(int(spread[np.argmin(gap)]))
        known = np.log(measured[chosen, 1])
        model = BayesianRidge().fit(deviations[chosen], known - mean[chosen])
        latency = np.exp(mean + model.predict(deviations))
        latency[chosen] = measured[chosen, 1]
        out[str(k)] = share(latency)
    return out


def new_devices(
    family: str, devices: Sequence[str], record: Record, seeds: int, evaluations: int, best: dict[str, Best]
) -> dict[str, Any]:
    """`new_device` with each device in turn as the new one; the rows are those that our search of another measured."""
    out = {}
    for k, device in enumerate(devices):
        source = devices[k - 1]
        shares = []
        for seed in range(seeds):
            entry = record.find(Cell(f"{family}/{source}", OURS, seed, evaluations))
            if entry is None or device == source:
                continue
            rows = np.array([[ord(c) - ord("a") for c in row] for row in entry["rows"]], dtype=np.int64)
            others = [load(f"{family}/{name}") for name in devices if name != device]
            shares.append(new_device(load(f"{family}/{device}"), others, rows, best[f"{family}/{device}"], seed))
        if shares:
            out[device] = {"from": source, **{n: quartiles(np.array([s[n] for s in shares])) for n in shares[0]}}
    return out


# ---------------------------------------------------------------------- the summary
def summary(tasks: dict[str, dict[str, dict[str, Any]]], new: dict[str, Any]) -> dict[str, Any]:
    """The figures of the default tactic over all tasks; None where a run was too short to say.

    weaknas1000_ratio : 1,000 over the mean number of evaluations until WeakNAS's median after 1,000 is reached
    linas250_evals : the mean number of evaluations until LINAS's median after 250 is reached
    hv100, hv150, hv300 : mean over the devices of ``ofa`` of the median share of the best known hypervolume
    nb201_query_ratio : WeakNAS's mean queries to the optimum over ours, the least of the data sets
    new_device_share : the least median share after 10 latencies on a new device, over devices
    new_device_share_of_all : the same as a share of what all latencies give
    """
    multi = [t for t in tasks.values() if OURS in t and "share" in t[OURS]]
    ofa = [t[OURS] for name, t in tasks.items() if name.startswith("ofa/") and OURS in t]
    single = [t for t in tasks.values() if OURS in t and "queries_mean" in t[OURS] and "weaknas" in t]

    def mean(values: list[float | None]) -> float | None:
        return round(float(np.mean(values)), 4) if values and None not in values else None  # type: ignore[arg-type]

    def until(target: str) -> float | None:
        return mean([t[OURS]["reaches"].get(target) for t in multi])

    weaknas = until("weaknas@1000")
    speeds = [t[OURS]["inner_evals_per_s"] for t in tasks.values() if OURS in t and t[OURS]["inner_evals_per_s"]]
    tens = [device["10"][1] for device in new.values()]
    return {
        "weaknas1000_ratio": round(1000 / weaknas, 2) if weaknas else None,
        "linas250_evals": until("linas@250"),
        **{f"hv{n}": mean([t["share"].get(str(n), [None] * 3)[1] for t in ofa]) for n in (100, 150, 300)},
        "nb201_query_ratio": round(min(t["weaknas"]["queries_mean"] / t[OURS]["queries_mean"] for t in single), 3)
        if single
        else None,
        "inner_evals_per_s": round(float(np.median(speeds))) if speeds else None,
        "new_device_share": min(tens) if tens else None,
        "new_device_share_of_all": round(min(d["10"][1] / d["all"][1] for d in new.values()), 4) if new else None,
    }


# ---------------------------------------------------------------------- what is shown
def table(name: str, task: dict[str, dict[str, Any]], facts: dict[str, float], best: Best) -> str:
    """One task as text: a line a tactic, the best first."""
    head = ", ".join(f"{key} {value:.4g}" for key, value in facts.items())
    lines = [f"\n{name}   ({head})"]
    first = next(iter(task.values()))
    if "share" in first:
        at = [str(n) for n in AT if any(str(n) in figures["share"] for figures in task.values())]
        targets = list(first["reaches"])
        lines.append(
            f"best known: {len(best.rows)} architectures on the front; columns: median share of its hypervolume"
        )
        lines.append(
            f"{'tactic':<24}"
            + "".join(f"{n:>7}" for n in at)
            + "".join(f"{t:>15}" for t in targets)
            + f"{'acc@limit':>11}{'seconds':>9}"
        )
        order = sorted(task, key=lambda t: -(task[t]["share"].get("150") or list(task[t]["share"].values())[-1])[1])
        for tactic in order:
            figures = task[tactic]
            shares = "".join(f"{figures['share'][n][1]:>7.3f}" if n in figures["share"] else f"{'':>7}" for n in at)
            reach = "".join(f"{figures['reaches'][t] or '-':>15}" for t in targets)
            limit = list(figures["accuracy_at_limit"].values())[-1][1]
            shown = f"{limit:.2f}" if limit is not None else "-"
            lines.append(f"{tactic:<24}{shares}{reach}{shown:>11}{figures['seconds'][1]:>9.1f}")
        return "\n".join(lines)
    lines.append(
        f"optimum {best.volume:.2f}; queries until it was evaluated, a run without it counting with {first['cap']}"
    )
    lines.append(f"{'tactic':<24}{'found':>7}{'quartiles':>20}{'mean':>8}{'acc@50':>9}{'acc@100':>9}{'seconds':>9}")
    for tactic in sorted(task, key=lambda t: task[t]["queries_mean"]):
        figures = task[tactic]
        spread = " ".join(f"{q:.0f}" for q in figures["queries"])
        accuracy = "".join(
            f"{figures['accuracy'][n][1]:>9.2f}" if n in figures["accuracy"] else f"{'':>9}" for n in ("50", "100")
        )
        lines.append(
            f"{tactic:<24}{figures['found']:>7.2f}{spread:>20}{figures['queries_mean']:>8.1f}{accuracy}{figures['seconds'][1]:>9.1f}"
        )
    return "\n".join(lines)


CAVEATS = """
What these figures are. ofa: accuracy and latency are surrogates, fitted on rows that searches had chosen (accuracy)
and on 5,000 uniform subnets (latency), with the errors printed above each table; a surrogate is smoother than the truth, and
its front's ends lie outside what was measured. 2080ti-b1 and v100-b1 are launch-bound: their latencies hardly follow the
architecture, and the surrogate says less of them. nb201: real accuracies and latencies; the noise of accuracy is the spread between
cells that are the same network. nb201-exact: search and report use one noise-free label, which is easier than WeakNAS's published
protocol, whose validation labels are not available. Best known fronts of ofa come from long noiseless searches and are no proof.
"""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="two seeds, one device a family, 100 evaluations")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--tactic", nargs="+", help=f"only these, besides {OURS}; NAME+start with a balanced start")
    parser.add_argument("--task", nargs="+", help="only these")
    parser.add_argument(
        "--folder", type=Path, default=Path("runs/bench/search"), help="finished runs, plots and figures"
    )
    parser.add_argument("--seeds", type=int, help="default 10; quick 2")
    parser.add_argument(
        "--single-seeds",
        type=int,
        help="seeds of the tasks with one objective; default 100 (20 for most tactics); quick 5",
    )
    parser.add_argument("--evaluations", type=int, help="at most so many a run")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument(
        "--any-version", action="store_true", help="take finished runs of other versions of the code, too"
    )
    parser.add_argument("--on-record", action="store_true", help="run nothing: show what the folder holds")
    parser.add_argument("--real", action="store_true", help="also the embedded supernet, measured on this computer")
    parser.add_argument(
        "--replicas", action="store_true", help="check the rivals against published figures, nothing else"
    )
    args = parser.parse_args(arguments)
    if args.replicas:
        from benchmarks.search_replicas import replicas

        replicas(args.folder, quick=args.quick, as_json=args.json, processes=args.processes)
        return
    for tactic in args.tactic or ():
        try:
            find(tactic.partition("+")[0])
        except HwsearchError as error:
            parser.error(f"--tactic {tactic}: {error} There are {', '.join(tactics())}.")
    for name in args.task or ():
        try:
            load(name)
        except (HwsearchError, latency_tables.TableError, KeyError, ValueError):
            parser.error(f"--task {name}: there is no such task. There are {', '.join(_default_tasks(False))}.")
    started = time.monotonic()
    seeds = args.seeds or (2 if args.quick else 10)
    single_seeds = args.single_seeds or (5 if args.quick else 100)
    cap = args.evaluations or (100 if args.quick else 1000)
    names = args.task or _default_tasks(args.quick)
    cells = {
        name: [
            Cell(
                name, tactic, seed, min(cap, QUERIES if _is_single(name) else BUDGET.get(tactic.partition("+")[0], 300))
            )
            for tactic in _chosen(name, args.tactic, args.quick)
            for seed in range(_single_seeds(name, tactic, single_seeds) if _is_single(name) else seeds)
        ]
        for name in names
    }
    best = bests(names, args.folder, args.processes)
    record = Record(args.folder, args.any_version)
    if args.on_record:
        cells = {name: [cell for cell in group if record.find(cell) is not None] for name, group in cells.items()}
        cells = {name: group for name, group in cells.items() if group}
        names = list(cells)
    else:
        run_all([cell for group in cells.values() for cell in group], record, args.processes)

    tasks: dict[str, dict[str, dict[str, Any]]] = {}
    facts = {}
    for name, group in cells.items():
        found: dict[str, list[dict[str, Any]]] = {}
        for cell in group:
            found.setdefault(cell.tactic, []).append(record.get(cell))
        facts[name] = load(name).facts()
        tasks[name] = (
            one_objective(found, best[name], group[0].evaluations)
            if _is_single(name)
            else two_objectives(found, best[name])
        )
        plot(name, found, best[name], args.folder)
        plot_attainment(name, found, best[name], args.folder)
    new: dict[str, Any] = {}
    for family in ("ofa", "nb201"):
        devices = [name.partition("/")[2] for name in names if name.startswith(f"{family}/") and "#" not in name]
        if len(devices) > 1:
            found_new = new_devices(family, devices, record, seeds, min(cap, BUDGET.get(OURS, 300)), best)
            new |= {f"{family}/{device}": figures for device, figures in found_new.items()}
    out: dict[str, Any] = {
        "tasks": tasks,
        "summary": summary(tasks, new),
        "new_device": new,
        "facts": facts,
        "seeds": seeds,
        "seconds": round(time.monotonic() - started, 1),
        "command": "python -m benchmarks.search " + " ".join(sys.argv[1:] if arguments is None else arguments),
    }
    if args.real:
        from benchmarks.search_real import real

        out["tasks"]["real"] = real(args.folder / "real", quick=args.quick)
    (args.folder / "search.json").write_text(json.dumps(out, indent=1), encoding="utf-8")
    if args.json:
        print(json.dumps(out, indent=1))
        return
    for name in names:
        print(table(name, tasks[name], facts[name], best[name]))
    if new:
        print(f"\na new device: median share of its best known front, from {KNOWN} architectures known elsewhere")
        print(f"{'device':<24}{'from':>18}" + "".join(f"{n:>8}" for n in ("0", *map(str, NEW_AT), "all")))
        for device, figures in new.items():
            print(
                f"{device:<24}{figures['from']:>18}"
                + "".join(f"{figures[n][1]:>8.3f}" for n in ("0", *map(str, NEW_AT), "all"))
            )
    if args.real:
        print(f"\nreal: {json.dumps(out['tasks']['real'])}")
    print(CAVEATS)
    for key, value in out["summary"].items():
        print(f"{key:<22} {'-' if value is None else value}")
    print(f"\nplots and search.json in {args.folder}; again: {out['command']}")


def _is_single(name: str) -> bool:
    return name.startswith("nb201-")


def _single_seeds(name: str, tactic: str, seeds: int) -> int:
    """All seeds where our queries are compared with WeakNAS's; otherwise `FEW` say enough."""
    return seeds if name.startswith("nb201-exact/") and tactic in (OURS, "weaknas") else min(seeds, FEW)


def _default_tasks(quick: bool) -> list[str]:
    devices = [f"ofa/{d}" for d in OFA_DEVICES[: 1 if quick else None]]
    devices += [f"nb201/{d}" for d in NB201_DEVICES[: 1 if quick else None]]
    labels = ("exact",) if quick else ("exact", "noisy")
    return devices + [f"nb201-{label}/{dataset}" for label in labels for dataset in DATASETS]


def _chosen(name: str, wanted: list[str] | None, quick: bool) -> list[str]:
    """The tactics of a task: those asked for, with the default one, or the benchmark's own choice."""
    if wanted:
        return list(dict.fromkeys([OURS, *wanted]))
    if quick:
        return [OURS, "weaknas", "linas", "random"]
    if _is_single(name):
        return list(SINGLE)
    first = name in (f"ofa/{OFA_DEVICES[0]}", f"nb201/{NB201_DEVICES[0]}")
    return [tactic for tactic in MULTI if first or tactic not in FIRST_ONLY]


# ---------------------------------------------------------------------- plots
if __name__ == "__main__":
    main()
