"""The figures of the search benchmark: from finished runs to shares, counts of evaluations, and their summary."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.search_plots import AT, curves
from benchmarks.search_rivals import all_once, oracle
from benchmarks.search_runs import OURS, Cell, Record
from benchmarks.search_task import Best, Task
from benchmarks.search_tasks import load
from hwsearch._typing import FloatArray, IntArray
from hwsearch.objectives.pareto import non_dominated

#: after how many latencies of a new device its front is judged
NEW_AT = (5, 10, 20)
#: after how many evaluations bounds are given, and tactics compared with the best rival
BOUNDED, COMPARED = (100, 150, 300), (50, 100, 150, 300)
#: spaces of up to so many architectures are measured whole for their bound
TABLE = 20_000


def quartiles(values: NDArray[Any]) -> list[float | None]:
    """Lower quartile, median, upper quartile of values (n,); None when there are none."""
    values = np.asarray(values, dtype=np.float64)
    values = values[~np.isnan(values)]
    return [round(float(v), 5) for v in np.quantile(values, [0.25, 0.5, 0.75])] if len(values) else [None] * 3


def reached(curve: FloatArray, target: float) -> int | None:
    """Return the number of evaluations after which a curve (n,) is first at `target`; None if it never is."""
    there = np.flatnonzero(curve >= target)
    return int(there[0]) + 1 if len(there) else None


def two_objectives(cells: dict[str, list[dict[str, Any]]], best: Best) -> dict[str, dict[str, Any]]:
    """Return the figures of a task with two objectives, by tactic; quartiles over seeds."""
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
        pools = [entry["pool_volume"] / best.volume for entry in entries if "pool_volume" in entry]
        if pools:
            out[tactic]["pool_ceiling"] = quartiles(np.array(pools))
    return out


def bounds(name: str, best: Best, seeds: int) -> dict[str, Any]:
    """Return what no tactic can be expected to exceed on a task, quartiles over seeds.

    oracle : of ``ofa``, by measurements: the share of one that knows the best known front and measures its members once
    all_once : of ``nb201``: the share when the whole table is measured once
    """
    task = load(name)
    if task.space.cardinality <= TABLE:
        return {"all_once": quartiles(np.array([all_once(name, seed) / best.volume for seed in range(seeds)]))}
    found = [oracle(task, best, BOUNDED, seed) for seed in range(seeds)]
    return {"oracle": {str(n): quartiles(np.array([one[n] for one in found])) for n in BOUNDED}}


def _targets(evaluations: dict[str, int]) -> list[tuple[str, int]]:
    """Return WeakNAS after 1,000 evaluations (150 with a balanced pool) and LINAS after 250, or after as many as there are in a shorter run."""
    wanted = {"weaknas": 1000, "linas": 250, "weaknas-balanced": 150}
    return [(rival, min(n, evaluations[rival])) for rival, n in wanted.items() if rival in evaluations]


def one_objective(cells: dict[str, list[dict[str, Any]]], best: Best, cap: int) -> dict[str, dict[str, Any]]:
    """Count queries to the optimum, and the accuracy on the way, by tactic.

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
    late = sum(entry.get("late_evaluations", 0) for entry in entries)
    return {
        "seconds": quartiles(np.array([entry["seconds"] for entry in entries])),
        "cpu_seconds": quartiles(np.array([entry["cpu_seconds"] for entry in entries])),
        "inner_evals_per_s": round(inner / sum(entry["inner_cpu_seconds"] for entry in entries)) if inner else None,
        "late_evals_per_s": round(late / sum(entry["late_cpu_seconds"] for entry in entries)) if late else None,
    }


# ---------------------------------------------------------------------- a new device
def new_device(target: Task, others: Sequence[Task], rows: IntArray, best: Best, seed: int) -> dict[str, float]:
    """Return the front of a device of which few latencies are known, from accuracies and the latencies of other devices.

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
    """Do `new_device` with each device in turn as the new one; the rows are those that our search of another measured."""
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


def worst_gap(tasks: dict[str, dict[str, dict[str, Any]]], at: Sequence[int]) -> float | None:
    """Return by how much our median share is at worst below the best rival's, over tasks and numbers of evaluations; negative: never."""
    gaps = [
        max(f["share"][str(n)][1] for tactic, f in task.items() if tactic != OURS and str(n) in f["share"])
        - task[OURS]["share"][str(n)][1]
        for task in tasks.values()
        if OURS in task and len(task) > 1 and "share" in task[OURS]
        for n in at
        if str(n) in task[OURS]["share"]
        and any(tactic != OURS and str(n) in figures["share"] for tactic, figures in task.items())
    ]
    return round(max(gaps), 4) if gaps else None


