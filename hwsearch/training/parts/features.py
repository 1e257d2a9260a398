"""Capture the last feature map of a network while it runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn


@contextmanager
def last_features(net: nn.Module, wanted: bool = True) -> Iterator[list[Tensor]]:
    """Keep the last map or sequence that a leaf module of a network puts out.

    Parameters
    ----------
    net : torch.nn.Module
        Any network.
    wanted : bool
        Whether to capture at all.

    Yields
    ------
    list of Tensor
        Empty before the network ran; then one tensor ``(b, channels, h, w)`` with more than one pixel, or
        ``(b, tokens, channels)`` with more than one token. Still empty where the network has neither.
    """
    found: list[Tensor] = []

    def keep(module: nn.Module, inputs: Any, output: Any) -> None:
        if not isinstance(output, Tensor) or not output.is_floating_point():
            return
        if (output.ndim == 4 and output[0, 0].numel() > 1) or (output.ndim == 3 and output.shape[1] > 1):
            found[:] = [output]

    leaves = [m for m in net.modules() if not any(True for _ in m.children())] if wanted else []
    handles = [leaf.register_forward_hook(keep) for leaf in leaves]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()
