"""Elastic layers: one full-size weight, of which each call uses a slice."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from hwsearch.supernets.layers.sliced.tensors import Axes, adopt_tensors, leading


class SlicedConv2d(nn.Conv2d):
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
        return weight, leading(self.bias, outputs), options

    def forward(self, input: Tensor) -> Tensor:
        weight, bias, options = self.sliced(input.shape[1], self.outputs, self.crop)
        return F.conv2d(input, weight, bias, self.stride, dilation=self.dilation, **options)

    def static(self, inputs: int, outputs: int | None = None, crop: int = 0) -> nn.Conv2d:
        """A plain convolution of that size (None: all outputs), with a copy of the weights."""
        weight, bias, options = self.sliced(inputs, outputs or self.out_channels, crop)
        plain = nn.Conv2d(inputs, len(weight), weight.shape[2:], **_conv_options(self) | options)  # type: ignore[arg-type]
        return adopt_tensors(plain, self, weight=weight, bias=bias)  # type: ignore[no-any-return]


def is_depthwise(conv: nn.Conv2d) -> bool:
    """Whether each channel has one filter of its own."""
    return conv.groups > 1 and conv.groups == conv.in_channels == conv.out_channels


def _conv_options(conv: nn.Conv2d) -> dict[str, Any]:
    names = ("stride", "padding", "dilation", "groups", "padding_mode")
    return {n: getattr(conv, n) for n in names} | {"bias": conv.bias is not None, "device": "meta"}
