"""Weight files: safetensors, or torch files read with ``weights_only=True``; never a pickle with code in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from hwsearch.supernets.base import Supernet


@dataclass(frozen=True)
class Fit:
    """How a file's tensors compare with those of a network.

    missing, extra : names; shapes : sentences
    named : share of the network's tensors that the file has; share : of those of the right shape
    """

    missing: list[str]
    extra: list[str]
    shapes: list[str]
    named: float
    share: float

    @property
    def complete(self) -> bool:
        return not (self.missing or self.extra or self.shapes)

    @property
    def hint(self) -> str:
        """What kind of file it may be."""
        return "It is a file of another family." if self.named < 0.5 else "It is a file of another width or version."

    def __str__(self) -> str:
        lists = {"missing": self.missing, "unknown": self.extra, "of another shape": self.shapes}
        return "tensors " + "; ".join(f"{len(v)} {k} ({abridged(v)})" for k, v in lists.items() if v)


def compare(net: Supernet, state: Mapping[str, Tensor]) -> Fit:
    """Names and shapes of a file's tensors against a network's, which may lie on the meta device.

    Names that the authors' files spell differently become the network's own first; ``num_batches_tracked`` may be
    missing.
    """
    state, own = net.rename(state), net.state_dict()
    missing = [k for k in own if k not in state and not k.endswith("num_batches_tracked")]
    shapes = [
        f"{k} is {tuple(state[k].shape)}, expected {tuple(own[k].shape)}"
        for k in own
        if k in state and state[k].shape != own[k].shape
    ]
    shapes += [
        f"{k} holds {str(state[k].dtype).removeprefix('torch.')}, expected real numbers"
        for k in own
        if k in state and own[k].is_floating_point() and not state[k].is_floating_point()
    ]
    count = max(1, len(own))
    named, share = 1 - len(missing) / count, 1 - (len(missing) + len(shapes)) / count
    return Fit(missing, [k for k in state if k not in own], shapes, named, share)


def not_finite(state: Mapping[str, Tensor]) -> list[str]:
    """Names of the tensors that hold NaN or infinity."""
    return [k for k, v in state.items() if v.is_floating_point() and not bool(torch.isfinite(v).all())]


def abridged(names: list[str]) -> str:
    return ", ".join(names[:3]) + (" …" if len(names) > 3 else "")
