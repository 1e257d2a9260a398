"""A task of your own in one file: regression on tables of numbers, with an elastic perceptron as its supernet.

`TabularTask` reads CSV files whose last column is the target, trains with the mean squared error and is judged by R², the
share of the variance that is explained, in percent (scores are higher-is-better by definition). `ENTRY` declares the
supernet. ``pip install .`` makes both known by name; without it, ``path/to/hwsearch_tabular.py:ENTRY`` does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hwsearch.errors import DataError, MeasurementError
from hwsearch.supernets.declared import Depth, ElasticModule, Width, elastic
from hwsearch.supernets.entry import SupernetEntry
from hwsearch.tasks.base import Task
from hwsearch.tasks.data import Data, forward
from hwsearch.tasks.score import BootstrapScore

COLUMNS = 8


@dataclass(frozen=True)
class Standardise:
    """Scale columns to mean 0 and deviation 1, given what they are; here they are uniform in [0, 1]."""

    mean: float = 0.5
    deviation: float = 0.29

    def to_dict(self) -> dict[str, Any]:
        return {"mean": self.mean, "deviation": self.deviation}


@dataclass
class Table(Data):
    """Rows of numbers: features (n, columns) and targets (n,), float32."""

    x: np.ndarray
    y: np.ndarray
    preprocess: Standardise
    name: str = "table"
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not len(self.x):
            raise DataError(f"table {self.name!r} has no rows.")

    def __len__(self) -> int:
        return len(self.x)

    def take(self, indices: np.ndarray) -> Table:
        return Table(self.x[indices], self.y[indices], self.preprocess, self.name)

    def key(self, i: int) -> bytes:
        return self.x[i].tobytes()

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.x.tobytes() + self.y.tobytes()).hexdigest()[:12]

    def batches(self, size: int, batch: int) -> Iterator[tuple[Tensor, Tensor]]:
        scaled = (self.x - self.preprocess.mean) / self.preprocess.deviation
        for start in range(0, len(self), batch):
            part = slice(start, start + batch)
            yield torch.from_numpy(scaled[part].astype(np.float32)), torch.from_numpy(self.y[part])


class R2(BootstrapScore):
    """Coefficient of determination in percent; statistics: one row (1, y, y², squared error) an example."""

    @classmethod
    def of_sums(cls, sums: np.ndarray) -> np.ndarray:
        n, y, y2, squared_error = np.asarray(sums, np.float64).T
        return 100 * (1 - squared_error / np.maximum(y2 - y**2 / n, 1e-12))


class TabularTask(Task):
    """Regression on rows of numbers, judged by R² in percent. The input size, which never varies, has no effect."""

    name = "tabular"
    examples = "rows"
    score_name = "R²"
    score_key = "r2"
    score_unit = "%"

    def __init__(self, preprocess: Standardise | None = None) -> None:
        self.preprocess = preprocess or Standardise()

    def read(
        self, text: str, *, limit: int, classes: tuple[str, ...] | None = None, vocabulary: Path | None = None
    ) -> Table:
        if classes is not None or vocabulary is not None:
            raise DataError("tables have neither classes nor a vocabulary.")
        try:
            rows = np.loadtxt(text, delimiter=",", dtype=np.float32, ndmin=2)[:limit]
        except (OSError, ValueError) as error:
            raise DataError(f"{text!r} is not a readable table of numbers: {error}.") from error
        return Table(rows[:, :-1], rows[:, -1], self.preprocess, Path(text).name)

    @torch.no_grad()
    def evaluate(self, net: nn.Module, data: Data, size: int, *, batch: int = 250) -> R2:
        training = net.training
        net.eval()
        rows = []
        for x, y in data.batches(size, batch):
            found = forward(net, x)[:, 0]
            if not torch.isfinite(found).all():
                raise MeasurementError("the network's outputs are not finite.")
            rows.append(torch.stack([torch.ones_like(y), y, y**2, (y - found) ** 2], dim=1).double().numpy())
        net.train(training)
        return R2(np.concatenate(rows))

    def unpack(self, record: bytes, n: int) -> R2:
        return R2.unpack(record, n)

    def loss(self, outputs: Tensor, targets: Tensor, *, label_smoothing: float = 0.0) -> Tensor:
        return F.mse_loss(outputs[:, 0], targets)

    def no_better_than(self, value: float, standard_error: float, data: Data) -> str | None:
        return "the mean of all rows:" if value - 1.645 * standard_error <= 0 else None


class Perceptron(nn.Module):
    """A multilayer perceptron with one output; its blocks are residual, so that some can be left out."""

    def __init__(self, width: int = 64, hidden: int = 128, blocks: int = 3) -> None:
        super().__init__()
        self.stem = nn.Linear(COLUMNS, width)
        self.blocks = nn.Sequential(*(Block(width, hidden) for _ in range(blocks)))
        self.head = nn.Linear(width, 1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(self.blocks(torch.relu(self.stem(x))))
        return out


class Block(nn.Module):
    """Two layers beside a shortcut."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(width, hidden), nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.down(torch.relu(self.up(x)))
        return out


def build() -> ElasticModule:
    """Build the supernet: one to three blocks, each with a quarter to all of its hidden units."""
    return elastic(
        Perceptron(),
        {"blocks": Depth((1, 2, 3)), "blocks.*.up": Width((0.25, 0.5, 1.0))},
        input_shape=(COLUMNS,),
        name="tabular-mlp",
    )


ENTRY = SupernetEntry(
    name="tabular-mlp",
    summary="Elastic perceptron for regression on 8 columns",
    build=build,
    task=TabularTask(),
    calibrated=False,
)
