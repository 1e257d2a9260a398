"""Tasks on Once-for-All MobileNetV3: surrogates fitted on measured rows."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pandas as pd
from scipy.stats import kendalltau

import latency_tables
from benchmarks.search_task import (
    DATA,
    FOLDS,
    LATENCY_NOISE,
    OFA_NOISE,
    SIDE,
    Task,
)
from hwsearch._typing import FloatArray, IntArray
from hwsearch.searchers.evolutionary.evolution import row_keys
from hwsearch.spaces import SearchSpace


@cache
def ofa_space() -> SearchSpace:
    """Make the space of kernel sizes, expansions and depths, without the input size."""
    from hwsearch.supernets.families.ofa import ofa_mobilenetv3

    choices = [c for c in ofa_mobilenetv3(1.0).search_space().choices if c.name != "r"]
    return SearchSpace(f"ofa-mobilenetv3-w1.0-{SIDE}px", choices)


@cache
def ofa_costs() -> Callable[[IntArray], FloatArray]:
    """Map rows to the supernet's cost features (n, columns) at the accuracies' input size."""
    from hwsearch.supernets.families.mobilenetv3.supernet import ElasticMobileNetV3
    from hwsearch.supernets.families.ofa import ofa_mobilenetv3

    net = ElasticMobileNetV3(ofa_mobilenetv3(1.0))
    whole = net.space
    places = [whole.names.index(name) for name in ofa_space().names]
    side = whole.names.index("r")
    fixed = whole.choices[side].values.index(SIDE)

    def costs(rows: IntArray) -> FloatArray:
        full = np.zeros((len(rows), len(whole.names)), dtype=np.int64)
        full[:, places], full[:, side] = rows, fixed
        return np.column_stack([*net.cost_features(full).values()])

    return costs


@cache
def ofa_accuracy_rows() -> tuple[IntArray, pd.DataFrame]:
    """Return the measured subnets as rows (2373, genes), and the table as it is."""
    table = pd.read_csv(DATA / "ofa_mbv3_w1.0_imagenet_dynast.csv.gz")
    columns = {
        name: np.array([[int(v) for v in text.split("-")] for text in table[name]], dtype=np.int64)
        for name in ("ks", "e", "d")
    }
    genes = {f"{stem}[{i}]": value for stem, array in columns.items() for i, value in enumerate(array.T)}
    return _rows(ofa_space(), pd.DataFrame(genes)), table


def _rows(space: SearchSpace, genes: pd.DataFrame) -> IntArray:
    """Make canonical rows of a frame with a column a gene; empty cells are inactive genes."""
    rows = np.zeros((len(genes), len(space.names)), dtype=np.int64)
    for i, choice in enumerate(space.choices):
        column = genes[choice.name].fillna(choice.values[0])
        rows[:, i] = column.map({v: k for k, v in enumerate(choice.values)}).to_numpy()
    return space.canonical(rows)


def block_features(rows: IntArray) -> FloatArray:
    """Compute a column a kernel size and expansion of each slot, and a depth of each stage: what additive costs need."""
    space = ofa_space()
    at = {name: i for i, name in enumerate(space.names)}
    columns = []
    for slot in range(20):
        ks, e = rows[:, at[f"ks[{slot}]"]], rows[:, at[f"e[{slot}]"]]
        columns += [(ks == i) & (e == j) for i in range(3) for j in range(3)]
    columns += [rows[:, at[f"d[{stage}]"]] == i for stage in range(5) for i in range(3)]
    return np.stack(columns, axis=1).astype(np.float64)


class _Accuracy:
    """Mean of ridge and boosted trees on the one-hot encoding."""

    def __init__(self, rows: IntArray, top1: FloatArray) -> None:
        from sklearn.linear_model import RidgeCV
        from xgboost import XGBRegressor

        x = ofa_space().encode_array(rows)
        self._ridge = RidgeCV(np.logspace(-2, 3, 20)).fit(x, top1)
        self._trees = XGBRegressor(
            n_estimators=400,
            max_depth=5,
            learning_rate=0.05,
            subsample=0.8,
            colsample_bytree=0.5,
            random_state=0,
            n_jobs=1,
        ).fit(x, top1)

    def __call__(self, rows: IntArray) -> FloatArray:
        x = ofa_space().encode_array(rows)
        return np.asarray(0.5 * (self._ridge.predict(x) + self._trees.predict(x)))


class _Latency:
    """Ridge on log latency: kernel size and expansion of each slot, depths, and a square in the input size."""

    def __init__(self, rows: IntArray, side: FloatArray, latency: FloatArray) -> None:
        from sklearn.linear_model import RidgeCV

        self._ridge = RidgeCV(np.logspace(-3, 3, 20)).fit(self._features(rows, side), np.log(latency))

    @staticmethod
    def _features(rows: IntArray, side: FloatArray) -> FloatArray:
        return np.column_stack([block_features(rows), side / 200, (side / 200) ** 2])

    def __call__(self, rows: IntArray, side: FloatArray | float = SIDE) -> FloatArray:
        sides = np.broadcast_to(np.asarray(side, dtype=np.float64), len(rows))
        return np.asarray(np.exp(self._ridge.predict(self._features(rows, sides))))


class _Macs:
    """Least squares on blocks, in millions: MACs are a sum over them."""

    def __init__(self, rows: IntArray, macs: FloatArray) -> None:
        x = np.column_stack([block_features(rows), np.ones(len(rows))])
        self._weights = np.linalg.lstsq(x, macs / 1e6, rcond=None)[0]

    def __call__(self, rows: IntArray) -> FloatArray:
        return np.asarray(np.column_stack([block_features(rows), np.ones(len(rows))]) @ self._weights)


@cache
def ofa_accuracy() -> Callable[[IntArray], FloatArray]:
    rows, table = ofa_accuracy_rows()
    return _Accuracy(rows, table["top1"].to_numpy(dtype=np.float64))


def _latency_rows(device: str) -> tuple[IntArray, FloatArray, FloatArray]:
    table = latency_tables.load(device, "ofa-mobilenetv3")
    return (
        _rows(ofa_space(), table),
        table["r"].to_numpy(dtype=np.float64),
        table["latency_ms"].to_numpy(dtype=np.float64),
    )


def _held_out(groups: IntArray, fit: Callable[[IntArray], Callable[[IntArray], FloatArray]]) -> FloatArray:
    """Predict all rows (n,), each by a model that saw no row of its group.

    fit : positions of the rows to learn from, to a function that predicts the rows at other positions
    """
    part = np.random.default_rng(0).permutation(groups.max() + 1)[groups] % FOLDS
    out = np.empty(len(groups))
    for k in range(FOLDS):
        out[part == k] = fit(np.flatnonzero(part != k))(np.flatnonzero(part == k))
    return out


def _groups(rows: IntArray) -> IntArray:
    return np.asarray(np.unique(row_keys(rows), return_inverse=True)[1], dtype=np.int64)


@cache
def _accuracy_facts() -> dict[str, float]:
    rows, table = ofa_accuracy_rows()
    top1 = table["top1"].to_numpy(dtype=np.float64)
    groups = _groups(rows)
    predicted = _held_out(groups, lambda at: lambda out: _Accuracy(rows[at], top1[at])(rows[out]))
    repeats = pd.Series(top1).groupby(groups)
    count = repeats.transform("count").to_numpy()
    inside = (top1 - repeats.transform("mean").to_numpy())[count > 1]
    return {
        "accuracy_rows": len(rows),
        "accuracy_mae_points": float(np.abs(predicted - top1).mean()),
        "accuracy_tau": float(kendalltau(predicted, top1).statistic),
        "accuracy_repeat_sd_points": float(np.sqrt((inside**2).sum() / (len(inside) - len(set(groups[count > 1]))))),
    }


def _latency_facts(device: str) -> dict[str, float]:
    rows, side, latency = _latency_rows(device)

    def fit(at: IntArray) -> Callable[[IntArray], FloatArray]:
        model = _Latency(rows[at], side[at], latency[at])
        return lambda out: model(rows[out], side[out])

    predicted = _held_out(_groups(rows), fit)
    return {
        "latency_rows": len(rows),
        "latency_mape_percent": float(100 * np.abs(predicted / latency - 1).mean()),
        "latency_tau": float(kendalltau(predicted, latency).statistic),
    }


def ofa_task(name: str, what: str) -> Task:
    space = ofa_space()
    accuracy = ofa_accuracy()
    if what == "macs":
        rows, table = ofa_accuracy_rows()
        macs = table["macs"].to_numpy(dtype=np.float64)
        cost: Callable[[IntArray], FloatArray] = _Macs(rows, macs)
        second, relative = "min macs", 0.0

        def facts() -> dict[str, float]:
            return {**_accuracy_facts(), "macs_mape_percent": float(100 * np.abs(cost(rows) * 1e6 / macs - 1).mean())}
    else:
        cost = _Latency(*_latency_rows(what))
        second, relative = "min latency_ms", LATENCY_NOISE

        def facts() -> dict[str, float]:
            return {**_accuracy_facts(), **_latency_facts(what)}

    def true(rows: IntArray) -> FloatArray:
        return np.stack([accuracy(rows), cost(rows)], axis=1)

    def spread(rows: IntArray) -> FloatArray:
        return np.stack([np.full(len(rows), OFA_NOISE), relative * cost(rows)], axis=1)

    low, high = true(space.to_array([space.smallest(), space.largest()]))
    reference = np.array([70.0, 600.0] if what == "macs" else [low[0] - 0.5, 1.05 * high[1]])
    return Task(
        name,
        space,
        ("max accuracy", second),
        true,
        spread,
        reference,
        float(np.sqrt(low[1] * high[1])),
        facts,
        None if what == "macs" else ofa_costs(),
    )
