"""Elastic layers: one full-size weight, of which each call uses a slice."""

from __future__ import annotations

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from hwsearch.supernets.layers.sliced.tensors import Axes, adopt_tensors, leading


class _SlicedBatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch normalisation of the channels that it sees, with the parameters and statistics of `source`."""

    kind: type[nn.modules.batchnorm._BatchNorm]
    axes: ClassVar[Axes] = dict.fromkeys(("weight", "bias", "running_mean", "running_var"), ("out",))

    def __init__(self, source: nn.modules.batchnorm._BatchNorm) -> None:
        options = (source.eps, source.momentum, source.affine, source.track_running_stats)
        super().__init__(source.num_features, *options, device="meta")
        for name in (*self.axes, "num_batches_tracked"):
            setattr(self, name, getattr(source, name))
        self.train(source.training)

    def forward(self, input: Tensor) -> Tensor:
        mean, var, weight, bias = (leading(getattr(self, n), input.shape[1]) for n in _NORM_TENSORS)
        momentum = self.momentum
        if self.training and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            momentum = 1 / float(self.num_batches_tracked) if momentum is None else momentum
        training = self.training or mean is None
        return F.batch_norm(input, mean, var, weight, bias, training, momentum or 0.0, self.eps)

    def static(self, inputs: int) -> nn.Module:
        """A plain batch norm of so many channels, with copies."""
        options = (self.eps, self.momentum, self.affine, self.track_running_stats)
        plain = self.kind(inputs, *options, device="meta")
        count = self.num_batches_tracked
        return adopt_tensors(
            plain, self, num_batches_tracked=count, **{n: leading(getattr(self, n), inputs) for n in self.axes}
        )


class SlicedBatchNorm1d(_SlicedBatchNorm, nn.BatchNorm1d):
    kind = nn.BatchNorm1d


class SlicedBatchNorm2d(_SlicedBatchNorm, nn.BatchNorm2d):
    kind = nn.BatchNorm2d


class SlicedLayerNorm(nn.LayerNorm):
    """Layer normalisation over as many of the last axis as it sees, with the parameters of `source`."""

    axes: ClassVar[Axes] = {"weight": ("out",), "bias": ("out",)}

    def __init__(self, source: nn.LayerNorm) -> None:
        options = (source.eps, source.elementwise_affine, source.bias is not None)
        super().__init__(source.normalized_shape, *options, device="meta")  # type: ignore[arg-type]
        self.weight, self.bias = source.weight, source.bias
        self.train(source.training)

    def forward(self, input: Tensor) -> Tensor:
        n = input.shape[-1]
        return F.layer_norm(input, (n,), leading(self.weight, n), leading(self.bias, n), self.eps)

    def static(self, inputs: int) -> nn.LayerNorm:
        """A plain layer norm of so many features, with copies."""
        plain = nn.LayerNorm(inputs, self.eps, self.elementwise_affine, self.bias is not None, device="meta")
        return adopt_tensors(plain, self, weight=leading(self.weight, inputs), bias=leading(self.bias, inputs))


class SlicedGroupNorm(nn.GroupNorm):
    """Group normalisation of the channels that it sees, with the parameters of `source`; groups keep their size."""

    axes: ClassVar[Axes] = {"weight": ("out",), "bias": ("out",)}

    def __init__(self, source: nn.GroupNorm) -> None:
        super().__init__(source.num_groups, source.num_channels, source.eps, source.affine, device="meta")
        self.weight, self.bias = source.weight, source.bias
        self.train(source.training)

    @property
    def group_size(self) -> int:
        return self.num_channels // self.num_groups

    def forward(self, input: Tensor) -> Tensor:
        n = input.shape[1]
        return F.group_norm(input, n // self.group_size, leading(self.weight, n), leading(self.bias, n), self.eps)

    def static(self, inputs: int) -> nn.GroupNorm:
        """A plain group norm of so many channels, with copies."""
        plain = nn.GroupNorm(inputs // self.group_size, inputs, self.eps, self.affine, device="meta")
        return adopt_tensors(plain, self, weight=leading(self.weight, inputs), bias=leading(self.bias, inputs))


_NORM_TENSORS = ("running_mean", "running_var", "weight", "bias")
