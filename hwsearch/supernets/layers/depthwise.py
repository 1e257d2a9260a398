"""Elastic depth-wise convolution, with Once-for-All's kernel transformation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hwsearch.supernets.kernels import EAGER, Activation, active
from hwsearch.supernets.layers.containers import Named
from hwsearch.supernets.layers.norm import ElasticBatchNorm, norm_act


class ElasticDepthwise(nn.Module):
    """Depth-wise convolution with elastic channels and elastic kernel.

    A smaller kernel is the centre of the next larger one times a learned matrix, shared over the channels: 7 → 5 → 3,
    always along the whole chain (Once-for-All). In the state dict the matrices stand beside the convolution, as in
    the reference; files that name them below it load as well.

    Parameters
    ----------
    max_channels : int
        Channels at full size.
    kernels : sequence of int
        Odd sides that can be chosen.
    stride : int
        Stride along both axes.
    transform : bool, default True
        Whether smaller kernels are transformed; if False they are the plain centre, as in BigNAS.

    References
    ----------
    Cai, Gan, Wang, Zhang, Han, 2020, Once-for-All, arXiv 1908.09791.
    Yu et al., 2020, BigNAS, arXiv 2003.11142.
    """

    def __init__(self, max_channels: int, kernels: Sequence[int], stride: int, *, transform: bool = True) -> None:
        super().__init__()
        self.kernels = sorted(kernels)
        self.stride = stride
        largest = self.kernels[-1]
        self.conv = nn.Conv2d(
            max_channels, max_channels, largest, stride, largest // 2, groups=max_channels, bias=False
        )
        self._matrices: list[str] = []
        for small, large in zip(self.kernels[:-1], self.kernels[1:], strict=True) if transform else ():
            self._matrices.append(f"{large}to{small}_matrix")
            self.conv.register_parameter(self._matrices[-1], nn.Parameter(torch.eye(small**2)))
        self.register_state_dict_post_hook(_matrices_beside)
        self.register_load_state_dict_pre_hook(_matrices_below)

    def weight(self, channels: int, kernel: int) -> Tensor:
        """Compute the weight of a subnet.

        Parameters
        ----------
        channels : int
            Channels, the first ones.
        kernel : int
            Side of the kernel.

        Returns
        -------
        Tensor
            Weight of shape (channels, 1, kernel, kernel), with gradients to the shared one.
        """
        weight = self.conv.weight[:channels]
        for i in range(len(self.kernels) - 1, 0, -1):
            large, small = self.kernels[i], self.kernels[i - 1]
            if kernel >= large:
                break
            start = large // 2 - small // 2
            centre = weight[:, :, start : start + small, start : start + small]
            if not self._matrices:
                weight = centre
                continue
            matrix = self.conv.get_parameter(f"{large}to{small}_matrix")
            weight = F.linear(centre.reshape(-1, small**2), matrix).view(channels, 1, small, small)
        return weight

    def unused(self, kernel: int) -> Iterator[nn.Parameter]:
        """List the parameters that a subnet's weight does not depend on.

        Parameters
        ----------
        kernel : int
            Side of its kernel.

        Yields
        ------
        nn.Parameter
            Matrices of smaller kernels.
        """
        for name, large in zip(self._matrices, self.kernels[1:], strict=False):
            if kernel >= large:
                yield self.conv.get_parameter(name)

    def forward(self, x_NCHW: Tensor, kernel: int) -> Tensor:
        """Convolve each channel with a kernel of the given side; padding keeps the size.

        Parameters
        ----------
        x_NCHW : Tensor
            Input of shape (N, C, H, W) with C up to `max_channels`.
        kernel : int
            Side of the kernel.

        Returns
        -------
        Tensor
            Output of shape (N, C, H', W').
        """
        kernels = active() if self.training else EAGER
        return kernels.depthwise(x_NCHW, self.weight(x_NCHW.shape[1], kernel), self.stride)

    def normed(self, x_NCHW: Tensor, kernel: int, norm: ElasticBatchNorm, act: Activation = "identity") -> Tensor:
        """Convolve, normalise and activate; in training mode by the active kernels.

        Parameters
        ----------
        x_NCHW : Tensor
            Input of shape (N, C, H, W) with C up to `max_channels`.
        kernel : int
            Side of the kernel.
        norm : ElasticBatchNorm
            Norm behind the convolution.
        act : str
            Activation behind the norm.

        Returns
        -------
        Tensor
            Output of shape (N, C, H', W').
        """
        kernels, channels = active(), x_NCHW.shape[1]
        if not (kernels.fused and norm.bn.training):
            return norm_act(self(x_NCHW, kernel), norm, act)
        weight = self.weight(channels, kernel)
        return kernels.depthwise_norm_act(x_NCHW, weight, self.stride, norm.tensors(channels), act)

    def static(self, channels: int, kernel: int) -> nn.Conv2d:
        """Extract a plain depth-wise convolution with a copy of the transformed slice.

        Parameters
        ----------
        channels : int
            Channels.
        kernel : int
            Side of the kernel.

        Returns
        -------
        nn.Conv2d
            The convolution.
        """
        conv = nn.Conv2d(channels, channels, kernel, self.stride, kernel // 2, groups=channels, bias=False)
        with torch.no_grad():
            conv.weight.copy_(self.weight(channels, kernel))
        return conv


def expanded(expand: Named, depth: Named, x_NCHW: Tensor, middle: int, kernel: int, act: Activation) -> Tensor:
    """Run the first half of an inverted residual block: 1×1 and depth-wise convolution, each with norm and activation.

    Parameters
    ----------
    expand : Named
        Container of an `ElasticConv` of 1×1, ``conv``, and the norm behind it, ``bn``.
    depth : Named
        Container of an `ElasticDepthwise`, ``conv``, and the norm behind it, ``bn``.
    x_NCHW : Tensor
        Input of shape (N, C, H, W).
    middle : int
        Channels behind the first convolution.
    kernel : int
        Side of the depth-wise kernel.
    act : str
        Activation behind both norms.

    Returns
    -------
    Tensor
        Output of shape (N, middle, H', W').
    """
    kernels = active()
    if not (kernels.fused and expand.bn.training and depth.bn.training):
        y = expand.conv.normed(x_NCHW, middle, expand.bn, act)
        return depth.conv.normed(y, kernel, depth.bn, act)  # type: ignore[no-any-return]
    return kernels.expand(
        x_NCHW,
        expand.conv.weight(x_NCHW.shape[1], middle),
        expand.bn.tensors(middle),
        depth.conv.weight(middle, kernel),
        depth.conv.stride,
        depth.bn.tensors(middle),
        act,
    )


def _matrices_beside(layer: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    for name in cast(ElasticDepthwise, layer)._matrices:
        state[f"{prefix}{name}"] = state.pop(f"{prefix}conv.{name}")


def _matrices_below(layer: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    for name in cast(ElasticDepthwise, layer)._matrices:
        if f"{prefix}{name}" in state:
            state[f"{prefix}conv.{name}"] = state.pop(f"{prefix}{name}")
