"""Tell where numbers that are not finite began."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


def origin(net: nn.Module, forward: Callable[[], Tensor]) -> str:
    """Find the first weights or outputs of a network that are not finite.

    Parameters
    ----------
    net : torch.nn.Module
        The network.
    forward : callable
        Runs it on the inputs in question.

    Returns
    -------
    str
        A clause for a message.

    Examples
    --------
    >>> net = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1))
    >>> _ = nn.init.constant_(net[1].bias, float("nan"))
    >>> origin(net, lambda: net(torch.zeros(1, 1)))
    "weights '1.bias' are not finite"
    """
    for name, parameter in net.named_parameters():
        if not torch.isfinite(parameter).all():
            return f"weights {name!r} are not finite"
    names = {module: name for name, module in net.named_modules()}
    found: list[str] = []

    def look(module: nn.Module, inputs: Any, output: Any) -> None:
        if not found and isinstance(output, Tensor) and not torch.isfinite(output).all():
            found.append(names[module])

    handles = [module.register_forward_hook(look) for module in names if not any(True for _ in module.children())]
    try:
        with torch.no_grad():
            outputs = forward()
    finally:
        for handle in handles:
            handle.remove()
    if found:
        return f"the first outputs that are not finite are those of {found[0]!r}"
    return "the outputs are finite" if torch.isfinite(outputs).all() else "the outputs are not finite"
