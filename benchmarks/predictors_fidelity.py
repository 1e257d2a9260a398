"""Accuracies of NAS-Bench-201 from few of them, accuracies after 12 epochs, and accuracies on other data."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.predictors_data import nb201_accuracy_case
from benchmarks.search_task import DATA, DATASETS
from hwsearch._typing import FloatArray
from hwsearch.spaces.nasbench201 import cell_rows
from predictors import FidelityPredictor, GaussianProcessPredictor, coverage_report, scores

#: rows of CIFAR-10's accuracy, and rows of the target's
OTHER, COUNTS = 300, (20, 50, 100)


@cache
def _table() -> pd.DataFrame:
    """The table in the order of the space's enumeration."""
    table = pd.read_csv(DATA / "nb201_accuracy.csv.gz")
    return table.iloc[np.argsort(cell_rows(table["arch"]) @ (5 ** np.arange(5, -1, -1)))]


def _column(name: str) -> FloatArray:
    return _table()[name].to_numpy(dtype=np.float64)


def fidelity_rows(quick: bool, seeds: int) -> Iterator[dict[str, Any]]:
    """Predict 200-epoch test accuracy; 12-epoch validation accuracy is known of all cells, CIFAR-10's of 300.

    Parameters
    ----------
    quick : bool
        Whether to take one data set, and 20 and 100 rows.
    seeds : int
        Splits of each case.

    Yields
    ------
    dict
        A row a data set, number of rows, split and arm: Kendall's tau, error in points, coverage of 90 % intervals, shares.
    """
    for data in ("cifar100",) if quick else ("cifar100", "imagenet16"):
        case = nb201_accuracy_case(data)
        epochs, other = _column(f"{DATASETS[data]}_valid_acc_12ep"), _column("cifar10_test_acc_200ep")
        for n in (20, 100) if quick else COUNTS:
            for seed in range(seeds):
                learn, test = case.split(n, seed)
                some = np.random.default_rng([seed, 8]).permutation(len(case.y))[:OTHER]
                all_rows = {"12 epochs": (case.X, epochs)}
                cifar10 = {"CIFAR-10": (case.X[some], other[some])}
                dice = {"dice": (case.X[some], np.random.default_rng([seed, 9]).standard_normal(OTHER))}
                for arm, given in {"none": {}, **{k: {k: v} for k, v in (all_rows | cifar10 | dice).items()}, "both": cifar10 | all_rows}.items():  # fmt: skip
                    clock = time.process_time()
                    model = FidelityPredictor(case.schema, given) if given else GaussianProcessPredictor(case.schema)
                    model.fit(case.X[learn], case.y[learn])
                    value, (low, high) = model.predict(case.X[test]), model.predict_interval(case.X[test], 0.9)
                    found = scores(case.y[test], value)
                    yield {
                        "data": data, "n": n, "seed": seed, "arm": arm, "kendall": found["kendall"], "error": found["mae"],
                        "coverage": coverage_report(case.y[test], low, high).coverage,
                        "share": sum(model.fidelities_.values()) if isinstance(model, FidelityPredictor) else 0.0,
                        "seconds": time.process_time() - clock,
                    }  # fmt: skip


def fidelity_tau(rows: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Average Kendall's tau of the arm with both fidelities.

    Parameters
    ----------
    rows : pandas.DataFrame
        Of `fidelity_rows`.

    Returns
    -------
    dict
        By data set and number of rows.
    """
    both = rows[rows["arm"] == "both"].groupby(["data", "n"])["kendall"].mean()
    return {
        str(data): {str(n): round(float(v), 4) for (_, n), v in part.items()}
        for data, part in both.groupby(level="data")
    }