def summary(
    tasks: dict[str, dict[str, dict[str, Any]]],
    new: dict[str, Any],
    bound: dict[str, dict[str, Any]] | None = None,
    own_cpu_busy: float | None = None,
) -> dict[str, Any]:
    """Return the figures of the default tactic over all tasks; None where a run was too short to say.

    weaknas1000_ratio : 1,000 over the mean number of evaluations until WeakNAS's median after 1,000 is reached
    linas250_evals : the mean number of evaluations until LINAS's median after 250 is reached
    weaknas_balanced_ratio : the mean number of evaluations on ``ofa`` until WeakNAS's median after 150 with a pool balanced
        over cost is reached, over 150
    hv100, hv150, hv300 : mean over the devices of ``ofa`` of the median share of the best known hypervolume
    hv100_exact, … : the same without noise; hv100_oracle, … : of one that knows the front, under noise
    nb201_ceiling_150, nb201_ceiling_300 : mean over the devices of ``nb201`` of the median share, over the share when the
        whole table is measured once
    nb201_query_ratio : the best rival's mean queries to the optimum over ours, the least of the data sets
    worst_gap : by how much our median share is at worst below the best rival's after 50, 100, 150 and 300; negative: never.
        worst_gap_25 : the same after 25
    inner_evals_per_s : inner evaluations a second a core with 130 to 150 measured, median of the tasks
    own_cpu_busy : processor time (s) of 150 evaluations on ``ofa`` beside eight busy processes, where it was measured
    new_device_share : the least median share after 10 latencies on a new device, over devices
    new_device_share_of_all : the same as a share of what all latencies give
    """
    multi = [t for t in tasks.values() if OURS in t and "share" in t[OURS]]
    ofa = [t[OURS] for name, t in tasks.items() if name.startswith("ofa/") and OURS in t]
    exact = [t[OURS] for name, t in tasks.items() if name.startswith("ofa-exact/") and OURS in t]
    bound = bound or {}
    oracles = [b["oracle"] for b in bound.values() if "oracle" in b]
    tables = [(t[OURS], bound[name]["all_once"][1]) for name, t in tasks.items() if "all_once" in bound.get(name, {})]
    single = [t for t in tasks.values() if OURS in t and "queries_mean" in t[OURS] and len(t) > 1]

    def mean(values: list[float | None]) -> float | None:
        return round(float(np.mean(values)), 4) if values and None not in values else None  # type: ignore[arg-type]

    def until(target: str) -> float | None:
        return mean([t[OURS]["reaches"].get(target) for t in multi])

    weaknas = until("weaknas@1000")
    balanced = mean([t[OURS]["reaches"].get("weaknas-balanced@150") for t in multi if "weaknas-balanced" in t])

    def share_at(found: list[dict[str, Any]], n: int) -> float | None:
        return mean([t["share"].get(str(n), [None] * 3)[1] for t in found])

    def of_all(n: int) -> float | None:
        there = [(t["share"].get(str(n), [None] * 3)[1], top) for t, top in tables]
        return mean([None if share is None else share / top for share, top in there])

    speeds = [t[OURS]["late_evals_per_s"] for t in multi if t[OURS].get("late_evals_per_s")]
    tens = [device["10"][1] for device in new.values()]
    return {
        "weaknas1000_ratio": round(1000 / weaknas, 2) if weaknas else None,
        "linas250_evals": until("linas@250"),
        "weaknas_balanced_ratio": round(balanced / 150, 4) if balanced else None,
        **{f"hv{n}": share_at(ofa, n) for n in BOUNDED},
        **{f"hv{n}_exact": share_at(exact, n) for n in BOUNDED},
        **{f"hv{n}_oracle": mean([o[str(n)][1] for o in oracles]) for n in BOUNDED},
        **{f"nb201_ceiling_{n}": of_all(n) for n in (150, 300)},
        "nb201_query_ratio": round(
            min(
                min(f["queries_mean"] for tactic, f in t.items() if tactic != OURS) / t[OURS]["queries_mean"]
                for t in single
            ),
            3,
        )
        if single
        else None,
        "worst_gap": worst_gap(tasks, COMPARED),
        "worst_gap_25": worst_gap(tasks, (25,)),
        "inner_evals_per_s": round(float(np.median(speeds))) if speeds else None,
        "own_cpu_busy": own_cpu_busy,
        "new_device_share": min(tens) if tens else None,
        "new_device_share_of_all": round(min(d["10"][1] / d["all"][1] for d in new.values()), 4) if new else None,
    }
