"""Plain ResNets and MobileNetV2, as they are trained everywhere, and as search spaces."""

from __future__ import annotations

from torch import nn


def init_convolutions(net: nn.Module) -> None:
    """Convolutions as in He et al., 2015, arXiv 1502.01852, by fan out; norms and linears keep torch's initial values."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
