"""Elastic squeeze-and-excitation."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from typing_extensions import override

from hwsearch.supernets.kernels import EAGER, active
from hwsearch.supernets.layers.naming import make_divisible


class ElasticSqueezeExcite(nn.Module):
    """Squeeze-and-excitation with elastic channels and a bottleneck of a quarter of them.

    Parameters
    ----------
    max_channels : int
        Channels at full size.

    References
    ----------
    Hu, Shen, Sun, 2018, Squeeze-and-Excitation Networks, arXiv 1709.01507.
    """

    def __init__(self, max_channels: int) -> None:
        super().__init__()
        middle = make_divisible(max_channels // 4)
        self.fc = nn.ModuleDict(
            {"reduce": nn.Conv2d(max_channels, middle, 1), "expand": nn.Conv2d(middle, max_channels, 1)}
        )

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Scale each channel by its gate.

        Parameters
        ----------
        x_NCHW : Tensor
            Input of shape (N, C, H, W) with C up to `max_channels`.

        Returns
        -------
        Tensor
            Output of the same shape.
        """
        channels = x_NCHW.shape[1]
        middle = make_divisible(channels // 4)
        reduce, expand = self.fc["reduce"], self.fc["expand"]
        assert isinstance(reduce, nn.Conv2d) and isinstance(expand, nn.Conv2d)
        assert reduce.bias is not None and expand.bias is not None
        return (active() if self.training else EAGER).squeeze_excite(
            x_NCHW,
            reduce.weight[:middle, :channels],
            reduce.bias[:middle],
            expand.weight[:channels, :middle],
            expand.bias[:channels],
        )

    def static(self, channels: int) -> SqueezeExcite:
        """Extract the plain form with copies of the slices.

        Parameters
        ----------
        channels : int
            Channels.

        Returns
        -------
        SqueezeExcite
            The layer.
        """
        block = SqueezeExcite(channels)
        with torch.no_grad():
            for mine, full in ((block.reduce, self.fc["reduce"]), (block.expand, self.fc["expand"])):
                assert isinstance(full, nn.Conv2d) and mine.bias is not None and full.bias is not None
                mine.weight.copy_(full.weight[: mine.out_channels, : mine.in_channels])
                mine.bias.copy_(full.bias[: mine.out_channels])
        return block


class SqueezeExcite(nn.Module):
    """Squeeze-and-excitation of fixed size, part of an extracted subnet.

    Parameters
    ----------
    channels : int
        Channels.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        middle = make_divisible(channels // 4)
        self.reduce = nn.Conv2d(channels, middle, 1)
        self.act = nn.ReLU()
        self.expand = nn.Conv2d(middle, channels, 1)
        self.gate = nn.Hardsigmoid()

    @override
    def forward(self, x_NCHW: Tensor) -> Tensor:
        s = x_NCHW.mean((2, 3), keepdim=True)
        return x_NCHW * self.gate(self.expand(self.act(self.reduce(s))))
