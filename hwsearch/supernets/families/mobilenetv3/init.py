"""Elastic MobileNetV3: kernel, expansion, depth and resolution can be chosen per layer."""

from __future__ import annotations

import math

import torch
from torch import nn


def init_weights(net: nn.Module, seed: int) -> None:
    """He initialisation (fan out) of convolutions, small normal classifier; deterministic in `seed`."""
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
