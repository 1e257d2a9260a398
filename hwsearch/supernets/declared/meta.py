"""Which widths of a network are one width: axes of tensors that have to be cut together, found in its torch.fx trace."""

from __future__ import annotations

import copy
from typing import Any, TypeVar

from torch import nn

from hwsearch.supernets.layers.sliced.kinds import SLICED

Net = TypeVar("Net", bound=nn.Module)


def on_meta(module: Net) -> Net:
    """A copy without storage, in evaluation mode."""
    memo: dict[int, Any] = {id(p): nn.Parameter(p.to("meta"), p.requires_grad) for p in module.parameters()}
    memo |= {id(b): b.to("meta") for b in module.buffers()}
    return copy.deepcopy(module, memo).eval()


def is_computed(module: nn.Module) -> bool:
    """Whether a layer's weight or bias is no parameter of its own but computed from others, as by `spectral_norm`."""
    return isinstance(module, tuple(SLICED)) and not {"weight", "bias"} <= module._parameters.keys()


def computed_weight_reason(name: str) -> str:
    """What stands in the way of a layer for which `is_computed` holds, and what to do."""
    return (
        f"a weight of {name!r} is computed from other tensors (spectral_norm, weight_norm, pruning or another "
        "parametrization), which has to be removed first"
    )
