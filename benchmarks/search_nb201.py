"""Tasks on NAS-Bench-201: tabled accuracies and latencies."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd

import latency_tables
from benchmarks.search_task import (
    DATA,
    DATASETS,
    LATENCY_NOISE,
    Task,
)
from hwsearch._typing import FloatArray, IntArray
from hwsearch.spaces import SearchSpace
from hwsearch.spaces import load as load_space
from hwsearch.spaces.nasbench201 import cell_rows


@dataclass(frozen=True)
class Nb201:
    """The table in the order of the space's enumeration.

    accuracy : by data set, test accuracy after 200 epochs (15625,)
    noise : by data set, the standard deviation between cells that are the same network; see `nb201`
    """

    space: SearchSpace
    accuracy: dict[str, FloatArray]
    noise: dict[str, float]

    def places(self, rows: IntArray) -> IntArray:
        """Find the positions (n,) of rows (n, 6)."""
        return np.asarray(rows @ (5 ** np.arange(5, -1, -1)), dtype=np.int64)


@cache
def nb201() -> Nb201:
    """Return NAS-Bench-201's accuracies.

    Cells with one isomorphism key are the same network trained several times, so the noise of training is the spread
    between them: the median over those of at least two members and more than the median accuracy.
    """
    table = pd.read_csv(DATA / "nb201_accuracy.csv.gz")
    space = load_space("nas-bench-201")
    rows = cell_rows(table["arch"])
    order = np.argsort(rows @ (5 ** np.arange(5, -1, -1)))
    table = table.iloc[order]
    accuracy, noise = {}, {}
    for name, column in DATASETS.items():
        series = table[f"{column}_test_acc_200ep"]
        accuracy[name] = series.to_numpy(dtype=np.float64)
        classes = series.groupby(table["isomorphism_key"])
        good = classes.median() > series.median()
        noise[name] = float(classes.std()[good].dropna().median())
    return Nb201(space, accuracy, noise)


@cache
def nb201_latency(device: str) -> FloatArray:
    """Load the measured latencies (15625,) in ms, in the order of the space's enumeration."""
    table = latency_tables.load(device, "nas-bench-201")
    rows = table[[f"op[{i}]" for i in range(6)]].to_numpy(dtype=np.int64)
    latency = np.full(5**6, np.nan)
    latency[nb201().places(rows)] = table["latency_ms"].to_numpy(dtype=np.float64)
    return latency


def nb201_devices() -> list[str]:
    """Return the devices whose latencies of NAS-Bench-201's cells are known."""
    return [
        name for name in latency_tables.devices() if (latency_tables.FOLDER / name / "nas-bench-201.parquet").exists()
    ]


def nb201_task(name: str, device: str, dataset: str = "cifar100") -> Task:
    data, latency = nb201(), nb201_latency(device)
    accuracy = data.accuracy[dataset]

    def true(rows: IntArray) -> FloatArray:
        at = data.places(rows)
        return np.stack([accuracy[at], latency[at]], axis=1)

    def spread(rows: IntArray) -> FloatArray:
        return np.stack([np.full(len(rows), data.noise[dataset]), LATENCY_NOISE * latency[data.places(rows)]], axis=1)

    convolutions = latency[data.places(np.full((1, 6), 3))[0]]
    return Task(
        name,
        data.space,
        ("max accuracy", "min latency_ms"),
        true,
        spread,
        np.array([np.median(accuracy), 1.05 * convolutions]),
        float(np.median(latency)),
        lambda: {"architectures": len(accuracy), "accuracy_noise_points": data.noise[dataset]},
    )


def nb201_single_task(name: str, dataset: str, noisy: bool) -> Task:
    data = nb201()
    accuracy, noise = data.accuracy[dataset], data.noise[dataset] if noisy else 0.0
    return Task(
        name,
        data.space,
        ("max accuracy",),
        lambda rows: accuracy[data.places(rows)][:, None],
        lambda rows: np.full((len(rows), 1), noise),
        facts=lambda: {"architectures": len(accuracy), "accuracy_noise_points": noise},
    )
