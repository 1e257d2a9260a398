"""A small declared network with depths and widths, and images whose class is their bright half and its colour."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from hwsearch.supernets.base import Supernet
from hwsearch.supernets.declared import Depth, Width, elastic
from hwsearch.tasks.images import ImageData, Preprocess, from_arrays

SIDE = 8


class Residual(nn.Module):
    def __init__(self, width: int, middle: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(width, middle, 3, 1, 1, bias=False), nn.BatchNorm2d(middle)
        self.conv2, self.bn2 = nn.Conv2d(middle, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x))))))


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        self.stage = nn.Sequential(Residual(8, 8), Residual(8, 8), Residual(8, 8))
        self.head = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.stage(self.stem(x)).mean((2, 3)))


DECLARED = {"stage.*.conv1": Width((0.25, 0.5, 1.0), divisor=2), "stage": Depth((1, 2, 3))}


def small(seed: int = 0) -> Supernet:
    """Build the supernet with statistics and affines that differ from channel to channel."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = elastic(Small(), DECLARED, input_shape=(3, SIDE, SIDE), name="small-gated")
        with torch.no_grad():
            for module in net.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.weight.uniform_(0.5, 1.5)
                    module.bias.normal_(0, 0.3)
                    module.running_mean.normal_(0, 0.3)
                    module.running_var.uniform_(0.5, 1.5)
    return net


def halves(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw pixels ``(n, side, side, 3)`` of which one half, upper or lower, is bright in one of two colours; and the class."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, n)
    pixels = rng.integers(0, 120, (n, SIDE, SIDE, 3))
    for i, label in enumerate(labels):
        lower, colour = divmod(int(label), 2)
        pixels[i, 4 * lower : 4 * lower + 4, :, colour] += 110
    return pixels.astype(np.uint8), labels


def half_images(n: int = 128, seed: int = 0) -> ImageData:
    """Make such images as data."""
    pixels, labels = halves(n, seed)
    return from_arrays(pixels, labels, tuple("abcd"), Preprocess((0.4,) * 3, (0.25,) * 3), f"halves {seed}")
