"""Elastic ResNet-50-D: width, expansion, depth and resolution can be chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from hwsearch.supernets.layers.containers import Named
from hwsearch.supernets.layers.conv import ElasticConv
from hwsearch.supernets.layers.norm import ElasticBatchNorm
from hwsearch.supernets.layers.ordering import norm_slots, sort_by_importance


@dataclass(frozen=True)
class BottleneckPlan:
    """One block of one architecture, all sizes resolved; first: whether it is the first of its stage."""

    index: int
    inputs: int
    middle: int
    outputs: int
    stride: int
    first: bool


def elastic_conv_norm(inputs: int, outputs: int, kernel: int, stride: int, eps: float) -> Named:
    return Named(conv=ElasticConv(inputs, outputs, kernel, stride), bn=ElasticBatchNorm(outputs, eps))


class ElasticBottleneck(nn.Module):
    """StaticBottleneck block with elastic input, middle and output widths; the first of a stage has a pooled shortcut."""

    def __init__(self, inputs: int, middle: int, outputs: int, stride: int, eps: float, *, first: bool) -> None:
        super().__init__()
        self.conv1 = elastic_conv_norm(inputs, middle, 1, 1, eps)
        self.conv2 = elastic_conv_norm(middle, middle, 3, stride, eps)
        self.conv3 = elastic_conv_norm(middle, outputs, 1, 1, eps)
        if first:
            self.downsample = elastic_conv_norm(inputs, outputs, 1, 1, eps)

    def forward(self, x_NCHW: Tensor, plan: BottleneckPlan) -> Tensor:
        y = F.relu(self.conv1.bn(self.conv1.conv(x_NCHW, plan.middle)))
        y = F.relu(self.conv2.bn(self.conv2.conv(y, plan.middle)))
        y = self.conv3.bn(self.conv3.conv(y, plan.outputs))
        if plan.first:
            pooled = F.avg_pool2d(x_NCHW, plan.stride, plan.stride, 0, True) if plan.stride > 1 else x_NCHW
            x_NCHW = self.downsample.bn(self.downsample.conv(pooled, plan.outputs))
        return F.relu(y + x_NCHW)

    def sort_channels(self) -> None:
        """Put the middle channels in order of importance, those behind the second convolution first; in place."""
        pairs = ((self.conv2, self.conv3), (self.conv1, self.conv2))
        for maker, reader in pairs:
            read = (reader.conv.conv.weight, 1)
            sort_by_importance([(maker.conv.conv.weight, 0), *norm_slots(maker.bn), read], [read])

    def static(self, plan: BottleneckPlan) -> StaticBottleneck:
        """The static block of `plan` with copies of the sliced weights."""
        sizes = ((self.conv1, plan.inputs, plan.middle), (self.conv2, plan.middle, plan.middle))
        layers = [static_conv_norm(layer, a, b) for layer, a, b in (*sizes, (self.conv3, plan.middle, plan.outputs))]
        shortcut: list[nn.Module] = []
        if plan.first:
            pool = [nn.AvgPool2d(plan.stride, plan.stride, 0, ceil_mode=True)] if plan.stride > 1 else []
            shortcut = [*pool, *static_conv_norm(self.downsample, plan.inputs, plan.outputs)]
        return StaticBottleneck(layers, shortcut)


def static_conv_norm(layer: Named, inputs: int, outputs: int) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    """Plain convolution and batch norm with copies of an elastic layer's slices."""
    return layer.conv.static(inputs, outputs), layer.bn.static(outputs)


class StaticBottleneck(nn.Module):
    """The static bottleneck block of an extracted subnet."""

    def __init__(self, layers: Sequence[tuple[nn.Conv2d, nn.BatchNorm2d]], shortcut: Sequence[nn.Module]) -> None:
        super().__init__()
        (conv1, bn1), (conv2, bn2), (conv3, bn3) = layers
        self.body = nn.Sequential(conv1, bn1, nn.ReLU(), conv2, bn2, nn.ReLU(), conv3, bn3)
        self.shortcut = nn.Sequential(*shortcut) if shortcut else nn.Identity()
        self.act = nn.ReLU()

    def forward(self, x_NCHW: Tensor) -> Tensor:
        return self.act(self.body(x_NCHW) + self.shortcut(x_NCHW))  # type: ignore[no-any-return]


class StemResidual(nn.Module):
    """x + act(bn(conv(x))), the part of the stem that can be left out."""

    def __init__(self, conv: nn.Conv2d, bn: nn.BatchNorm2d) -> None:
        super().__init__()
        self.body = nn.Sequential(conv, bn, nn.ReLU())

    def forward(self, x_NCHW: Tensor) -> Tensor:
        return x_NCHW + self.body(x_NCHW)  # type: ignore[no-any-return]
