"""Elastic layers: one full-size weight, of which each call uses a slice."""

from __future__ import annotations

from typing import Any, ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

# ---------------------------------------------------------------------- layers that take the place of plain ones
#: of each tensor of a layer, the part that each of its axes plays: "out", "in", or None for one that is never cut
Axes = dict[str, tuple[str | None, ...]]


class ElasticConv2d(nn.Conv2d):
    """Convolution with the parameters of `source`: its first rows, the input columns that it sees, its kernel's centre.

    outputs : rows in use; a depth-wise convolution has as many as it sees inputs
    crop : weights cut from each side of the kernel; the padding shrinks by as much, so the output keeps its size
    """

    def __init__(self, source: nn.Conv2d) -> None:
        super().__init__(source.in_channels, source.out_channels, source.kernel_size, **_conv_options(source))  # type: ignore[arg-type]
        self.weight, self.bias = source.weight, source.bias
        self.outputs = source.out_channels
        self.crop = 0
        self.train(source.training)

    @property
    def depthwise(self) -> bool:
        return is_depthwise(self)

    @property
    def axes(self) -> Axes:
        return {"weight": ("out", None if self.depthwise else "in"), "bias": ("out",)}

    def sliced(self, inputs: int, outputs: int, crop: int) -> tuple[Tensor, Tensor | None, dict[str, Any]]:
        """Weight, bias, and the padding and groups that go with them."""
        outputs = inputs if self.depthwise else outputs
        weight = self.weight[:outputs] if self.depthwise else self.weight[:outputs, :inputs]
        padding: Any = self.padding
        if crop:
            weight = weight[:, :, crop:-crop, crop:-crop]
            if not isinstance(padding, str):
                padding = tuple(p - crop * d for p, d in zip(padding, self.dilation, strict=True))
        options = {"padding": padding, "groups": inputs if self.depthwise else self.groups}
        return weight, _first(self.bias, outputs), options

    def forward(self, input: Tensor) -> Tensor:
        weight, bias, options = self.sliced(input.shape[1], self.outputs, self.crop)
        return F.conv2d(input, weight, bias, self.stride, dilation=self.dilation, **options)

    def static(self, inputs: int, outputs: int | None = None, crop: int = 0) -> nn.Conv2d:
        """A plain convolution of that size (None: all outputs), with a copy of the weights."""
        weight, bias, options = self.sliced(inputs, outputs or self.out_channels, crop)
        plain = nn.Conv2d(inputs, len(weight), weight.shape[2:], **_conv_options(self) | options)  # type: ignore[arg-type]
        return _adopt(plain, self, weight=weight, bias=bias)  # type: ignore[no-any-return]


class ElasticLinear(nn.Linear):
    """Linear layer with the parameters of `source`: its first `outputs` rows, and the input columns that it sees."""

    axes: ClassVar[Axes] = {"weight": ("out", "in"), "bias": ("out",)}

    def __init__(self, source: nn.Linear) -> None:
        super().__init__(source.in_features, source.out_features, source.bias is not None, device="meta")
        self.weight, self.bias = source.weight, source.bias
        self.outputs = source.out_features
        self.train(source.training)

    def forward(self, input: Tensor) -> Tensor:
        return F.linear(input, self.weight[: self.outputs, : input.shape[-1]], _first(self.bias, self.outputs))

    def static(self, inputs: int, outputs: int | None = None) -> nn.Linear:
        """A plain linear layer of that size (None: all outputs), with a copy of the weights."""
        outputs = outputs or self.out_features
        weight, bias = self.weight[:outputs, :inputs], _first(self.bias, outputs)
        plain = nn.Linear(inputs, outputs, bias is not None, device="meta")
        return _adopt(plain, self, weight=weight, bias=bias)


