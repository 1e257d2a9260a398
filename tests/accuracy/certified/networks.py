"""Small networks with random weights, which every process draws alike."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from hwsearch.spaces import Architecture
from hwsearch.supernets.base import Supernet
from hwsearch.supernets.declared import Depth, Width, elastic

#: largest change of an input in the frozen bounds
EPSILON = 0.05


class Gate(nn.Module):
    """Squeeze-and-excitation."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.reduce, self.expand = nn.Conv2d(channels, 4, 1), nn.Conv2d(4, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.expand(torch.relu(self.reduce(x.mean((2, 3), keepdim=True)))))


class Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs)
        self.conv2, self.bn2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs)
        self.gate = Gate(outputs)
        self.shortcut = nn.Sequential()
        if stride > 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        y = self.gate(self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x))))))
        return torch.relu(y + self.shortcut(x))


class GatedNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 8, 3, 1, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2))
        self.stage1 = nn.Sequential(Block(8, 8, 1), Block(8, 8, 1))
        self.stage2 = nn.Sequential(Block(8, 12, 2), Block(12, 12, 1))
        self.pool, self.classifier = nn.AdaptiveAvgPool2d(1), nn.Linear(12, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(torch.flatten(self.pool(self.stage2(self.stage1(self.stem(x)))), 1))


@torch.no_grad()
def random_weights(net: nn.Module, seed: int = 0) -> nn.Module:
    """Draw weights, statistics and factors of either sign."""
    rng = np.random.default_rng(seed)
    for name, value in net.state_dict().items():
        if value.is_floating_point():
            drawn = torch.from_numpy(rng.standard_normal(tuple(value.shape))).float()
            fan = value[0].numel() if value.ndim > 1 else 4
            value.copy_(drawn.abs() + 0.5 if name.endswith("running_var") else drawn * (2 / fan) ** 0.5)
    return net.eval()


def gated_supernet() -> Supernet:
    """Build a supernet with residual sums, batch norms, gates, and both kinds of pools."""
    declared = {"stage*.*.conv1": Width((0.5, 0.75, 1.0), divisor=2), "stage*": Depth((1, 2))}
    net = elastic(GatedNet(), declared, input_shape=(1, 8, 8), name="gated")
    random_weights(net)
    return net


def random_subnets(net: Supernet, n: int) -> list[Architecture]:
    return net.space.sample(n, np.random.default_rng(7))


def images(n: int, channels: int = 1, side: int = 8, seed: int = 3) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((n, channels, side, side))).float()
