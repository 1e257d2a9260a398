"""Elastic layers: one full-size weight, of which each call uses a slice."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

# ---------------------------------------------------------------------- layers that take the place of plain ones
#: of each tensor of a layer, the part that each of its axes plays: "out", "in", or None for one that is never cut
Axes = dict[str, tuple[str | None, ...]]


def leading(tensor: Tensor | None, n: int) -> Tensor | None:
    return None if tensor is None else tensor[:n]


def adopt_tensors(plain: Any, source: nn.Module, **tensors: Tensor | None) -> Any:
    """`plain` with copies of these tensors (None: without it), parameters and mode like those of `source`."""
    for name, tensor in tensors.items():
        value: Any = None if tensor is None else tensor.detach().clone()
        if isinstance(parameter := getattr(source, name), nn.Parameter):
            value = nn.Parameter(value, parameter.requires_grad)
        setattr(plain, name, value)
    return plain.train(source.training)
