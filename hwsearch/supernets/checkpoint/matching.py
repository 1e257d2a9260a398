"""Compare the tensors of a weight file with those of a network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from hwsearch.supernets.base import Supernet


@dataclass(frozen=True)
class CheckpointMatch:
    """Result of comparing a file's tensors with those of a network.

    Attributes
    ----------
    missing : list of str
        Names that the file lacks.
    extra : list of str
        Names that the network lacks.
    shapes : list of str
        A sentence for each tensor of another shape or type.
    named : float
        Share of the network's tensors that the file has, in [0, 1].
    share : float
        Share of those that also have the right shape, in [0, 1].
    """

    missing: list[str]
    extra: list[str]
    shapes: list[str]
    named: float
    share: float

    @property
    def complete(self) -> bool:
        """Whether the file fits without exception."""
        return not (self.missing or self.extra or self.shapes)

    @property
    def hint(self) -> str:
        """A guess of what kind of file it is, for error messages."""
        return "It is a file of another family." if self.named < 0.5 else "It is a file of another width or version."

    def __str__(self) -> str:
        lists = {"missing": self.missing, "unknown": self.extra, "of another shape": self.shapes}
        return "tensors " + "; ".join(f"{len(v)} {k} ({abridged(v)})" for k, v in lists.items() if v)


def compare(net: Supernet, state: Mapping[str, Tensor]) -> CheckpointMatch:
    """Compare names and shapes of a file's tensors with those of a network.

    Names that the authors' files spell differently become the network's own first; ``num_batches_tracked`` may be
    missing.

    Parameters
    ----------
    net : Supernet
        The network, which may lie on the meta device.
    state : mapping
        Name → tensor in the file.

    Returns
    -------
    CheckpointMatch
        What is missing, unknown or of another shape.
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
    return CheckpointMatch(missing, [k for k in state if k not in own], shapes, named, share)


def not_finite(state: Mapping[str, Tensor]) -> list[str]:
    """Find tensors that hold NaN or infinity.

    Parameters
    ----------
    state : mapping
        Name → tensor.

    Returns
    -------
    list of str
        Their names.
    """
    return [k for k, v in state.items() if v.is_floating_point() and not bool(torch.isfinite(v).all())]


def abridged(names: list[str]) -> str:
    """Join the first names of a list, for error messages.

    Parameters
    ----------
    names : list of str
        The names.

    Returns
    -------
    str
        The first three, and an ellipsis if there are more.

    Examples
    --------
    >>> abridged(["a", "b", "c", "d"])
    'a, b, c …'
    """
    return ", ".join(names[:3]) + (" …" if len(names) > 3 else "")
