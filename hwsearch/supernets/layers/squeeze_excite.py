"""Elastic layers: one full-size weight, of which each call uses a slice."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hwsearch.supernets.layers.naming import make_divisible


class ElasticSqueezeExcite(nn.Module):
    """Squeeze-and-excitation (Hu, Shen, Sun, 2018, arXiv 1709.01507) with elastic channels; bottleneck C/4."""

    def __init__(self, max_channels: int) -> None:
        super().__init__()
        middle = make_divisible(max_channels // 4)
        self.fc = nn.ModuleDict(
            {"reduce": nn.Conv2d(max_channels, middle, 1), "expand": nn.Conv2d(middle, max_channels, 1)}
        )

    def forward(self, x_NCHW: Tensor) -> Tensor:
        channels = x_NCHW.shape[1]
        middle = make_divisible(channels // 4)
        reduce, expand = self.fc["reduce"], self.fc["expand"]
        assert isinstance(reduce, nn.Conv2d) and isinstance(expand, nn.Conv2d)
        assert reduce.bias is not None and expand.bias is not None
        s = x_NCHW.mean((2, 3), keepdim=True)
        s = F.relu(F.conv2d(s, reduce.weight[:middle, :channels], reduce.bias[:middle]))
        s = F.hardsigmoid(F.conv2d(s, expand.weight[:channels, :middle], expand.bias[:channels]))
        return x_NCHW * s

    def static(self, channels: int) -> SqueezeExcite:
        """The plain form with copies of the slices."""
        block = SqueezeExcite(channels)
        with torch.no_grad():
            for mine, full in ((block.reduce, self.fc["reduce"]), (block.expand, self.fc["expand"])):
                assert isinstance(full, nn.Conv2d) and mine.bias is not None and full.bias is not None
                mine.weight.copy_(full.weight[: mine.out_channels, : mine.in_channels])
                mine.bias.copy_(full.bias[: mine.out_channels])
        return block


class SqueezeExcite(nn.Module):
    """The static form of `ElasticSqueezeExcite`, part of an extracted subnet."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        middle = make_divisible(channels // 4)
        self.reduce = nn.Conv2d(channels, middle, 1)
        self.act = nn.ReLU()
        self.expand = nn.Conv2d(middle, channels, 1)
        self.gate = nn.Hardsigmoid()

    def forward(self, x_NCHW: Tensor) -> Tensor:
        s = x_NCHW.mean((2, 3), keepdim=True)
        return x_NCHW * self.gate(self.expand(self.act(self.reduce(s))))
