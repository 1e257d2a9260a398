"""Elastic batch normalisation."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


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
