"""The testbench of strategies: noisy digits, a small elastic network, runs of equal passes, and networks trained alone."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn
from typing_extensions import override

from hwsearch.accuracy import recalibrate, subnet_score
from hwsearch.spaces import Architecture
from hwsearch.supernets.base import Supernet
from hwsearch.supernets.declared import Depth, Width, elastic
from hwsearch.tasks.classification import ClassificationTask
from hwsearch.tasks.data import Data, Inputs, forward
from hwsearch.training import Strategy, Trainer, TrainingConfig
from hwsearch.training.finetune import FinetuneConfig, finetune

#: images whose statistics batch norms get
CALIBRATION = 1024
TRAIN = 1197
BATCH, RATE = 32, 0.03
#: of the network
WIDTHS = (16, 32, 64)


class DigitData(Data):
    """Images of one channel as tensors."""

    classes = tuple("0123456789")

    def __init__(self, images: Tensor, labels: Tensor, name: str) -> None:
        self.images, self.labels, self.name = images, labels, name

    def __len__(self) -> int:
        return len(self.labels)

    @override
    def take(self, indices: Any) -> Self:
        chosen = torch.as_tensor(indices)
        return type(self)(self.images[chosen], self.labels[chosen], self.name)

    @override
    def key(self, i: int) -> bytes:
        return bytes(self.images[i].numpy().tobytes())

    @property
    @override
    def digest(self) -> str:
        return f"{self.name}-{len(self)}"

    @override
    def batches(self, size: int, batch: int) -> Iterator[tuple[Inputs, Tensor]]:
        for k in range(0, len(self), batch):
            yield self.images[k : k + batch], self.labels[k : k + batch]


class DigitTask(ClassificationTask):
    """Classification of digits; nothing is augmented."""

    name = "digits"
    examples = "images"

    @override
    def read(self, text: str, **options: Any) -> Data:
        raise NotImplementedError


@cache
def digits() -> tuple[DigitData, DigitData]:
    """Load scikit-learn's digits with Gaussian noise of one standard deviation: 1,197 to train on and 600 to test."""
    from sklearn.datasets import load_digits  # late: a second

    found = load_digits()
    x = (found.images - found.images.mean()) / found.images.std()
    rng = np.random.default_rng(0)
    x = torch.from_numpy(x + rng.standard_normal(x.shape)).float()[:, None]
    y = torch.from_numpy(found.target.astype(np.int64))
    order = torch.from_numpy(rng.permutation(len(x)))
    x, y = x[order], y[order]
    return DigitData(x[:TRAIN], y[:TRAIN], "train"), DigitData(x[TRAIN:], y[TRAIN:], "test")


class Block(nn.Module):
    """Two convolutions beside a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential()
        if stride > 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return torch.relu(y + self.shortcut(x))


class TinyNet(nn.Module):
    """A stem of stride 2 and three stages of two residual blocks."""

    def __init__(self, widths: tuple[int, int, int]) -> None:
        super().__init__()
        first, second, third = widths
        self.stem = nn.Sequential(nn.Conv2d(1, first, 3, 2, 1, bias=False), nn.BatchNorm2d(first), nn.ReLU())
        self.stage1 = nn.Sequential(Block(first, first, 1), Block(first, first, 1))
        self.stage2 = nn.Sequential(Block(first, second, 2), Block(second, second, 1))
        self.stage3 = nn.Sequential(Block(second, third, 2), Block(third, third, 1))
        self.classifier = nn.Linear(third, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stage3(self.stage2(self.stage1(self.stem(x))))
        return self.classifier(x.mean((2, 3)))


def tiny_elastic(seed: int, widths: tuple[int, int, int] = WIDTHS) -> Supernet:
    """Build the supernet: each stage of 1 or 2 blocks, inner widths of a quarter to the whole."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        declared = {"stage*.*.conv1": Width((0.25, 0.5, 0.75, 1.0), divisor=4), "stage*": Depth((1, 2))}
        return elastic(TinyNet(widths), declared, input_shape=(1, 8, 8), name="tiny-elastic")


def random_subnets(net: Supernet, n: int) -> list[Architecture]:
    """Draw the fixed random subnets that every arm is judged by."""
    return net.space.sample(n, np.random.default_rng(1234))


def config(steps: int, seed: int) -> TrainingConfig:
    """Make the hyper-parameters that all arms share."""
    return TrainingConfig(steps=steps, batch=BATCH, lr=RATE, padding=0, seed=seed, checkpoint_steps=10**6)


def trained(strategy: Strategy, steps: int, seed: int, net: Supernet | None = None) -> Trainer:
    """Train by a strategy; the trainer, which holds the supernet and counts its passes."""
    train, _ = digits()
    with tempfile.TemporaryDirectory(prefix="hwsearch-bench-") as folder:
        trainer = Trainer(
            tiny_elastic(seed) if net is None else net, strategy, DigitTask(), train, config(steps, seed), Path(folder)
        )
        trainer.run()
    return trainer


def accuracy(trainer: Trainer, arch: Architecture) -> float:
    """Measure a subnet's top-1 on the test images, in percent, its batch norms recalibrated."""
    train, test = digits()
    if trainer.recipe.view.extra is None:
        return subnet_score(DigitTask(), trainer.supernet, arch, train.head(CALIBRATION), test).value
    net = trainer.recipe.view.materialise(arch)
    recalibrate(net, train.head(CALIBRATION), 8)
    return DigitTask().evaluate(net, test, 8).value


@torch.no_grad()
def test_loss(net: nn.Module) -> float:
    """Measure the cross-entropy of a static network on the test images, its batch norms recalibrated."""
    train, test = digits()
    recalibrate(net, train.head(CALIBRATION), 8)
    net.eval()
    inputs, targets = next(test.batches(8, len(test)))
    return float(DigitTask().loss(forward(net, inputs), targets))


@dataclass
class Alone:
    """Networks that were trained by themselves, kept in a file.

    Attributes
    ----------
    path : Path
        The file.
    steps : int
        Steps of each training.
    """

    path: Path
    steps: int
    known: dict[str, list[float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.path.exists():
            self.known = json.loads(self.path.read_text(encoding="utf-8"))

    def of(self, arch: Architecture, seed: int, widths: tuple[int, int, int] = WIDTHS) -> tuple[float, float]:
        """Train one subnet by itself from random weights; its top-1 in percent, and its loss on the test images."""
        key = f"{arch.id} {seed} {self.steps} {widths}"
        if key not in self.known:
            train, test = digits()
            net = tiny_elastic(1000 + seed, widths).subnet(arch)
            finetune(DigitTask(), net, train, 8, FinetuneConfig(steps=self.steps, batch=BATCH, lr=RATE, seed=seed))
            loss = test_loss(net)
            self.known[key] = [DigitTask().evaluate(net, test, 8).value, loss]
            self.path.write_text(json.dumps(self.known), encoding="utf-8")
        top1, loss = self.known[key]
        return top1, loss
