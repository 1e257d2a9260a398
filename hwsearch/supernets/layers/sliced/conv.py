"""Convolution that uses the first channels and the centre of its kernel."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from hwsearch.supernets.kernels import active
from hwsearch.supernets.layers.sliced.tensors import Axes, adopt_tensors, leading


class SlicedConv2d(nn.Conv2d):
    """Convolution with the parameters of another: its first rows, the input columns that it sees, its kernel's centre.

    Parameters
    ----------
    source : nn.Conv2d
        Convolution whose parameters it shares.

    Attributes
    ----------
    outputs : int
        Output channels in use; a depth-wise convolution has as many as its input.
    crop : int
        Weights cut from each side of the kernel; the padding shrinks with it, so the output keeps its size.
    """

    def __init__(self, source: nn.Conv2d) -> None:
        super().__init__(source.in_channels, source.out_channels, source.kernel_size, **_conv_options(source))  # type: ignore[arg-type]
        self.weight, self.bias = source.weight, source.bias
        self.outputs = source.out_channels
        self.crop = 0
        self.train(source.training)

    @property
    def depthwise(self) -> bool:
        """Whether each channel has one filter of its own."""
        return is_depthwise(self)

    @property
    def axes(self) -> Axes:
        """For each tensor, the part that its axes play: "out", "in" or None."""
        return {"weight": ("out", None if self.depthwise else "in"), "bias": ("out",)}

    def sliced(self, inputs: int, outputs: int, crop: int) -> tuple[Tensor, Tensor | None, dict[str, Any]]:
        """Slice the weight and bias of a subnet.

        Parameters
        ----------
        inputs : int
            Input channels.
        outputs : int
            Output channels.
        crop : int
            Weights cut from each side of the kernel.

        Returns
        -------
        weight : Tensor
            View of the weight.
        bias : Tensor or None
            View of the bias.
        options : dict
            The ``padding`` and ``groups`` that go with them.
        """
        outputs = inputs if self.depthwise else outputs
        weight = self.weight[:outputs] if self.depthwise else self.weight[:outputs, :inputs]
        padding: Any = self.padding
        if crop:
            weight = weight[:, :, crop:-crop, crop:-crop]
            if not isinstance(padding, str):
                padding = tuple(p - crop * d for p, d in zip(padding, self.dilation, strict=True))
        options = {"padding": padding, "groups": inputs if self.depthwise else self.groups}
        return weight, leading(self.bias, outputs), options

    @override
    def forward(self, input: Tensor) -> Tensor:
        weight, bias, options = self.sliced(input.shape[1], self.outputs, self.crop)
        if self.training and active().fused and bias is None and (kind := self._kind(weight, options["padding"])):
            if kind == "pointwise":
                return active().pointwise(input, weight)
            return active().depthwise(input, weight, self.stride[0])
        return F.conv2d(input, weight, bias, self.stride, dilation=self.dilation, **options)

    def _kind(self, weight: Tensor, padding: Any) -> str | None:
        """Tell which of the kernels' convolutions this is, if any."""
        (height, width), (down, right) = weight.shape[2:], self.stride
        plain = height == width and down == right and self.dilation == (1, 1) and self.padding_mode == "zeros"
        if not plain or not isinstance(padding, tuple) or padding != (height // 2, width // 2) or height % 2 == 0:
            return None
        if self.depthwise:
            return "depthwise"
        return "pointwise" if height == down == self.groups == 1 else None

    def static(self, inputs: int, outputs: int | None = None, crop: int = 0) -> nn.Conv2d:
        """Extract a plain convolution with a copy of the slice.

        Parameters
        ----------
        inputs : int
            Input channels.
        outputs : int, optional
            Output channels; by default all.
        crop : int, default 0
            Weights cut from each side of the kernel.

        Returns
        -------
        nn.Conv2d
            The convolution.
        """
        weight, bias, options = self.sliced(inputs, outputs or self.out_channels, crop)
        plain = nn.Conv2d(inputs, len(weight), weight.shape[2:], **_conv_options(self) | options)  # type: ignore[arg-type]
        return adopt_tensors(plain, self, weight=weight, bias=bias)  # type: ignore[no-any-return]


def is_depthwise(conv: nn.Conv2d) -> bool:
    """Tell whether each channel of a convolution has one filter of its own.

    Parameters
    ----------
    conv : nn.Conv2d
        The convolution.

    Returns
    -------
    bool
        True for as many groups as input and output channels, more than one.
    """
    return conv.groups > 1 and conv.groups == conv.in_channels == conv.out_channels


def _conv_options(conv: nn.Conv2d) -> dict[str, Any]:
    names = ("stride", "padding", "dilation", "groups", "padding_mode")
    return {n: getattr(conv, n) for n in names} | {"bias": conv.bias is not None, "device": "meta"}
