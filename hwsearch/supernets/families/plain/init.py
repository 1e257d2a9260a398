"""Initial weights of plain networks."""

from __future__ import annotations

from torch import nn


def init_convolutions(net: nn.Module) -> None:
    """Initialise convolutions as He et al. (fan out); norms and linears keep torch's initial values; in place.

    Parameters
    ----------
    net : nn.Module
        The network.

    References
    ----------
    He et al., 2015, Delving Deep into Rectifiers, arXiv 1502.01852.
    """
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
