"""Data of the predictors' benchmark: architectures with one-hot genes, facts and a measured quantity."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np

import latency_tables
from benchmarks.search_nb201 import nb201, nb201_latency
from benchmarks.search_ofa import _rows, ofa_accuracy_rows, ofa_costs, ofa_space
from benchmarks.search_task import DATASETS
from hwsearch._typing import FloatArray, IntArray
from hwsearch.searchers.evolutionary.evolution import row_keys
from hwsearch.spaces import Choice, SearchSpace
from predictors.schema import Column, Schema

#: devices of the latency cases, by space; the first is that of --quick
DEVICES = {
    "ofa": ("v100-b64", "2080ti-b1", "titan-rtx-b32"),
    "nb201": ("gold-6226", "pixel2", "2080ti-b32"),
    "fbnet": ("gold-6226", "titan-rtx-b1", "samsung-a50"),
}
#: rows predicted, at most
TESTED = 1500
#: FBNet (Wu et al. 2019, arXiv 1812.03443, table 1): channels, slots and stride of each stage
FBNET_STAGES = ((16, 1, 1), (24, 4, 2), (32, 4, 2), (64, 4, 2), (112, 4, 1), (184, 4, 2), (352, 1, 1))
#: kernel size, expansion and groups of each operator; None skips
FBNET_OPERATORS = ((3, 1, 1), (3, 1, 2), (3, 3, 1), (3, 6, 1), (5, 1, 1), (5, 1, 2), (5, 3, 1), (5, 6, 1), None)


#: facts of a cell that its latency can depend on: edges by operation, open paths, convolutions; the others tell of accuracy
EDGES = 10


@dataclass(frozen=True)
class Case:
    """Architectures with a quantity to be predicted.

    onehot : (n, columns) genes
    facts : (n, columns) what is known without measuring
    y : (n,) latency in ms or accuracy in percent
    order : (n,) in which a search measured them; None for a table
    """

    space: str
    name: str
    schema: Schema
    onehot: FloatArray
    facts: FloatArray
    y: FloatArray
    order: IntArray | None = None

    @property
    def latency(self) -> bool:
        return not self.name.startswith("accuracy")

    @property
    def X(self) -> FloatArray:
        return np.column_stack([self.onehot, self.facts])

    def split(self, n: int, seed: int) -> tuple[IntArray, IntArray]:
        """Draw positions of n rows to learn from and of at most `TESTED` others."""
        shuffled = np.random.default_rng([seed, 7]).permutation(len(self.y))
        return shuffled[:n], shuffled[n : n + TESTED]


def _case(space: SearchSpace, rows: IntArray, family: str, name: str, facts: FloatArray, y: FloatArray, order: IntArray | None = None) -> Case:  # fmt: skip
    schema = space.schema(Column(f"fact{i}") for i in range(facts.shape[1]))
    return Case(family, name, schema, space.encode_array(rows), facts, y, order)


@cache
def latency_case(family: str, device: str) -> Case:
    return {"ofa": _ofa_latency, "nb201": _nb201_latency, "fbnet": _fbnet_latency}[family](device)


def _ofa_latency(device: str) -> Case:
    from hwsearch.supernets.families.mobilenetv3.supernet import ElasticMobileNetV3
    from hwsearch.supernets.families.ofa import ofa_mobilenetv3

    table = latency_tables.load(device, "ofa-mobilenetv3")
    declared = ofa_mobilenetv3(1.0).search_space()
    sides = tuple(sorted(int(v) for v in table["r"].unique()))
    space = SearchSpace(declared.name, [Choice("r", sides) if c.name == "r" else c for c in declared.choices])
    rows = _rows(space, table)
    net = ElasticMobileNetV3(ofa_mobilenetv3(1.0))
    whole, at = net.space, space.names.index("r")
    known = whole.choices[whole.names.index("r")].values
    inside = np.isin(table["r"].to_numpy(dtype=np.int64), known)
    rows, table = rows[inside], table[inside]
    full = rows.copy()
    full[:, at] = [known.index(int(v)) for v in table["r"]]
    order = [space.names.index(name) for name in whole.names]
    facts = np.column_stack([*net.cost_features(full[:, order]).values()])
    return _case(space, rows, "ofa", device, facts, table["latency_ms"].to_numpy(dtype=np.float64))


def _nb201_latency(device: str) -> Case:
    space = nb201().space
    rows = space.enumerate_array()
    return _case(space, rows, "nb201", device, space.describe_array(rows)[:, :EDGES], nb201_latency(device))


def _fbnet_latency(device: str) -> Case:
    table = latency_tables.load(device, "fbnet")
    names = [f"op[{i}]" for i in range(22)]
    space = SearchSpace("fbnet", [Choice(name, tuple(range(9)), ordinal=False) for name in names])
    rows = table[names].to_numpy(dtype=np.int64)
    return _case(space, rows, "fbnet", device, fbnet_facts(rows), table["latency_ms"].to_numpy(dtype=np.float64))


def fbnet_facts(rows: IntArray) -> FloatArray:
    """Compute MACs, parameters and activations, whole and by stage, and how often each operator stands (n, columns)."""
    costs = np.zeros((3, len(FBNET_STAGES), len(rows)))
    slot, inputs, side = 0, 16, 112
    for stage, (channels, slots, stride) in enumerate(FBNET_STAGES):
        for k in range(slots):
            step = stride if k == 0 else 1
            each = np.array([_block(op, inputs, channels, side, step) for op in FBNET_OPERATORS])
            costs[:, stage] += each[rows[:, slot]].T
            slot, inputs, side = slot + 1, channels, side // step
    counts = np.stack([(rows == op).sum(axis=1) for op in range(len(FBNET_OPERATORS))], axis=1)
    return np.column_stack([costs.sum(axis=1).T, costs.reshape(-1, len(rows)).T, counts])


def _block(operator: tuple[int, int, int] | None, inputs: int, outputs: int, side: int, stride: int) -> tuple[float, float, float]:  # fmt: skip
    """MACs, parameters and activations of a slot with one operator."""
    after = (side // stride) ** 2
    if operator is None:
        skips = inputs == outputs and stride == 1
        return (0.0, 0.0, 0.0) if skips else (after * inputs * outputs, inputs * outputs, after * outputs)
    kernel, expansion, groups = operator
    middle = inputs * expansion
    widen, depth, narrow = inputs * middle / groups, middle * kernel**2, middle * outputs / groups
    macs = side**2 * widen + after * (depth + narrow)
    return macs, widen + depth + narrow, side**2 * middle + after * (middle + outputs)


@cache
def ofa_accuracy_case() -> Case:
    """The measured top-1 of distinct subnets: the first measurement of each canonical form, so that no test row leaks."""
    rows, table = ofa_accuracy_rows()
    first = np.sort(np.unique(row_keys(rows), return_index=True)[1])
    top1 = table["top1"].to_numpy(dtype=np.float64)[first]
    order = table["evaluation"].to_numpy(dtype=np.int64)[first]
    return _case(ofa_space(), rows[first], "ofa", "accuracy top-1", ofa_costs()(rows[first]), top1, order)


@cache
def nb201_accuracy_case(dataset: str) -> Case:
    space = nb201().space
    rows = space.enumerate_array()
    y = nb201().accuracy[DATASETS[dataset]]
    return _case(space, rows, "nb201", f"accuracy {dataset}", space.describe_array(rows), y)


def cases(quick: bool) -> Iterator[tuple[Case, tuple[int, ...]]]:
    """Every case with the numbers of rows that are learnt from."""
    for family, devices in DEVICES.items():
        for device in devices[:1] if quick else devices:
            yield latency_case(family, device), ((20, 100) if quick else (20, 50, 100, 300))
    yield ofa_accuracy_case(), ((50, 100) if quick else (50, 100, 250))
    for dataset in ("cifar100",) if quick else ("cifar100", "imagenet16"):
        yield nb201_accuracy_case(dataset), ((50, 100) if quick else (50, 100, 300))
