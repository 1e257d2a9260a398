"""Elastic layers: one full-size weight, of which each call uses a slice."""

from __future__ import annotations

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from hwsearch.supernets.layers.sliced.tensors import Axes, adopt_tensors, leading


class SlicedLinear(nn.Linear):
    """Linear layer with the parameters of `source`: its first `outputs` rows, and the input columns that it sees."""

    axes: ClassVar[Axes] = {"weight": ("out", "in"), "bias": ("out",)}

    def __init__(self, source: nn.Linear) -> None:
        super().__init__(source.in_features, source.out_features, source.bias is not None, device="meta")
        self.weight, self.bias = source.weight, source.bias
        self.outputs = source.out_features
        self.train(source.training)

    def forward(self, input: Tensor) -> Tensor:
        return F.linear(input, self.weight[: self.outputs, : input.shape[-1]], leading(self.bias, self.outputs))

    def static(self, inputs: int, outputs: int | None = None) -> nn.Linear:
        """A plain linear layer of that size (None: all outputs), with a copy of the weights."""
        outputs = outputs or self.out_features
        weight, bias = self.weight[:outputs, :inputs], leading(self.bias, outputs)
        plain = nn.Linear(inputs, outputs, bias is not None, device="meta")
        return adopt_tensors(plain, self, weight=weight, bias=bias)
