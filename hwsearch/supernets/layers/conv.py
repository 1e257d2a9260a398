"""Elastic layers: one full-size weight, of which each call uses a slice."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ElasticConv(nn.Module):
    """Convolution whose first `outputs` rows and first input columns are used; padding keeps the size."""

    def __init__(self, max_in: int, max_out: int, kernel: int = 1, stride: int = 1) -> None:
        super().__init__()
        self.stride, self.padding = stride, kernel // 2
        self.conv = nn.Conv2d(max_in, max_out, kernel, stride, kernel // 2, bias=False)

    def weight(self, inputs: int, outputs: int) -> Tensor:
        return self.conv.weight[:outputs, :inputs]

    def forward(self, x_NCHW: Tensor, outputs: int) -> Tensor:
        return F.conv2d(x_NCHW, self.weight(x_NCHW.shape[1], outputs), None, self.stride, self.padding)

    def static(self, inputs: int, outputs: int) -> nn.Conv2d:
        """A plain convolution with a copy of the slice."""
        conv = nn.Conv2d(inputs, outputs, self.conv.kernel_size, self.stride, self.padding, bias=False)  # type: ignore[arg-type]
        with torch.no_grad():
            conv.weight.copy_(self.weight(inputs, outputs))
        return conv


class ElasticClassifier(nn.Module):
    """Linear layer with bias, of which the first input columns are used."""

    def __init__(self, max_in: int, classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(max_in, classes)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.linear.weight[:, : x.shape[1]], self.linear.bias)

    def static(self, inputs: int) -> nn.Linear:
        """A plain linear layer with a copy of the slice."""
        linear = nn.Linear(inputs, self.linear.out_features)
        with torch.no_grad():
            linear.weight.copy_(self.linear.weight[:, :inputs])
            linear.bias.copy_(self.linear.bias)
        return linear
