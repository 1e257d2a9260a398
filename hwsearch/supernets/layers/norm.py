"""Elastic batch normalisation."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hwsearch.supernets.kernels import ACTIVATIONS, Activation, Norm, active


class ElasticBatchNorm(nn.Module):
    """Batch normalisation over the first channels.

    Running statistics are those of the subnets trained last; before a subnet is evaluated they are recalibrated
    (`hwsearch.accuracy.recalibrate`).

    Parameters
    ----------
    max_channels : int
        Channels at full size.
    eps : float, default 1e-5
        Added to the variance.
    momentum : float, default 0.1
        Weight of a batch in the running statistics.
    """

    def __init__(self, max_channels: int, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(max_channels, eps=eps, momentum=momentum)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Normalise as many channels as the input has.

        Parameters
        ----------
        x_NCHW : Tensor
            Input of shape (N, C, H, W) with C up to `max_channels`.

        Returns
        -------
        Tensor
            Output of the same shape.
        """
        bn, n = self.bn, x_NCHW.shape[1]
        assert bn.running_mean is not None and bn.running_var is not None and bn.momentum is not None
        return F.batch_norm(
            x_NCHW,
            bn.running_mean[:n],
            bn.running_var[:n],
            bn.weight[:n],
            bn.bias[:n],
            bn.training,
            bn.momentum,
            bn.eps,
        )

    def tensors(self, channels: int) -> Norm:
        """Slice what the normalisation of a subnet in training mode needs.

        Parameters
        ----------
        channels : int
            Channels.

        Returns
        -------
        Norm
            Views, and the constants.
        """
        return norm_tensors(self.bn, channels)

    def static(self, channels: int) -> nn.BatchNorm2d:
        """Extract a plain batch norm with copies of the first channels.

        Parameters
        ----------
        channels : int
            Channels.

        Returns
        -------
        nn.BatchNorm2d
            The norm.
        """
        bn = nn.BatchNorm2d(channels, eps=self.bn.eps, momentum=self.bn.momentum)
        copy_batch_norm(bn, self.bn)
        return bn


def norm_tensors(bn: nn.BatchNorm2d, channels: int) -> Norm:
    """Slice what a batch norm in training mode needs.

    Parameters
    ----------
    bn : nn.BatchNorm2d
        Norm with weights and running statistics.
    channels : int
        Channels, the first ones.

    Returns
    -------
    Norm
        Views, and the constants.
    """
    assert bn.running_mean is not None and bn.running_var is not None and bn.momentum is not None
    n = channels
    return Norm(bn.weight[:n], bn.bias[:n], bn.running_mean[:n], bn.running_var[:n], bn.momentum, bn.eps)


def norm_act(
    x_NCHW: Tensor, norm: ElasticBatchNorm, act: Activation = "identity", residual: Tensor | None = None
) -> Tensor:
    """Normalise, activate and add a residual; in training mode by the active kernels.

    Parameters
    ----------
    x_NCHW : Tensor
        Input of shape (N, C, H, W).
    norm : ElasticBatchNorm
        The norm.
    act : str
        Activation behind it.
    residual : Tensor, optional
        What is added in the end, of the input's shape.

    Returns
    -------
    Tensor
        Output of the input's shape.
    """
    kernels = active()
    if kernels.fused and norm.bn.training:
        return kernels.norm_act(x_NCHW, norm.tensors(x_NCHW.shape[1]), act, residual)
    y = ACTIVATIONS[act](norm(x_NCHW))
    return y if residual is None else residual + y


def copy_batch_norm(target: nn.BatchNorm2d, source: nn.BatchNorm2d) -> None:
    """Copy the first channels of a batch norm's weights and statistics; changes `target`.

    Parameters
    ----------
    target : nn.BatchNorm2d
        Norm that decides how many channels are copied.
    source : nn.BatchNorm2d
        Norm with at least as many channels.
    """
    n = target.num_features
    with torch.no_grad():
        target.weight.copy_(source.weight[:n])
        target.bias.copy_(source.bias[:n])
        assert target.running_mean is not None and source.running_mean is not None
        assert target.running_var is not None and source.running_var is not None
        target.running_mean.copy_(source.running_mean[:n])
        target.running_var.copy_(source.running_var[:n])
