"""A supernet of one shared matrix whose subnets pull it apart by construction, and labelled vectors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Self

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from hwsearch.spaces import Choice, SearchSpace
from hwsearch.supernets.base import Supernet
from hwsearch.tasks.classification import ClassificationTask
from hwsearch.tasks.data import Data


class Vectors(Data):
    """Vectors with a class each."""

    classes = ("a", "b", "c")

    def __init__(self, x: Tensor, y: Tensor, name: str = "vectors") -> None:
        self.x, self.y, self.name = x, y, name

    def __len__(self) -> int:
        return len(self.y)

    def take(self, indices: Any) -> Self:
        chosen = torch.as_tensor(indices)
        return type(self)(self.x[chosen], self.y[chosen], self.name)

    def key(self, i: int) -> bytes:
        return bytes(self.x[i].numpy().tobytes())

    @property
    def digest(self) -> str:
        return f"{self.name}{len(self)}"

    def batches(self, size: int, batch: int) -> Iterator[tuple[Tensor, Tensor]]:
        for k in range(0, len(self), batch):
            yield self.x[k : k + batch], self.y[k : k + batch]


class VectorTask(ClassificationTask):
    name = "vectors"

    def read(self, text: str, **options: Any) -> Data:
        raise NotImplementedError


class Cut(nn.Linear):
    """A subnet: some columns of the matrix, and a sign."""

    def __init__(self, weight: Tensor, sign: int) -> None:
        super().__init__(weight.shape[1], weight.shape[0], bias=False)
        self.sign = sign
        with torch.no_grad():
            self.weight.copy_(weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.sign * super().forward(x[:, : self.in_features])


class Torn(Supernet):
    """Logits are ± the product of the first columns; where the subnets are opposed, the last value of `side` turns the sign."""

    def __init__(self, opposed: bool, columns: int = 6) -> None:
        super().__init__()
        widths = tuple(range(1, columns + 1))
        self.space = SearchSpace("torn", [Choice("width", widths), Choice("side", (0, 1))])
        self.classes, self.opposed = 3, opposed
        self.head = nn.Module()
        self.head.fc = nn.Linear(columns, 3, bias=False)
        nn.init.zeros_(self.head.fc.weight)
        self.activate(self.space.largest())

    def activate(self, arch: Any) -> None:
        self.width, self.sign = arch.integer("width"), -1 if self.opposed and arch.integer("side") else 1

    def subnet(self, arch: Any) -> nn.Module:
        self.activate(arch)
        return Cut(self.head.fc.weight[:, : self.width].detach(), self.sign)

    def input_shape(self, arch: Any) -> tuple[int, ...]:
        return (len(self.space.choices[0].values),)

    def cost_features(self, rows: Any) -> dict[str, Any]:
        width = np.asarray(rows)[:, 0].astype(np.float64) + 1
        return {"macs": 10.0**width, "params": 3 * width, "activations": width}

    def forward(self, x: Tensor) -> Tensor:
        return self.sign * (x[:, : self.width] @ self.head.fc.weight[:, : self.width].T)


@pytest.fixture
def torn() -> Callable[..., Torn]:
    """Makes the supernet."""
    return Torn


@pytest.fixture
def vectors() -> Vectors:
    """Ninety vectors of six numbers; each class has a direction of its own."""
    rng = np.random.default_rng(0)
    y = np.arange(90) % 3
    x = rng.normal(size=(90, 6)) + 2 * np.eye(6)[y]
    return Vectors(torch.from_numpy(x).float(), torch.from_numpy(y))


@pytest.fixture
def task() -> VectorTask:
    return VectorTask()
