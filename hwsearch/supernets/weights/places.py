"""Where a network keeps its parameters, for calls with weights made elsewhere."""

from __future__ import annotations

from torch import nn


def places(net: nn.Module) -> dict[str, str]:
    """List where a network keeps its parameters; a module that it has under two names counts once.

    Parameters
    ----------
    net : torch.nn.Module
        The network.

    Returns
    -------
    dict of str to str
        Name of each place → the parameter's name in `named_parameters`, which differ where a parameter has several places.
    """
    names = {id(parameter): name for name, parameter in net.named_parameters()}
    return {
        f"{path}.{name}" if path else name: names[id(parameter)]
        for path, module in net.named_modules()
        for name, parameter in module.named_parameters(recurse=False, remove_duplicate=False)
    }
