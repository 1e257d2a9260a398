"""Slices and copies of the tensors of a layer."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

# ---------------------------------------------------------------------- layers that take the place of plain ones
#: of each tensor of a layer, the part that each of its axes plays: "out", "in", or None for one that is never cut
Axes = dict[str, tuple[str | None, ...]]


def leading(tensor: Tensor | None, n: int) -> Tensor | None:
    """Slice the first entries of a tensor that may be missing.

    Parameters
    ----------
    tensor : Tensor or None
        The tensor.
    n : int
        Number of entries along the first axis.

    Returns
    -------
    Tensor or None
        View of them, or None.
    """
    return None if tensor is None else tensor[:n]


def adopt_tensors(plain: Any, source: nn.Module, **tensors: Tensor | None) -> Any:
    """Give a plain layer copies of tensors, with gradients, mode and kind as in the source; changes `plain`.

    Parameters
    ----------
    plain : nn.Module
        Layer to fill.
    source : nn.Module
        Layer whose attributes of the same names tell which are parameters.
    **tensors : Tensor or None
        Values by attribute; None removes the tensor.

    Returns
    -------
    nn.Module
        `plain`.
    """
    for name, tensor in tensors.items():
        value: Any = None if tensor is None else tensor.detach().clone()
        if isinstance(parameter := getattr(source, name), nn.Parameter):
            value = nn.Parameter(value, parameter.requires_grad)
        setattr(plain, name, value)
    return plain.train(source.training)
