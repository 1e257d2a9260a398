"""Elastic layers at full width in training mode: what a subnet leaves out is multiplied by zero."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hwsearch.supernets.layers.conv import ElasticConv
from hwsearch.supernets.layers.depthwise import ElasticDepthwise
from hwsearch.supernets.layers.norm import ElasticBatchNorm
from hwsearch.supernets.layers.squeeze_excite import ElasticSqueezeExcite


def masked_channels(x_NCHW: Tensor, mask_C: Tensor) -> Tensor:
    """Multiply channels by a mask.

    Parameters
    ----------
    x_NCHW : Tensor
        Input of shape (N, C, H, W).
    mask_C : Tensor
        Zeros and ones of shape (C,), or (1,) for all channels together.

    Returns
    -------
    Tensor
        Output of the input's shape and type.
    """
    return x_NCHW * mask_C.to(x_NCHW.dtype).view(1, -1, 1, 1)


def masked_norm(norm: ElasticBatchNorm, x_NCHW: Tensor, mask_C: Tensor | None, gate: Tensor) -> Tensor:
    """Normalise all channels, and multiply by the mask after the affine; statistics of masked channels do not move.

    Parameters
    ----------
    norm : ElasticBatchNorm
        The norm.
    x_NCHW : Tensor
        Input of shape (N, C, H, W); what its masked channels hold does not matter.
    mask_C : Tensor or None
        Channels of the subnet, shape (C,); None where it has all.
    gate : Tensor
        Whether the subnet has this layer, shape (1,); the output does not depend on it.

    Returns
    -------
    Tensor
        Output of the input's shape, zero in masked channels.
    """
    bn = norm.bn
    assert bn.running_mean is not None and bn.running_var is not None and bn.momentum is not None
    mean, var = bn.running_mean.clone(), bn.running_var.clone()
    y = F.batch_norm(x_NCHW, mean, var, bn.weight, bn.bias, True, bn.momentum, bn.eps)
    with torch.no_grad():
        moved = (gate if mask_C is None else mask_C * gate) > 0
        bn.running_mean.copy_(torch.where(moved, mean, bn.running_mean))
        bn.running_var.copy_(torch.where(moved, var, bn.running_var))
    return y if mask_C is None else masked_channels(y, mask_C)


def full_conv(layer: ElasticConv, x_NCHW: Tensor) -> Tensor:
    """Convolve with all filters.

    Parameters
    ----------
    layer : ElasticConv
        The convolution.
    x_NCHW : Tensor
        Input of shape (N, C, H, W) at full width, zero in channels that the subnet does not have.

    Returns
    -------
    Tensor
        Output of shape (N, O, H', W') at full width.
    """
    return F.conv2d(x_NCHW, layer.conv.weight, None, layer.stride, layer.padding)


def masked_depthwise(layer: ElasticDepthwise, x_NCHW: Tensor, chosen_K: Tensor) -> Tensor:
    """Convolve each channel with the kernel of the subnet, in the middle of one of the largest size.

    Parameters
    ----------
    layer : ElasticDepthwise
        The convolution.
    x_NCHW : Tensor
        Input of shape (N, C, H, W) at full width.
    chosen_K : Tensor
        Shape (kernels,): one for the first sides up to the subnet's (the smallest first), zero for larger ones.

    Returns
    -------
    Tensor
        Output of shape (N, C, H', W').
    """
    largest = layer.kernels[-1]
    channels = x_NCHW.shape[1]
    chosen_K = chosen_K.to(layer.conv.weight.dtype)
    weight: Tensor | None = None
    for i, side in enumerate(layer.kernels):
        # one where the subnet's kernel has this side: the last that is on
        this = chosen_K[i] - chosen_K[i + 1] if i + 1 < len(layer.kernels) else chosen_K[i]
        edge = (largest - side) // 2
        own = F.pad(layer.weight(channels, side), (edge, edge, edge, edge)) * this
        weight = own if weight is None else weight + own
    assert weight is not None
    return F.conv2d(x_NCHW, weight, None, layer.stride, largest // 2, 1, channels)


def masked_squeeze_excite(layer: ElasticSqueezeExcite, x_NCHW: Tensor, middle_M: Tensor) -> Tensor:
    """Scale each channel by its gate.

    Parameters
    ----------
    layer : ElasticSqueezeExcite
        The layer.
    x_NCHW : Tensor
        Input of shape (N, C, H, W) at full width, zero in masked channels.
    middle_M : Tensor
        Channels of the bottleneck that the subnet has, shape (M,).

    Returns
    -------
    Tensor
        Output of the input's shape, zero in masked channels.
    """
    reduce, expand = layer.fc["reduce"], layer.fc["expand"]
    assert isinstance(reduce, nn.Conv2d) and isinstance(expand, nn.Conv2d)
    s = F.relu(F.conv2d(x_NCHW.mean((2, 3), keepdim=True), reduce.weight, reduce.bias))
    s = F.conv2d(masked_channels(s, middle_M), expand.weight, expand.bias)
    return x_NCHW * F.hardsigmoid(s)
