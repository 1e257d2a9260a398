"""Linear layer that uses the first features."""

from __future__ import annotations

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from hwsearch.supernets.layers.sliced.tensors import Axes, adopt_tensors, leading


class SlicedLinear(nn.Linear):
    """Linear layer with the parameters of another: its first rows, and the input columns that it sees.

    Parameters
    ----------
    source : nn.Linear
        Layer whose parameters it shares.

    Attributes
    ----------
    outputs : int
        Output features in use.
    """

    axes: ClassVar[Axes] = {"weight": ("out", "in"), "bias": ("out",)}

    def __init__(self, source: nn.Linear) -> None:
        super().__init__(source.in_features, source.out_features, source.bias is not None, device="meta")
        self.weight, self.bias = source.weight, source.bias
        self.outputs = source.out_features
        self.train(source.training)

    @override
    def forward(self, input: Tensor) -> Tensor:
        return F.linear(input, self.weight[: self.outputs, : input.shape[-1]], leading(self.bias, self.outputs))

    def static(self, inputs: int, outputs: int | None = None) -> nn.Linear:
        """Extract a plain linear layer with a copy of the slice.

        Parameters
        ----------
        inputs : int
            Input features.
        outputs : int, optional
            Output features; by default all.

        Returns
        -------
        nn.Linear
            The layer.
        """
        outputs = outputs or self.out_features
        weight, bias = self.weight[:outputs, :inputs], leading(self.bias, outputs)
        plain = nn.Linear(inputs, outputs, bias is not None, device="meta")
        return adopt_tensors(plain, self, weight=weight, bias=bias)
