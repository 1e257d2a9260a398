"""The tasks of the search benchmark: published accuracies and latencies, and the noise of measuring them.

- ``ofa/DEVICE``: Once-for-All MobileNetV3, width 1.0, 224 px (Cai et al. 2020, arXiv 1908.09791). Accuracy and latency are
  surrogates fitted on measured rows; their errors are stated by `Task.facts`.
- ``ofa/macs``: the same accuracy against millions of multiply-accumulates, which the rows determine; the reference, 70 %
  and 600 million, is that of the hypervolumes in `benchmarks.search_replicas`. ``ofa-unmasked/macs``: genes of layers that are
  switched off stay in the genotype, as DyNAS-T has it.
- ``nb201/DEVICE``: NAS-Bench-201 (Dong and Yang 2020, arXiv 2001.00326), CIFAR-100 after 200 epochs, measured latencies.
- ``nb201-exact/DATASET``, ``nb201-noisy/DATASET``: the accuracy alone, as tabled or with the noise of a training.

``NAME#300`` is the task cut down to a table of 300 of its architectures.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import kendalltau

import latency_tables
from hwsearch._typing import FloatArray, IntArray
from hwsearch.objectives.objective import Objective, signs
from hwsearch.objectives.pareto import cost_hypervolume, non_dominated
from hwsearch.searchers.evolutionary.evolution import Mating, evolve, row_keys
from hwsearch.spaces import SearchSpace, TableSpace
from hwsearch.spaces import load as load_space
from hwsearch.spaces.nasbench201 import cell_rows

DATA = Path(__file__).parent / "data"
OFA_DEVICES = ("v100-b64", "2080ti-b1", "titan-rtx-b32", "v100-b1")
NB201_DEVICES = ("pixel3", "gold-6226", "2080ti-b32", "raspi4")
DATASETS = {"cifar10": "cifar10", "cifar100": "cifar100", "imagenet16": "imagenet16"}
#: input size (px) of the accuracy rows; the latency table has others, too
SIDE = 224
#: noise of one measurement: points of top-1 on ImageNet's validation images; log latency
OFA_NOISE, LATENCY_NOISE = 0.03, 0.01
FOLDS = 5


@dataclass(frozen=True)
class Task:
    """What is searched, what is true, and what a measurement says.

    true : rows (n, genes) to the noiseless objectives (n, m) in natural units, accuracy in percent first
    spread : rows to the standard deviation (n, m) of a measurement
    reference : of the hypervolume, natural units (m,); None with one objective
    limit : latency (ms) at which accuracies are compared
    known : rows to what a supernet knows of its subnets without measuring, as a campaign has it (costs); for our
        tactic. None: nothing is known beyond the space
    facts : what is known about the data, by name; may take seconds
    """

    name: str
    space: SearchSpace
    objectives: tuple[str, ...]
    true: Callable[[IntArray], FloatArray]
    spread: Callable[[IntArray], FloatArray]
    reference: FloatArray | None = None
    limit: float | None = None
    facts: Callable[[], dict[str, float]] = field(default=dict)
    known: Callable[[IntArray], FloatArray] | None = None

    @property
    def parsed(self) -> list[Objective]:
        return [Objective.parse(text) for text in self.objectives]

    def costs(self, values: FloatArray) -> FloatArray:
        """Values (n, m) turned so that smaller is better."""
        return values * signs(self.parsed)

    def measure(self, rows: IntArray, seed: int) -> FloatArray:
        """One measurement an architecture (n, m). An architecture has the same one in all runs with this seed."""
        true = self.true(rows)
        noise = [
            np.random.default_rng([seed, int(key) & 0xFFFFFFFF, int(key) >> 32 & 0xFFFFFFFF]).standard_normal(
                true.shape[1]
            )
            for key in row_keys(rows)
        ]
        return np.asarray(true + self.spread(rows) * np.array(noise).reshape(true.shape))

    def volume(self, values: FloatArray) -> float:
        """Hypervolume of values (n, m) against `reference`."""
        assert self.reference is not None
        return cost_hypervolume(self.costs(values), self.costs(self.reference[None])[0])


@dataclass(frozen=True)
class Best:
    """The best that is known of a task: rows on the front, their true values, and their hypervolume or best value."""

    rows: IntArray
    values: FloatArray
    volume: float


def load(name: str) -> Task:
    """The task of a name; the same object each time. Raises KeyError for an unknown one."""
    return _load(name)


@cache
def _load(name: str) -> Task:
    whole, _, size = name.partition("#")
    if size:
        return cut_down(load(whole), int(size))
    family, _, what = whole.partition("/")
    make: dict[str, Callable[[str, str], Task]] = {
        "ofa": _ofa,
        "ofa-unmasked": _unmasked,
        "nb201": _nb201,
        "nb201-exact": partial(_nb201_single, noisy=False),
        "nb201-noisy": partial(_nb201_single, noisy=True),
    }
    return make[family](whole, what)


def cut_down(task: Task, size: int) -> Task:
    """The task on a table of `size` of its architectures, uniformly drawn."""
    rng = np.random.default_rng(0)
    if task.space.cardinality <= 1_000_000:
        rows = rng.permutation(task.space.enumerate_array())[:size]
    else:
        rows = task.space.sample_array(size, rng)
    space = TableSpace(f"{task.space.name}#{size}", task.space.choices, rows)
    return Task(
        f"{task.name}#{size}",
        space,
        task.objectives,
        task.true,
        task.spread,
        task.reference,
        task.limit,
        lambda: {**task.facts(), "architectures": space.cardinality},
        task.known,
    )


def best_known(task: Task, seeds: int = 4, population: int = 400, generations: int = 400) -> Best:
    """The exact front of a space that can be listed; else the union of long noiseless evolutions and a local search.

    The local search measures all neighbours of all front members until none enters the front.
    """
    if task.space.cardinality <= 1_000_000:
        return _best_of(task, task.space.enumerate_array())

    def score(rows: IntArray) -> tuple[FloatArray, FloatArray]:
        return task.costs(task.true(rows)), np.zeros(len(rows))

    best: Best | None = None
    for seed in range(seeds):
        rng = np.random.default_rng([seed, 0xBE57])
        start = task.space.sample_balanced_array(population, rng, lambda rows: ordinal_sum(task.space, rows))
        rows, _, _ = evolve(
            task.space,
            score,
            start,
            population=population,
            evaluations=population * generations,
            mating=Mating(),
            rng=rng,
        )
        best = _best_of(task, rows if best is None else np.concatenate([best.rows, rows]))
    assert best is not None
    done: set[bytes] = set()
    while True:
        new = [row for row in best.rows if row.tobytes() not in done]
        if not new:
            return best
        done |= {row.tobytes() for row in new}
        around = np.concatenate([task.space.neighbours_array(row) for row in new])
        best = _best_of(task, np.concatenate([best.rows, around]))


def _best_of(task: Task, rows: IntArray) -> Best:
    values = task.true(rows)
    keep = non_dominated(values, task.parsed)
    rows, values = rows[keep], values[keep]
    return Best(rows, values, task.volume(values) if task.reference is not None else float(values.max()))


def ordinal_sum(space: SearchSpace, rows: IntArray) -> FloatArray:
    """The sum of the genes' places, as a cost (n,): what a start is balanced over where nothing is known."""
    return np.asarray(space.encode_array(rows, "ordinal").sum(axis=1))


