"""Elastic layers: one full-size weight, of which each call uses a slice."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ElasticBatchNorm(nn.Module):
    """Batch normalisation over the first channels; running statistics are those of whoever trained last.

    Before a subnet is judged its statistics are recalibrated (`hwsearch.accuracy.recalibrate`).
    """

    def __init__(self, max_channels: int, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(max_channels, eps=eps, momentum=momentum)

    def forward(self, x_NCHW: Tensor) -> Tensor:
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
        """A plain batch norm with copies of the first channels."""
        bn = nn.BatchNorm2d(channels, eps=self.bn.eps, momentum=self.bn.momentum)
        copy_batch_norm(bn, self.bn)
        return bn


def copy_batch_norm(target: nn.BatchNorm2d, source: nn.BatchNorm2d) -> None:
    """Copy the first channels of `source` into `target` (weights, statistics, eps)."""
    n = target.num_features
    with torch.no_grad():
        target.weight.copy_(source.weight[:n])
        target.bias.copy_(source.bias[:n])
        assert target.running_mean is not None and source.running_mean is not None
        assert target.running_var is not None and source.running_var is not None
        target.running_mean.copy_(source.running_mean[:n])
        target.running_var.copy_(source.running_var[:n])
