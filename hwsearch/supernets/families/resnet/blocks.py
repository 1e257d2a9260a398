"""Bottleneck blocks with pooled shortcuts, elastic and static."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from hwsearch.supernets.layers.containers import Named
from hwsearch.supernets.layers.conv import ElasticConv
from hwsearch.supernets.layers.norm import ElasticBatchNorm
from hwsearch.supernets.layers.ordering import norm_slots, sort_by_importance


@dataclass(frozen=True)
class BottleneckPlan:
    """One block of one architecture, all sizes resolved.

    Attributes
    ----------
    index : int
        Index of the block in the largest network.
    inputs : int
        Input channels.
    middle : int
        Channels between the convolutions.
    outputs : int
        Output channels.
    stride : int
        Stride.
    first : bool
        Whether it is the first of its stage.
    """

    index: int
    inputs: int
    middle: int
    outputs: int
    stride: int
    first: bool


#: channels of the stem, of its output, and whether its residual is kept; blocks in order
ResNetPlan = tuple[tuple[int, int, bool], list[BottleneckPlan]]


def elastic_conv_norm(inputs: int, outputs: int, kernel: int, stride: int, eps: float) -> Named:
    """Build an elastic convolution and the elastic batch norm behind it.

    Parameters
    ----------
    inputs : int
        Input channels at full size.
    outputs : int
        Output channels at full size.
    kernel : int
        Side of the kernel.
    stride : int
        Stride.
    eps : float
        Added to the variance in the norm.

    Returns
    -------
    Named
        Container with the children ``conv`` and ``bn``.
    """
    return Named(conv=ElasticConv(inputs, outputs, kernel, stride), bn=ElasticBatchNorm(outputs, eps))


class ElasticBottleneck(nn.Module):
    """Bottleneck block with elastic input, middle and output widths; the first of a stage has a pooled shortcut.

    Parameters
    ----------
    inputs : int
        Input channels at full size.
    middle : int
        Channels between the convolutions at full size.
    outputs : int
        Output channels at full size.
    stride : int
        Stride.
    eps : float
        Added to the variance in batch norms.
    first : bool
        Whether it is the first of its stage.

    References
    ----------
    He et al., 2015, Deep Residual Learning, arXiv 1512.03385.
    He et al., 2018, Bag of Tricks (ResNet-D), arXiv 1812.01187.
    """

    def __init__(self, inputs: int, middle: int, outputs: int, stride: int, eps: float, *, first: bool) -> None:
        super().__init__()
        self.conv1 = elastic_conv_norm(inputs, middle, 1, 1, eps)
        self.conv2 = elastic_conv_norm(middle, middle, 3, stride, eps)
        self.conv3 = elastic_conv_norm(middle, outputs, 1, 1, eps)
        if first:
            self.downsample = elastic_conv_norm(inputs, outputs, 1, 1, eps)

    def forward(self, x_NCHW: Tensor, plan: BottleneckPlan) -> Tensor:
        """Run the block as one architecture has it.

        Parameters
        ----------
        x_NCHW : Tensor
            Input of shape (N, inputs, H, W).
        plan : BottleneckPlan
            Sizes of the block.

        Returns
        -------
        Tensor
            Output of shape (N, outputs, H', W').
        """
        y = self.conv1.conv.normed(x_NCHW, plan.middle, self.conv1.bn, "relu")
        y = self.conv2.conv.normed(y, plan.middle, self.conv2.bn, "relu")
        if plan.first:
            pooled = F.avg_pool2d(x_NCHW, plan.stride, plan.stride, 0, True) if plan.stride > 1 else x_NCHW
            x_NCHW = self.downsample.conv.normed(pooled, plan.outputs, self.downsample.bn)
        return F.relu(self.conv3.conv.normed(y, plan.outputs, self.conv3.bn, residual=x_NCHW))

    def sort_channels(self) -> None:
        """Sort the middle channels by importance, those behind the second convolution first; in place."""
        pairs = ((self.conv2, self.conv3), (self.conv1, self.conv2))
        for maker, reader in pairs:
            read = (reader.conv.conv.weight, 1)
            sort_by_importance([(maker.conv.conv.weight, 0), *norm_slots(maker.bn), read], [read])

    def static(self, plan: BottleneckPlan) -> StaticBottleneck:
        """Extract the static block of a plan, with copies of the sliced weights.

        Parameters
        ----------
        plan : BottleneckPlan
            Sizes of the block.

        Returns
        -------
        StaticBottleneck
            The block.
        """
        sizes = ((self.conv1, plan.inputs, plan.middle), (self.conv2, plan.middle, plan.middle))
        layers = [static_conv_norm(layer, a, b) for layer, a, b in (*sizes, (self.conv3, plan.middle, plan.outputs))]
        shortcut: list[nn.Module] = []
        if plan.first:
            pool = [nn.AvgPool2d(plan.stride, plan.stride, 0, ceil_mode=True)] if plan.stride > 1 else []
            shortcut = [*pool, *static_conv_norm(self.downsample, plan.inputs, plan.outputs)]
        return StaticBottleneck(layers, shortcut)


def static_conv_norm(layer: Named, inputs: int, outputs: int) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    """Extract a plain convolution and batch norm with copies of an elastic layer's slices.

    Parameters
    ----------
    layer : Named
        Container as of `elastic_conv_norm`.
    inputs : int
        Input channels.
    outputs : int
        Output channels.

    Returns
    -------
    tuple of (nn.Conv2d, nn.BatchNorm2d)
        The layers.
    """
    return layer.conv.static(inputs, outputs), layer.bn.static(outputs)


class StaticBottleneck(nn.Module):
    """Bottleneck block of an extracted subnet.

    Parameters
    ----------
    layers : sequence of (nn.Conv2d, nn.BatchNorm2d)
        The three convolutions with their norms.
    shortcut : sequence of nn.Module
        Layers of the shortcut; none for the input itself.
    """

    def __init__(self, layers: Sequence[tuple[nn.Conv2d, nn.BatchNorm2d]], shortcut: Sequence[nn.Module]) -> None:
        super().__init__()
        (conv1, bn1), (conv2, bn2), (conv3, bn3) = layers
        self.body = nn.Sequential(conv1, bn1, nn.ReLU(), conv2, bn2, nn.ReLU(), conv3, bn3)
        self.shortcut = nn.Sequential(*shortcut) if shortcut else nn.Identity()
        self.act = nn.ReLU()

    @override
    def forward(self, x_NCHW: Tensor) -> Tensor:
        return self.act(self.body(x_NCHW) + self.shortcut(x_NCHW))  # type: ignore[no-any-return]


class StemResidual(nn.Module):
    """x + act(bn(conv(x))), the part of the stem that can be left out.

    Parameters
    ----------
    conv : nn.Conv2d
        Convolution that keeps the shape.
    bn : nn.BatchNorm2d
        Norm behind it.
    """

    def __init__(self, conv: nn.Conv2d, bn: nn.BatchNorm2d) -> None:
        super().__init__()
        self.body = nn.Sequential(conv, bn, nn.ReLU())

    @override
    def forward(self, x_NCHW: Tensor) -> Tensor:
        return x_NCHW + self.body(x_NCHW)  # type: ignore[no-any-return]