# ---------------------------------------------------------------------- Once-for-All
@cache
def ofa_space() -> SearchSpace:
    """Kernel sizes, expansions and depths, without the input size."""
    from hwsearch.supernets.families.ofa import ofa_mobilenetv3

    choices = [c for c in ofa_mobilenetv3(1.0).search_space().choices if c.name != "r"]
    return SearchSpace(f"ofa-mobilenetv3-w1.0-{SIDE}px", choices)


@cache
def ofa_costs() -> Callable[[IntArray], FloatArray]:
    """Rows to the supernet's cost features (n, columns) at the accuracies' input size."""
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
    """The measured subnets as rows (2373, genes), and the table as it is."""
    table = pd.read_csv(DATA / "ofa_mbv3_w1.0_imagenet_dynast.csv.gz")
    columns = {
        name: np.array([[int(v) for v in text.split("-")] for text in table[name]], dtype=np.int64)
        for name in ("ks", "e", "d")
    }
    genes = {f"{stem}[{i}]": value for stem, array in columns.items() for i, value in enumerate(array.T)}
    return _rows(ofa_space(), pd.DataFrame(genes)), table


def _rows(space: SearchSpace, genes: pd.DataFrame) -> IntArray:
    """Canonical rows of a frame with a column a gene; empty cells are inactive genes."""
    rows = np.zeros((len(genes), len(space.names)), dtype=np.int64)
    for i, choice in enumerate(space.choices):
        column = genes[choice.name].fillna(choice.values[0])
        rows[:, i] = column.map({v: k for k, v in enumerate(choice.values)}).to_numpy()
    return space.canonical(rows)


def block_features(rows: IntArray) -> FloatArray:
    """One column a kernel size and expansion of each slot, and a depth of each stage: what additive costs need."""
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
    """Predictions of all rows (n,), each by a model that saw no row of its group.

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


def _ofa(name: str, what: str) -> Task:
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


def _unmasked(name: str, what: str) -> Task:
    task = load(f"ofa/{what}")
    masked = task.space
    space = SearchSpace(f"{masked.name}-unmasked", [replace(choice, when=None) for choice in masked.choices])
    return replace(
        task,
        name=name,
        space=space,
        true=lambda rows: task.true(masked.canonical(rows)),
        spread=lambda rows: task.spread(masked.canonical(rows)),
    )


# ---------------------------------------------------------------------- NAS-Bench-201
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
        """Positions (n,) of rows (n, 6)."""
        return np.asarray(rows @ (5 ** np.arange(5, -1, -1)), dtype=np.int64)


@cache
def nb201() -> Nb201:
    """NAS-Bench-201's accuracies.

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
    """Measured latencies (15625,) in ms, in the order of the space's enumeration."""
    table = latency_tables.load(device, "nas-bench-201")
    rows = table[[f"op[{i}]" for i in range(6)]].to_numpy(dtype=np.int64)
    latency = np.full(5**6, np.nan)
    latency[nb201().places(rows)] = table["latency_ms"].to_numpy(dtype=np.float64)
    return latency


def nb201_devices() -> list[str]:
    """The devices whose latencies of NAS-Bench-201's cells are known."""
    return [
        name for name in latency_tables.devices() if (latency_tables.FOLDER / name / "nas-bench-201.parquet").exists()
    ]


def _nb201(name: str, device: str, dataset: str = "cifar100") -> Task:
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


def _nb201_single(name: str, dataset: str, noisy: bool) -> Task:
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
