"""Normalisation layers that use the first channels."""

from __future__ import annotations

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from hwsearch.supernets.kernels import Activation, Norm, active
from hwsearch.supernets.layers.sliced.activation import HandedActivation, Handover
from hwsearch.supernets.layers.sliced.tensors import Axes, adopt_tensors, leading

#: fewest elements that are normalised by kernels: below, and without an activation to be computed along, torch's own batch norm is
#: faster (two cores of an AMD EPYC with AVX-512: 0.95 to 1.0 times its speed for half as many elements, 1.15 for these, 1.8 for 2^23)
LEAST_FUSED = 1 << 19


class _SlicedBatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch normalisation of the channels that it sees, with the parameters and statistics of `source`."""

    kind: type[nn.modules.batchnorm._BatchNorm]
    axes: ClassVar[Axes] = dict.fromkeys(("weight", "bias", "running_mean", "running_var"), ("out",))

    def __init__(self, source: nn.modules.batchnorm._BatchNorm) -> None:
        options = (source.eps, source.momentum, source.affine, source.track_running_stats)
        super().__init__(source.num_features, *options, device="meta")
        for name in (*self.axes, "num_batches_tracked"):
            setattr(self, name, getattr(source, name))
        self.act: Activation = "identity"
        self.handover: Handover | None = None
        self.train(source.training)

    def hand_to(self, activation: HandedActivation) -> None:
        """Let an activation behind this norm be computed with it, where kernels compute both.

        Parameters
        ----------
        activation : HandedActivation
            The only layer that reads this norm's output.
        """
        self.act, self.handover = activation.kind, activation.handover

    @override
    def forward(self, input: Tensor) -> Tensor:
        if (
            self.handover is not None
            and (self.training and active().fused and input.numel() >= LEAST_FUSED)
            and (norm := self._for_kernels(input.shape[1])) is not None
        ):
            if self.num_batches_tracked is not None:
                self.num_batches_tracked.add_(1)
            self.handover.activated = y = active().norm_act(input, norm, self.act)
            return y
        mean, var, weight, bias = (leading(getattr(self, n), input.shape[1]) for n in _NORM_TENSORS)
        momentum = self.momentum
        if self.training and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            momentum = 1 / float(self.num_batches_tracked) if momentum is None else momentum
        training = self.training or mean is None
        return F.batch_norm(input, mean, var, weight, bias, training, momentum or 0.0, self.eps)

    def _for_kernels(self, channels: int) -> Norm | None:
        """Slice what kernels need; None for norms that they do not have."""
        mean, var, weight, bias = (leading(getattr(self, n), channels) for n in _NORM_TENSORS)
        if mean is None or var is None or weight is None or bias is None or self.momentum is None:
            return None
        return Norm(weight, bias, mean, var, self.momentum, self.eps)

    def static(self, inputs: int) -> nn.Module:
        """Extract a plain batch norm with copies of the slices.

        Parameters
        ----------
        inputs : int
            Channels.

        Returns
        -------
        nn.Module
            The norm.
        """
        options = (self.eps, self.momentum, self.affine, self.track_running_stats)
        plain = self.kind(inputs, *options, device="meta")
        count = self.num_batches_tracked
        return adopt_tensors(
            plain, self, num_batches_tracked=count, **{n: leading(getattr(self, n), inputs) for n in self.axes}
        )


class SlicedBatchNorm1d(_SlicedBatchNorm, nn.BatchNorm1d):
    """Batch normalisation of vectors, over the channels that it sees.

    Parameters
    ----------
    source : nn.BatchNorm1d
        Norm whose parameters and statistics it shares.
    """

    kind = nn.BatchNorm1d


class SlicedBatchNorm2d(_SlicedBatchNorm, nn.BatchNorm2d):
    """Batch normalisation of images, over the channels that it sees.

    Parameters
    ----------
    source : nn.BatchNorm2d
        Norm whose parameters and statistics it shares.
    """

    kind = nn.BatchNorm2d


class SlicedLayerNorm(nn.LayerNorm):
    """Layer normalisation over as many of the last axis's features as it sees.

    Parameters
    ----------
    source : nn.LayerNorm
        Norm whose parameters it shares.
    """

    axes: ClassVar[Axes] = {"weight": ("out",), "bias": ("out",)}

    def __init__(self, source: nn.LayerNorm) -> None:
        options = (source.eps, source.elementwise_affine, source.bias is not None)
        super().__init__(source.normalized_shape, *options, device="meta")  # type: ignore[arg-type]
        self.weight, self.bias = source.weight, source.bias
        self.train(source.training)

    @override
    def forward(self, input: Tensor) -> Tensor:
        n = input.shape[-1]
        return F.layer_norm(input, (n,), leading(self.weight, n), leading(self.bias, n), self.eps)

    def static(self, inputs: int) -> nn.LayerNorm:
        """Extract a plain layer norm with copies of the slices.

        Parameters
        ----------
        inputs : int
            Features.

        Returns
        -------
        nn.LayerNorm
            The norm.
        """
        plain = nn.LayerNorm(inputs, self.eps, self.elementwise_affine, self.bias is not None, device="meta")
        return adopt_tensors(plain, self, weight=leading(self.weight, inputs), bias=leading(self.bias, inputs))


class SlicedGroupNorm(nn.GroupNorm):
    """Group normalisation of the channels that it sees; groups keep their size.

    Parameters
    ----------
    source : nn.GroupNorm
        Norm whose parameters it shares.
    """

    axes: ClassVar[Axes] = {"weight": ("out",), "bias": ("out",)}

    def __init__(self, source: nn.GroupNorm) -> None:
        super().__init__(source.num_groups, source.num_channels, source.eps, source.affine, device="meta")
        self.weight, self.bias = source.weight, source.bias
        self.train(source.training)

    @property
    def group_size(self) -> int:
        """Channels of a group."""
        return self.num_channels // self.num_groups

    @override
    def forward(self, input: Tensor) -> Tensor:
        n = input.shape[1]
        return F.group_norm(input, n // self.group_size, leading(self.weight, n), leading(self.bias, n), self.eps)

    def static(self, inputs: int) -> nn.GroupNorm:
        """Extract a plain group norm with copies of the slices.

        Parameters
        ----------
        inputs : int
            Channels, a multiple of `group_size`.

        Returns
        -------
        nn.GroupNorm
            The norm.
        """
        plain = nn.GroupNorm(inputs // self.group_size, inputs, self.eps, self.affine, device="meta")
        return adopt_tensors(plain, self, weight=leading(self.weight, inputs), bias=leading(self.bias, inputs))


_NORM_TENSORS = ("running_mean", "running_var", "weight", "bias")
