"""Compare predictors of a new device's latencies from few measurements, on published tables of other devices.

    python -m benchmarks.predictors_transfer [--quick] [--json] [--folder FOLDER] [--seeds N] [--splits NAME ...]

The device splits are those of Lee et al. 2021 (arXiv 2106.08630: ND, FD) and of Akhauri and Abdelfattah 2024 (arXiv 2403.02446),
as far as the tables here have the devices: N1 to N4 and NA lack those that only LatBench has. Sources have 512 (NAS-Bench-201) or
800 (FBNet) rows; a pool has 300 other architectures; 1,500 others are predicted, all of them, nothing is trimmed. Spearman's rank
correlation, mean over a split's devices and the seeds.

Arms: ``transfer`` (`predictors.DeviceTransferPredictor`), ``no sources`` (the same without), ``single`` (the source whose predictions
correlate best with the measurements) and ``ridge`` (ridge regression of the log latency on the sources' predicted ones). Rows are
``chosen`` one after the other, ``planned`` all at once, or ``random``.

``transfer_n5`` and ``transfer_n10`` hold, by space, the geometric mean over the splits of ``transfer`` with chosen rows;
``worst_loss`` is the largest amount by which it lies below ``no sources`` with random rows, over splits, from n = 10.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import gmean, spearmanr
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from benchmarks.frame import Benchmark, Result, Run
from benchmarks.predictors_data import latency_case
from hwsearch._typing import FloatArray, IntArray
from predictors.sources import Source
from predictors.transfer import DeviceTransferPredictor

GPUS = ("1080ti", "2080ti", "titan-rtx", "titanx", "titanxp")
_N = "1080ti-b1 2080ti-b1 titanxp-b1 2080ti-b32"
#: space, sources and tests of each split
SPLITS: dict[str, tuple[str, str, str]] = {
    "ND": (
        "nb201",
        "1080ti-b1 1080ti-b32 1080ti-b256 silver-4114 silver-4210r samsung-a50 pixel3 essential-ph-1 samsung-s7",
        "titan-rtx-b256 gold-6226 fpga pixel2 raspi4 eyeriss",
    ),
    "N1": ("nb201", "eyeriss pixel3", "1080ti-b1 titan-rtx-b32 titanxp-b1 2080ti-b32 titan-rtx-b1"),
    "N2": ("nb201", "1080ti-b1 1080ti-b32 titanx-b32 titanxp-b1 titanxp-b32", "pixel3"),
    "N3": ("nb201", "eyeriss", f"{_N} titanxp-b32"),
    "N4": ("nb201", "eyeriss pixel2", "1080ti-b1 2080ti-b1 titan-rtx-b1"),
    "NA": (
        "nb201",
        "titan-rtx-b1 titan-rtx-b32 titanxp-b1 titanxp-b32 2080ti-b1 2080ti-b32 titanx-b1 titanx-b32 1080ti-b1 1080ti-b32 gold-6226 "
        "gold-6240 silver-4114 silver-4210r samsung-s7 samsung-a50 pixel2",
        "eyeriss",
    ),
    "FD": (
        "fbnet",
        "1080ti-b1 1080ti-b32 1080ti-b64 silver-4114 silver-4210r samsung-a50 pixel3 essential-ph-1 samsung-s7",
        "fpga raspi4 eyeriss",
    ),
    "F1": ("fbnet", "2080ti-b1 essential-ph-1 silver-4114 titan-rtx-b1 titan-rtx-b32", "eyeriss fpga raspi4 samsung-a50 samsung-s7"),
    "F2": ("fbnet", "essential-ph-1 gold-6226 gold-6240 pixel3 raspi4", "1080ti-b1 1080ti-b32 2080ti-b32 titan-rtx-b1 titanxp-b1"),
    "F3": ("fbnet", "essential-ph-1 pixel2 pixel3 raspi4 samsung-s7", "1080ti-b1 1080ti-b32 2080ti-b1 titan-rtx-b1 titan-rtx-b32"),
    "F4": (
        "fbnet",
        "1080ti-b64 2080ti-b1 eyeriss gold-6226 gold-6240 raspi4 samsung-s7 silver-4210r titan-rtx-b1 titan-rtx-b32",
        "1080ti-b1 pixel2 essential-ph-1",
    ),
    "FA": ("fbnet", " ".join(f"{gpu}-b{b}" for gpu in GPUS for b in (1, 32, 64)), "gold-6226 essential-ph-1 samsung-s7 pixel2"),
}  # fmt: skip
QUICK = ("N4", "F2")
ROWS = {"nb201": 512, "fbnet": 800}
POOL, TESTED = 300, 1500
NAMES = {"nb201": "nas_bench_201", "fbnet": "fbnet"}
COUNTS = (5, 10, 20)


def _split(run: Run, name: str, seed: int, counts: tuple[int, ...]) -> Iterator[dict[str, Any]]:
    """Rows of the raw table of one split and seed."""
    family, sources, tests = SPLITS[name]
    first = latency_case(family, sources.split()[0])
    order = np.random.default_rng([seed, 11]).permutation(len(first.y))
    learnt, pool, test = np.split(order, [ROWS[family], ROWS[family] + POOL])
    test = test[:TESTED]
    X = first.X
    known = {s: Source(X[learnt], latency_case(family, s).y[learnt]) for s in sources.split()}
    transfer, nothing = DeviceTransferPredictor(first.schema, known), DeviceTransferPredictor(first.schema, {})
    # the columns of sources, predicted once
    of_pool, of_test = (transfer.with_sources(X[at]) for at in (pool, test))
    logs = np.arange(len(first.schema), of_pool.shape[1])
    for device in tests.split():
        y = latency_case(family, device).y
        for n in counts:
            for how, at in _chosen(transfer, of_pool, y[pool], n, seed).items():
                told = {
                    "transfer": transfer.fit_with_sources(of_pool[at], y[pool][at]).predict_with_sources(of_test),
                    "ridge": _ridge(of_pool[np.ix_(at, logs)], y[pool][at], of_test[:, logs]),
                    "single": _single(of_pool[np.ix_(at, logs)], y[pool][at], of_test[:, logs]),
                }
                if how == "random":
                    told["no sources"] = nothing.fit(X[pool][at], y[pool][at]).predict(X[test])
                for arm, found in told.items():
                    rank = float(spearmanr(found, y[test])[0])
                    error = float(100 * np.median(np.abs(found / y[test] - 1)))
                    yield {"space": family, "split": name, "device": device, "seed": seed, "n": n, "rows": how,
                           "arm": arm, "spearman": rank, "mdape": error}  # fmt: skip


def _chosen(model: DeviceTransferPredictor, pool: FloatArray, y: FloatArray, n: int, seed: int) -> dict[str, IntArray]:
    measured: dict[int, float] = {}
    while len(measured) < n:
        at = int(model.plan_with_sources(pool, 1, measured)[0])
        measured[at] = float(y[at])
    return {
        "chosen": np.array(list(measured)),
        "planned": model.plan_with_sources(pool, n),
        "random": np.random.default_rng([seed, n]).permutation(len(pool))[:n],
    }


def _ridge(X: FloatArray, y: FloatArray, test: FloatArray) -> FloatArray:
    scale = StandardScaler().fit(X)
    return np.exp(Ridge(1.0).fit(scale.transform(X), np.log(y)).predict(scale.transform(test)))


def _single(X: FloatArray, y: FloatArray, test: FloatArray) -> FloatArray:
    ranks = [spearmanr(column, y)[0] for column in X.T]
    best = int(np.argmax(np.nan_to_num(ranks, nan=-1.0)))
    slope, level = np.polyfit(X[:, best], np.log(y), 1) if len(set(X[:, best])) > 1 else (0.0, float(np.log(y).mean()))
    return np.exp(level + slope * test[:, best])


def run(given: Run) -> Result:
    """Measure all splits."""
    seeds = given.args.seeds or (2 if given.quick else 10)
    names = given.args.splits or (QUICK if given.quick else tuple(SPLITS))
    counts = COUNTS[:2] if given.quick else COUNTS
    rows: list[dict[str, Any]] = []
    for name in names:
        started = time.monotonic()
        for seed in range(seeds):
            rows += _split(given, name, seed, counts)
        given.say(f"{name}: {time.monotonic() - started:.0f} s")
    raw = pd.DataFrame(rows)
    means = raw.groupby(["space", "split", "n", "rows", "arm"])[["spearman", "mdape"]].mean().reset_index()
    summary: dict[str, Any] = {}
    ours = means[(means["arm"] == "transfer") & (means["rows"] == "chosen")]
    for n in counts:
        by_space = ours[ours["n"] == n].groupby("space")["spearman"].apply(lambda v: float(gmean(np.maximum(v, 1e-3))))
        summary[f"transfer_n{n}"] = {NAMES[s]: round(v, 4) for s, v in by_space.items()}
    without = means[(means["arm"] == "no sources") & (means["n"] >= 10)].set_index(["split", "n"])["spearman"]
    with_them = ours[ours["n"] >= 10].set_index(["split", "n"])["spearman"]
    summary["worst_loss"] = float((without - with_them).max())
    table = means.pivot_table(index=["split", "n"], columns=["arm", "rows"], values="spearman").round(3)
    table.columns = [f"{arm}, {how}" for arm, how in table.columns]
    return Result(summary, table.reset_index(), {"raw": rows, "seeds": seeds})


def options(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's own options."""
    parser.add_argument("--seeds", type=int, help="of each split (default: 10, with --quick 2)")
    parser.add_argument("--splits", nargs="+", choices=tuple(SPLITS), help="default: all, with --quick two")


BENCHMARK = Benchmark(
    "predictors_transfer", "Latencies of a new device from few measurements", "two splits and seeds", run, options
)


if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
