"""Copies without storage, and layers whose weights are computed."""

from __future__ import annotations

import copy
from typing import Any, TypeVar

import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from typing_extensions import override

from hwsearch.supernets.layers.sliced.kinds import SLICED

Net = TypeVar("Net", bound=nn.Module)


def on_meta(module: Net) -> Net:
    """Copy a module without storage, in evaluation mode.

    Parameters
    ----------
    module : nn.Module
        The module.

    Returns
    -------
    nn.Module
        Copy on the meta device.
    """
    memo: dict[int, Any] = {id(p): nn.Parameter(p.to("meta"), p.requires_grad) for p in module.parameters()}
    memo |= {id(b): b.to("meta") for b in module.buffers()}
    return copy.deepcopy(module, memo).eval()


class QuickNorms(TorchFunctionMode):
    """Context manager: a batch norm of tensors without storage checks its channels and gives back its input.

    Torch takes such a norm apart in Python, which is most of the time of a network's pass.

    Raises
    ------
    RuntimeError
        If a norm's statistics or parameters do not have as many channels as its input.
    """

    @override
    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is not F.batch_norm:
            return func(*args, **(kwargs or {}))
        values = dict(zip(("input", "running_mean", "running_var", "weight", "bias"), args, strict=False))
        values |= kwargs or {}
        x = values["input"]
        for name in ("running_mean", "running_var", "weight", "bias"):
            held = values.get(name)
            if isinstance(held, Tensor) and held.numel() != x.shape[1]:
                raise RuntimeError(f"{name} of a batch norm has {held.numel()} elements, not {x.shape[1]}")
        return x


def is_computed(module: nn.Module) -> bool:
    """Tell whether a layer's weight or bias is computed from other tensors, as by `spectral_norm`.

    Parameters
    ----------
    module : nn.Module
        The layer.

    Returns
    -------
    bool
        Whether it is a layer that could be cut if its tensors were parameters of its own.
    """
    return isinstance(module, tuple(SLICED)) and not {"weight", "bias"} <= module._parameters.keys()


def computed_weight_reason(name: str) -> str:
    """Explain why a layer with computed weights cannot be cut, and what to do.

    Parameters
    ----------
    name : str
        Name of the layer.

    Returns
    -------
    str
        Part of an error message.
    """
    return (
        f"a weight of {name!r} is computed from other tensors (spectral_norm, weight_norm, pruning or another "
        "parametrization), which has to be removed first"
    )
