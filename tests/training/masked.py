"""A small network for masked tasks, and their data: bright halves of two colours, relabelled."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from hwsearch.supernets.supermasks import MaskedNetwork, signed_constants
from hwsearch.tasks.images import ImageData, ImageTask, Preprocess, from_arrays
from hwsearch.training.task_training import SupermaskConfig, TaskTraining
from tests.training.gated import SIDE, halves

TASK = ImageTask(Preprocess((0.4,) * 3, (0.25,) * 3))


class Plain(nn.Module):
    def __init__(self, classes: int = 2) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
            nn.Conv2d(16, 16, 3, 1, 1), nn.BatchNorm2d(16), nn.ReLU(),
        )  # fmt: skip
        self.head = nn.Linear(16, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x).mean((2, 3)))


def network(seed: int = 0, classes: int = 2) -> MaskedNetwork:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = Plain(classes)
    signed_constants(net)
    return MaskedNetwork(net, classes)


def two_classes(k: int, n: int = 64, seed: int = 0) -> ImageData:
    """Make task k: which of two classes of `halves` an image is of, one way or the other."""
    pixels, labels = halves(4 * n, seed)
    a, b = ((0, 1), (2, 3), (0, 2), (1, 3), (0, 3), (1, 2))[k % 6]
    chosen = np.flatnonzero((labels == a) | (labels == b))[:n]
    return from_arrays(pixels[chosen], (labels[chosen] == b).astype(int), ("x", "y"), TASK.preprocess, f"task {k}")


def training(given: MaskedNetwork, name: str, data: ImageData, **options) -> TaskTraining:
    more = {k: options.pop(k) for k in ("earlier", "exclusive", "checkpoint", "progress") if k in options}
    config = SupermaskConfig(**{"steps": 10, "batch": 16, "density": 0.25, **options})
    return TaskTraining(given, name, TASK, data, SIDE, config, **more)


def logits(net: nn.Module, data: ImageData) -> Tensor:
    inputs, _ = next(data.batches(SIDE, len(data)))
    with torch.no_grad():
        return net.eval()(inputs)