class _ElasticBatchNorm(nn.modules.batchnorm._BatchNorm):
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
        mean, var, weight, bias = (_first(getattr(self, n), input.shape[1]) for n in _NORM_TENSORS)
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
        return _adopt(
            plain, self, num_batches_tracked=count, **{n: _first(getattr(self, n), inputs) for n in self.axes}
        )


class ElasticBatchNorm1d(_ElasticBatchNorm, nn.BatchNorm1d):
    kind = nn.BatchNorm1d


class ElasticBatchNorm2d(_ElasticBatchNorm, nn.BatchNorm2d):
    kind = nn.BatchNorm2d


class ElasticLayerNorm(nn.LayerNorm):
    """Layer normalisation over as many of the last axis as it sees, with the parameters of `source`."""

    axes: ClassVar[Axes] = {"weight": ("out",), "bias": ("out",)}

    def __init__(self, source: nn.LayerNorm) -> None:
        options = (source.eps, source.elementwise_affine, source.bias is not None)
        super().__init__(source.normalized_shape, *options, device="meta")  # type: ignore[arg-type]
        self.weight, self.bias = source.weight, source.bias
        self.train(source.training)

    def forward(self, input: Tensor) -> Tensor:
        n = input.shape[-1]
        return F.layer_norm(input, (n,), _first(self.weight, n), _first(self.bias, n), self.eps)

    def static(self, inputs: int) -> nn.LayerNorm:
        """A plain layer norm of so many features, with copies."""
        plain = nn.LayerNorm(inputs, self.eps, self.elementwise_affine, self.bias is not None, device="meta")
        return _adopt(plain, self, weight=_first(self.weight, inputs), bias=_first(self.bias, inputs))


class ElasticGroupNorm(nn.GroupNorm):
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
        return F.group_norm(input, n // self.group_size, _first(self.weight, n), _first(self.bias, n), self.eps)

    def static(self, inputs: int) -> nn.GroupNorm:
        """A plain group norm of so many channels, with copies."""
        plain = nn.GroupNorm(inputs // self.group_size, inputs, self.eps, self.affine, device="meta")
        return _adopt(plain, self, weight=_first(self.weight, inputs), bias=_first(self.bias, inputs))


ElasticLayer = (
    ElasticConv2d | ElasticLinear | ElasticBatchNorm1d | ElasticBatchNorm2d | ElasticLayerNorm | ElasticGroupNorm
)


#: plain layer → what takes its place
ELASTIC: dict[type[nn.Module], type[ElasticLayer]] = {
    nn.Conv2d: ElasticConv2d,
    nn.Linear: ElasticLinear,
    nn.BatchNorm1d: ElasticBatchNorm1d,
    nn.BatchNorm2d: ElasticBatchNorm2d,
    nn.LayerNorm: ElasticLayerNorm,
    nn.GroupNorm: ElasticGroupNorm,
}


_NORM_TENSORS = ("running_mean", "running_var", "weight", "bias")


def is_depthwise(conv: nn.Conv2d) -> bool:
    """Whether each channel has one filter of its own."""
    return conv.groups > 1 and conv.groups == conv.in_channels == conv.out_channels


def _conv_options(conv: nn.Conv2d) -> dict[str, Any]:
    names = ("stride", "padding", "dilation", "groups", "padding_mode")
    return {n: getattr(conv, n) for n in names} | {"bias": conv.bias is not None, "device": "meta"}


def _first(tensor: Tensor | None, n: int) -> Tensor | None:
    return None if tensor is None else tensor[:n]


def _adopt(plain: Any, source: nn.Module, **tensors: Tensor | None) -> Any:
    """`plain` with copies of these tensors (None: without it), parameters and mode like those of `source`."""
    for name, tensor in tensors.items():
        value: Any = None if tensor is None else tensor.detach().clone()
        if isinstance(parameter := getattr(source, name), nn.Parameter):
            value = nn.Parameter(value, parameter.requires_grad)
        setattr(plain, name, value)
    return plain.train(source.training)
