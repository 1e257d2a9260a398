"""Elastic layers: one full-size weight, of which each call uses a slice.

Rules of Once-for-All (Cai, Gan, Wang, Zhang, Han, 2020, arXiv 1908.09791). Parameter names are those
of the reference implementation, so that its checkpoints load unchanged. Tensors are NCHW.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def make_divisible(value: float, divisor: int = 8, minimum: int | None = None) -> int:
    """The multiple of `divisor` nearest to `value`, never less than 90 % of it."""
    minimum = divisor if minimum is None else minimum
    rounded = max(minimum, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


class ElasticPointwise(nn.Module):
    """1×1 convolution whose first `out` rows and first input columns are used."""

    def __init__(self, max_in: int, max_out: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(max_in, max_out, 1, bias=False)

    def weight(self, inputs: int, outputs: int) -> Tensor:
        return self.conv.weight[:outputs, :inputs]

    def forward(self, x_NCHW: Tensor, outputs: int) -> Tensor:
        return F.conv2d(x_NCHW, self.weight(x_NCHW.shape[1], outputs))


class ElasticDepthwise(nn.Module):
    """Depth-wise convolution with elastic channels and elastic kernel.

    A smaller kernel is the centre of the next larger one times a learned matrix, shared over the
    channels: 7 → 5 → 3, always along the whole chain. In the state dict the matrices stand beside
    the convolution, as in the reference; files that name them below it load as well.
    """

    def __init__(self, max_channels: int, kernels: Sequence[int], stride: int) -> None:
        super().__init__()
        self.kernels = sorted(kernels)
        self.stride = stride
        largest = self.kernels[-1]
        self.conv = nn.Conv2d(
            max_channels, max_channels, largest, stride, largest // 2, groups=max_channels, bias=False
        )
        self._matrices: list[str] = []
        for small, large in zip(self.kernels[:-1], self.kernels[1:], strict=True):
            self._matrices.append(f"{large}to{small}_matrix")
            self.conv.register_parameter(self._matrices[-1], nn.Parameter(torch.eye(small**2)))
        self.register_state_dict_post_hook(_matrices_beside)
        self.register_load_state_dict_pre_hook(_matrices_below)

    def weight(self, channels: int, kernel: int) -> Tensor:
        """The (channels, 1, kernel, kernel) weight of a subnet."""
        weight = self.conv.weight[:channels]
        for i in range(len(self.kernels) - 1, 0, -1):
            large, small = self.kernels[i], self.kernels[i - 1]
            if kernel >= large:
                break
            start = large // 2 - small // 2
            centre = weight[:, :, start : start + small, start : start + small]
            matrix = self.conv.get_parameter(f"{large}to{small}_matrix")
            weight = F.linear(centre.reshape(-1, small**2), matrix).view(channels, 1, small, small)
        return weight

    def forward(self, x_NCHW: Tensor, kernel: int) -> Tensor:
        channels = x_NCHW.shape[1]
        return F.conv2d(x_NCHW, self.weight(channels, kernel), None, self.stride, kernel // 2, 1, channels)


def _matrices_beside(layer: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    for name in cast(ElasticDepthwise, layer)._matrices:
        state[f"{prefix}{name}"] = state.pop(f"{prefix}conv.{name}")


def _matrices_below(layer: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    for name in cast(ElasticDepthwise, layer)._matrices:
        if f"{prefix}{name}" in state:
            state[f"{prefix}conv.{name}"] = state.pop(f"{prefix}{name}")


class ElasticBatchNorm(nn.Module):
    """Batch normalisation over the first channels; running statistics are those of whoever trained last.

    Before a subnet is judged its statistics are recalibrated (`hwsearch.accuracy.recalibrate`).
    """

    def __init__(self, max_channels: int, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(max_channels, eps=eps, momentum=momentum)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        bn, n = self.bn, x_NCHW.shape[1]
        assert bn.running_mean is not None and bn.running_var is not None and bn.momentum is not None
        return F.batch_norm(
            x_NCHW,
            bn.running_mean[:n],
            bn.running_var[:n],
            bn.weight[:n],
            bn.bias[:n],
            bn.training,
            bn.momentum,
            bn.eps,
        )


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


def copy_batch_norm(target: nn.BatchNorm2d, source: nn.BatchNorm2d) -> None:
    """Copy the first channels of `source` into `target` (weights, statistics, eps)."""
    n = target.num_features
    with torch.no_grad():
        target.weight.copy_(source.weight[:n])
        target.bias.copy_(source.bias[:n])
        assert target.running_mean is not None and source.running_mean is not None
        assert target.running_var is not None and source.running_var is not None
        target.running_mean.copy_(source.running_mean[:n])
        target.running_var.copy_(source.running_var[:n])
