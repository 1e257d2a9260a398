"""Initial weights for training a MobileNetV3 supernet from scratch."""

from __future__ import annotations

import math

import torch
from torch import nn


def init_weights(net: nn.Module, seed: int) -> None:
    """Initialise convolutions as He et al. (fan out) and the classifier with small normal values; in place.

    Parameters
    ----------
    net : nn.Module
        The network.
    seed : int
        Seed; equal seeds give equal weights.

    References
    ----------
    He et al., 2015, Delving Deep into Rectifiers, arXiv 1502.01852.
    """
    generator = torch.Generator().manual_seed(seed)
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            fan_out = module.kernel_size[0] * module.kernel_size[1] * module.out_channels // module.groups
            nn.init.normal_(module.weight, 0.0, math.sqrt(2.0 / fan_out), generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, 0.0, 0.01, generator=generator)
            nn.init.zeros_(module.bias)
