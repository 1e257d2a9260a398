"""Compare predictors of latency and accuracy on published tables: error, order, intervals, time.

    python -m benchmarks.predictors [--quick] [--json] [--folder FOLDER] [--seeds N] [--only NAME ...]

All models see the same rows: `default_rng([seed, 7]).permutation(rows)`, the first n to learn from, up to 1,500 others to
predict. Errors are MAPE (latencies of NAS-Bench-201: the median, since some cells take almost no time; accuracies: MAE in
points), and Spearman's and Kendall's rank correlations.

``cells_held`` counts the cells of error and Spearman's correlation by space and n in which our process is no worse, by more
than two standard errors over seeds, than the process of the prototype that the design was chosen by (`REFERENCE`).
``fidelity_tau`` is Kendall's tau on NAS-Bench-201 with cheaper accuracies as columns.
``mape_here`` and ``within5`` are the error and the share within 5 %, in percent, of latencies of this project's processors from few whole
networks, with and without their operators; ``fit_predict_s`` is processor time of one core.
With ``--quick`` there is one device a space, and no such cell. ``rivals_ahead`` counts cells in which a rival is better by more than two standard errors of paired differences.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.frame import Benchmark, Result, Run, curves
from benchmarks.predictors_data import DEVICES, Case, cases, latency_case, nb201_accuracy_case, ofa_accuracy_case
from benchmarks.predictors_fidelity import fidelity_rows, fidelity_tau
from benchmarks.predictors_here import here_figures, here_rows
from benchmarks.predictors_rivals import BEFORE, COVERAGE, FIT, PROCESS, Prediction, models
from hwsearch._typing import FloatArray, IntArray
from hwsearch.objectives.objective import Objective
from hwsearch.objectives.pareto import non_dominated
from hwsearch.searchers.threads import one_blas_thread
from predictors import GaussianProcessPredictor, coverage_report, scores

#: (error in %, Spearman) of the prototype's process by space and n, means of three devices and five seeds
REFERENCE = {
    "ofa": {20: (5.2, 0.872), 50: (4.1, 0.887), 100: (3.6, 0.903), 300: (3.2, 0.912)},
    "nb201": {20: (6.6, 0.934), 50: (5.2, 0.952), 100: (4.8, 0.956), 300: (4.6, 0.960)},
    "fbnet": {20: (6.1, 0.900), 50: (4.1, 0.929), 100: (3.7, 0.935), 300: (2.9, 0.952)},
}
#: what is told of accuracies from cheaper ones
FIDELITY_COLUMNS = ["kendall", "error", "coverage", "share", "seconds"]
#: rows of the timed fit, and architectures predicted
TIMED = (500, 100_000)


def _measure(case: Case, n: int, seed: int, name: str, shown: Prediction, test: IntArray, seconds: float) -> dict[str, Any]:  # fmt: skip
    """One row of the raw table."""
    y = case.y[test]
    row: dict[str, Any] = {"space": case.space, "case": case.name, "n": n, "seed": seed, "model": name}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = scores(y, shown.value)
    share = 100 * np.abs(shown.value / y - 1)
    median = case.space == "nb201"
    row["error"] = float(np.median(share) if median else share.mean()) if case.latency else found["mae"]
    row |= {"spearman": found["spearman"], "kendall": found["kendall"], "seconds": seconds}
    if shown.low is not None and shown.high is not None:
        report = coverage_report(y, shown.low, shown.high, asked=COVERAGE)
        row |= {"coverage": report.coverage, "width": float(np.median((shown.high - shown.low) / (np.abs(y) if case.latency else 1)))}  # fmt: skip
    return row


def _random_rows(run: Run, seeds: int) -> Iterator[dict[str, Any]]:
    """Sections 2.1, 2.2 and 2.4: random rows."""
    every = {k: m for k, m in models().items() if not run.args.only or k in run.args.only}
    for case, counts in cases(run.quick):
        for n in counts:
            started = time.monotonic()
            for seed in range(seeds):
                learn, test = case.split(n, seed)
                for name, model in every.items():
                    clock = time.process_time()
                    shown = model(case, learn, test)
                    yield _measure(case, n, seed, name, shown, test, time.process_time() - clock)
            run.say(f"{case.space} {case.name} n={n}: {time.monotonic() - started:.0f} s")


def _shifted_rows(seeds: int) -> Iterator[dict[str, Any]]:
    """Where a search looks: late rows after its early ones; the front that was predicted, after 100 random rows."""
    ours = {k: m for k, m in models().items() if k in (PROCESS, FIT, BEFORE)}
    late = ofa_accuracy_case()
    assert late.order is not None
    early, after = np.flatnonzero(late.order < 50), np.flatnonzero(late.order >= 200)
    for name, model in ours.items():
        yield _measure(late, len(early), 0, name, model(late, early, after), after, 0.0) | {
            "case": "top-1, early to late"
        }
    accuracy, latency = nb201_accuracy_case("cifar100"), latency_case("nb201", "gold-6226")
    for seed in range(seeds):
        learn, _ = accuracy.split(100, seed)
        rest = np.setdiff1d(np.arange(len(accuracy.y)), learn)
        predicted = [GaussianProcessPredictor(c.schema).fit(c.X[learn], c.y[learn]).predict(c.X[rest]) for c in (accuracy, latency)]  # fmt: skip
        front = rest[_best(np.column_stack([-predicted[0], predicted[1]]), 100)]
        for case in (accuracy, latency):
            for name, model in ours.items():
                row = _measure(case, 100, seed, name, model(case, learn, front), front, 0.0)
                yield row | {"case": f"{case.name}, predicted front"}


def _best(costs: FloatArray, n: int) -> IntArray:
    """Positions of n rows front by front."""
    left, found = np.arange(len(costs)), []
    while sum(map(len, found)) < n:
        front = non_dominated(costs[left], [Objective.parse("min a"), Objective.parse("min b")])
        at = left[front]
        found.append(at)
        left = np.setdiff1d(left, at)
    return np.concatenate(found)[:n]


def _timed(run: Run) -> dict[str, float]:
    """Processor seconds of a fit and of many predictions, on one core; the features are given."""
    case = ofa_accuracy_case()
    rng = np.random.default_rng(0)
    learn, X = case.split(TIMED[0], 0)[0], case.X[rng.integers(len(case.y), size=TIMED[1])]
    found = []
    for _ in range(1 if run.quick else 3):
        with one_blas_thread():
            clock = time.process_time()
            model = GaussianProcessPredictor(case.schema).fit(case.X[learn], case.y[learn])
            fitted = time.process_time()
            model.predict(X)
            predicted = time.process_time()
            model.predict_interval(X)
            found.append((fitted - clock, predicted - fitted, time.process_time() - predicted))
    fit_s, predict_s, interval_s = np.min(found, axis=0).tolist()
    return {"fit_s": fit_s, "predict_s": predict_s, "interval_s": interval_s}


def _summarised(raw: pd.DataFrame, shifted: pd.DataFrame) -> dict[str, Any]:
    ours = raw[raw["model"] == PROCESS]
    tables = ours[~ours["case"].str.startswith("accuracy")]
    held = total = 0
    for (space, n), rows in tables.groupby(["space", "n"]):
        if rows["case"].nunique() < len(DEVICES[str(space)]):
            continue  # the reference is a mean over all devices
        by_seed = rows.groupby("seed")[["error", "spearman"]].mean()
        mean, error = by_seed.mean(), by_seed.std(ddof=1) / np.sqrt(len(by_seed))
        reference = REFERENCE[str(space)][int(n)]
        held += int(mean["error"] <= reference[0] + 2 * error["error"])
        held += int(mean["spearman"] >= reference[1] - 2 * error["spearman"])
        total += 2
    top1 = ours[ours["case"] == "accuracy top-1"].groupby("n")[["kendall", "error"]].mean()
    random = raw[raw["n"] >= 50].groupby(["model", "space", "case", "n"])["coverage"].mean()
    coverage = random.loc[PROCESS] if PROCESS in random.index.get_level_values(0) else random
    shift = shifted[shifted["model"] == PROCESS].groupby("case")["coverage"].mean()
    return {
        "cells_held": held if total else None,
        "cells": total,
        "rivals_ahead": _rivals_ahead(raw),
        "ofa_tau": {str(n): round(float(v), 4) for n, v in top1["kendall"].items()},
        "ofa_mae": {str(n): round(float(v), 4) for n, v in top1["error"].items()},
        "coverage": round(float(coverage.mean()), 4),
        "coverage_least": round(float(coverage.min()), 4),
        "coverage_most": round(float(coverage.max()), 4),
        "coverage_shift_least": round(float(shift.min()), 4),
    }


def _rivals_ahead(raw: pd.DataFrame) -> int:
    """Cells (case, n, score) in which some rival is better than the process by more than two standard errors."""
    ahead = 0
    for _, rows in raw.groupby(["space", "case", "n"]):
        for column, sign in (("error", 1.0), ("spearman", -1.0)):
            wide = rows.pivot(index="seed", columns="model", values=column) * sign
            others = wide.columns.difference([PROCESS, FIT])
            if PROCESS not in wide or len(wide) < 2:
                continue
            gain = wide[others].rsub(wide[PROCESS], axis=0)
            ahead += int((gain.mean() > 2 * gain.std(ddof=1) / np.sqrt(len(wide))).any())
    return ahead


def _compare(run: Run) -> Result:
    seeds = run.args.seeds or (2 if run.quick else 5)
    with one_blas_thread():
        raw = pd.DataFrame(_random_rows(run, seeds))
        shifted = pd.DataFrame(_shifted_rows(2 if run.quick else seeds))
        fidelities = pd.DataFrame(fidelity_rows(run.quick, seeds))
        here = pd.DataFrame(here_rows(run.quick, seeds, run.args.operators))
    timed = _timed(run)
    kind = np.where(raw["case"].str.startswith("accuracy"), "accuracy", "latency")
    table = raw.assign(kind=kind).groupby(["space", "kind", "n", "model"], sort=False)
    columns = ["error", "spearman", "kendall", "coverage", "width", "seconds"]
    shown = table[columns].mean().round(4).reset_index()
    raw.to_csv(run.folder / "raw.csv", index=False)
    summary = _summarised(raw, shifted) | {
        "fidelity_tau": fidelity_tau(fidelities),
        **here_figures(here),
        "fit_predict_s": round(timed["fit_s"] + timed["predict_s"], 3),
        **{name: round(value, 3) for name, value in timed.items()},
    }
    under_shift = shifted.groupby(["case", "model"])[["coverage", "width", "error", "kendall"]].mean().round(4)

    def plot(folder: Path) -> list[Path]:
        files = []
        for (space, what), rows in shown.groupby(["space", "kind"]):
            title = f"{space}: error of the {what}, {'points' if what == 'accuracy' else '%'}"
            files += curves(rows, folder, f"{space}_{what}", title, x="n", y="error", by="model", log=True)
        return files

    details = {
        "seeds": seeds,
        "cells_of": shown.to_dict("records"),
        "shift": under_shift.reset_index().to_dict("records"),
        "here": here.groupby(["device", "n", "arm"])[["mape", "within5", "coverage"]]
        .mean()
        .round(4)
        .reset_index()
        .to_dict("records"),
        "fidelities": fidelities.groupby(["data", "n", "arm"])[FIDELITY_COLUMNS]
        .mean()
        .round(4)
        .reset_index()
        .to_dict("records"),
    }
    return Result(summary, shown, details, plot)


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seeds", type=int, help="splits of each case (default: 5, with --quick 2)")
    parser.add_argument("--only", nargs="+", help="names of models to run; default: all")
    parser.add_argument(
        "--operators", type=Path, help="a file of this host's operators, by python -m benchmarks.predictors_here FILE"
    )


BENCHMARK = Benchmark(
    "predictors",
    "predictors of latency and accuracy on published tables",
    "one device a space, 20 and 100 rows, two splits",
    _compare,
    _options,
)

if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
