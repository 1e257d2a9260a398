"""Residual 1-D convolutional networks over time (or joints): plain ones, and the elastic ones that they are cut from."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from hwsearch.supernets.layers.naming import make_divisible

#: least sum of the weights of frames in a mean
LEAST = 1e-3


class ConvNorm(nn.Module):
    """1-D convolution without bias and the batch norm behind it; padding keeps the length.

    Parameters
    ----------
    inputs, outputs : int
        Channels.
    kernel : int
        Taps, odd.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
        self.bn = nn.BatchNorm1d(outputs)
        nn.init.kaiming_normal_(self.conv.weight, mode="fan_out", nonlinearity="relu")

    @override
    def forward(self, x_NCL: Tensor) -> Tensor:
        return self.bn(self.conv(x_NCL))  # type: ignore[no-any-return]


class ElasticConvNorm(ConvNorm):
    """A `ConvNorm` of which the first channels and the taps in the centre are used.

    The number of input channels follows from the input; `outputs` and `kernel` say the rest.

    Parameters
    ----------
    inputs, outputs : int
        Channels at full size.
    kernel : int
        Taps at full size, odd.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__(inputs, outputs, kernel)
        self.outputs, self.kernel = outputs, kernel

    def weight(self, inputs: int) -> Tensor:
        """Slice the weight.

        Parameters
        ----------
        inputs : int
            Input channels.

        Returns
        -------
        Tensor
            View of shape ``(outputs, inputs, kernel)``.
        """
        crop = (self.conv.kernel_size[0] - self.kernel) // 2
        return self.conv.weight[: self.outputs, :inputs, crop : crop + self.kernel]

    @override
    def forward(self, x_NCL: Tensor) -> Tensor:
        bn, n = self.bn, self.outputs
        assert bn.running_mean is not None and bn.running_var is not None and bn.momentum is not None
        y = F.conv1d(x_NCL, self.weight(x_NCL.shape[1]), padding=self.kernel // 2)
        means, variances = bn.running_mean[:n], bn.running_var[:n]
        return F.batch_norm(y, means, variances, bn.weight[:n], bn.bias[:n], bn.training, bn.momentum, bn.eps)

    def static(self, inputs: int) -> ConvNorm:
        """Extract the plain form with copies of the slices.

        Parameters
        ----------
        inputs : int
            Input channels.

        Returns
        -------
        ConvNorm
            The layers.
        """
        plain = ConvNorm(inputs, self.outputs, self.kernel)
        with torch.no_grad():
            plain.conv.weight.copy_(self.weight(inputs))
        copy_leading(plain.bn, self.bn)
        return plain


def copy_leading(target: nn.Module, source: nn.Module) -> None:
    """Copy the first entries of every tensor along every axis, as many as the target has; changes `target`.

    Parameters
    ----------
    target : nn.Module
        Layer that decides how much is copied.
    source : nn.Module
        Layer of the same kind with tensors at least as large.
    """
    full = source.state_dict()
    with torch.no_grad():
        for name, tensor in target.state_dict().items():
            tensor.copy_(full[name][tuple(slice(n) for n in tensor.shape)])


class SqueezeExcite1d(nn.Module):
    """Gate of each channel from its mean over the positions that the mask leaves; a bottleneck of a quarter of the channels.

    Parameters
    ----------
    channels : int
        Channels; in an elastic network at full size: a call with fewer uses the first ones.

    References
    ----------
    Hu, Shen, Sun, 2018, Squeeze-and-Excitation Networks, arXiv 1709.01507.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        middle = make_divisible(channels // 4)
        self.reduce, self.expand = nn.Conv1d(channels, middle, 1), nn.Conv1d(middle, channels, 1)

    @override
    def forward(self, x_NCL: Tensor, mask_N1L: Tensor) -> Tensor:
        squeezed = masked_mean(x_NCL, mask_N1L)[:, :, None]
        return x_NCL * torch.sigmoid(self.expand(F.relu(self.reduce(squeezed))))


class ElasticSqueezeExcite1d(SqueezeExcite1d):
    """A `SqueezeExcite1d` of which the first channels are used, as many as the input has."""

    @override
    def forward(self, x_NCL: Tensor, mask_N1L: Tensor) -> Tensor:
        channels = x_NCL.shape[1]
        middle = make_divisible(channels // 4)
        reduce, expand = self.reduce, self.expand
        assert reduce.bias is not None and expand.bias is not None
        squeezed = masked_mean(x_NCL, mask_N1L)[:, :, None]
        narrow = F.relu(F.conv1d(squeezed, reduce.weight[:middle, :channels], reduce.bias[:middle]))
        return x_NCL * torch.sigmoid(F.conv1d(narrow, expand.weight[:channels, :middle], expand.bias[:channels]))


def masked_mean(x_NCL: Tensor, weight_N1L: Tensor) -> Tensor:
    """Compute the weighted mean over positions.

    Parameters
    ----------
    x_NCL : Tensor
        Features.
    weight_N1L : Tensor
        Weight of each position, not negative; 0 in padding.

    Returns
    -------
    Tensor
        Shape (N, C); 0 where all weights are.
    """
    return (x_NCL * weight_N1L).sum(2) / weight_N1L.sum(2).clamp(min=LEAST)


class Block(nn.Module):
    """Two convolutions with batch norms, an optional gate of channels, and a residual; 0 in padding.

    Parameters
    ----------
    first, second : ConvNorm
        The convolutions.
    gate : SqueezeExcite1d or None
        Gate of the second one's output.
    """

    def __init__(self, first: ConvNorm, second: ConvNorm, gate: SqueezeExcite1d | None) -> None:
        super().__init__()
        self.first, self.second, self.gate = first, second, gate

    @override
    def forward(self, x_NCL: Tensor, mask_N1L: Tensor) -> Tensor:
        y = self.second(F.relu(self.first(x_NCL)) * mask_N1L)
        if self.gate is not None:
            y = self.gate(y, mask_N1L)
        return F.relu(x_NCL + y) * mask_N1L


class BaseNet(nn.Module):
    """A stem, residual blocks, and the mean over the positions that the mask leaves.

    Parameters
    ----------
    stem : ConvNorm
        The first convolution.
    blocks : iterable of Block
        The residual blocks.
    weigh : nn.Conv1d or None
        Computes a weight of each position from its features, before a sigmoid; None: all count alike.
    """

    def __init__(self, stem: ConvNorm, blocks: Iterable[Block], weigh: nn.Conv1d | None) -> None:
        super().__init__()
        self.stem, self.blocks, self.weigh = stem, nn.ModuleList(blocks), weigh

    @override
    def forward(self, x_NCL: Tensor, mask_N1L: Tensor) -> Tensor:
        """Compute features of shape (N, C) from input and mask."""
        x = F.relu(self.stem(x_NCL)) * mask_N1L
        for block in self.blocks:
            x = block(x, mask_N1L)
        return masked_mean(x, mask_N1L if self.weigh is None else torch.sigmoid(self.weigh(x)) * mask_N1L)


class ElasticBaseNet(BaseNet):
    """A `BaseNet` of which the first blocks, the first channels and the central taps are used.

    Parameters
    ----------
    inputs : int
        Input channels, all of which are always used.
    width : int
        Channels at full size.
    blocks : int
        Blocks at full size.
    kernel : int
        Taps at full size.
    attention : bool
        With gates of channels and weights of positions.
    """

    weigh: nn.Conv1d | None

    def __init__(self, inputs: int, width: int, blocks: int, kernel: int, attention: bool) -> None:
        def convs(n: int) -> ElasticConvNorm:
            return ElasticConvNorm(n, width, kernel)

        gates = [ElasticSqueezeExcite1d(width) if attention else None for _ in range(blocks)]
        every = [Block(convs(width), convs(width), gate) for gate in gates]
        super().__init__(convs(inputs), every, nn.Conv1d(width, 1, 1) if attention else None)
        self.inputs, self.depth, self.width = inputs, blocks, width

    def activate(self, blocks: int, width: int, kernel: int) -> None:
        """Use these sizes from now on.

        Parameters
        ----------
        blocks, width, kernel : int
            At most those at full size.
        """
        self.depth, self.width = blocks, width
        for module in self.modules():
            if isinstance(module, ElasticConvNorm):
                module.outputs, module.kernel = width, kernel

    @override
    def forward(self, x_NCL: Tensor, mask_N1L: Tensor) -> Tensor:
        x = F.relu(self.stem(x_NCL)) * mask_N1L
        for block in list(self.blocks)[: self.depth]:
            x = block(x, mask_N1L)
        if self.weigh is None:
            return masked_mean(x, mask_N1L)
        score = F.conv1d(x, self.weigh.weight[:, : x.shape[1]], self.weigh.bias)
        return masked_mean(x, torch.sigmoid(score) * mask_N1L)

    def static(self) -> BaseNet:
        """Extract the active sizes as a plain network with weights of its own.

        Returns
        -------
        BaseNet
            The network.
        """
        blocks = []
        for block in list(self.blocks)[: self.depth]:
            assert isinstance(block, Block)
            gate = None if block.gate is None else SqueezeExcite1d(self.width)
            if gate is not None and block.gate is not None:
                copy_leading(gate, block.gate)
            first, second = block.first, block.second
            assert isinstance(first, ElasticConvNorm) and isinstance(second, ElasticConvNorm)
            blocks.append(Block(first.static(self.width), second.static(self.width), gate))
        weigh = None
        if self.weigh is not None:
            weigh = nn.Conv1d(self.width, 1, 1)
            copy_leading(weigh, self.weigh)
        assert isinstance(self.stem, ElasticConvNorm)
        return BaseNet(self.stem.static(self.inputs), blocks, weigh)
