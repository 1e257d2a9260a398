"""Late fusion: several networks answer, and the mean of their probabilities or logits counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hwsearch.errors import MeasurementError
from hwsearch.supernets.base import Part
from hwsearch.tasks.data import Data, forward
from hwsearch.tasks.inputs import Input

#: what is averaged
Fusion = Literal["probabilities", "logits"]
FUSIONS: tuple[Fusion, ...] = ("probabilities", "logits")


class FusedNet(nn.Module):
    """Several networks as one: the mean of their softmax probabilities, or of their logits.

    Parameters
    ----------
    members : sequence of torch.nn.Module
        Each gives logits ``(b, classes)``.
    places : sequence of tuple of int
        For each member the positions of its inputs among those of the whole.
    fusion : {"probabilities", "logits"}
        What is averaged.
    """

    def __init__(self, members: Sequence[nn.Module], places: Sequence[tuple[int, ...]], fusion: Fusion) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.places = [tuple(p) for p in places]
        self.fusion = fusion

    def forward(self, *inputs: Tensor) -> Tensor:
        """Fuse the members' answers.

        Parameters
        ----------
        *inputs : Tensor
            Examples along the first axis.

        Returns
        -------
        Tensor
            Shape ``(b, classes)``.
        """
        total: Tensor | None = None
        for member, places in zip(self.members, self.places, strict=True):
            out = member(*(inputs[p] for p in places))
            out = out.softmax(-1) if self.fusion == "probabilities" else out
            total = out if total is None else total + out
        assert total is not None
        return total / len(self.members)


def fused_part(parts: Sequence[Part], fusion: Fusion) -> Part:
    """Make one model file of the model files of several subnets.

    Parameters
    ----------
    parts : sequence of Part
        One a member.
    fusion : {"probabilities", "logits"}
        What is averaged.

    Returns
    -------
    Part
        Members that take the same inputs share them; inputs of another shape get names that end in a number, from 2, in the
        order of the members. Its output is called what is averaged.
    """
    inputs: list[Input] = []
    seen: dict[tuple[Input, ...], tuple[int, ...]] = {}
    places = []
    for part in parts:
        if part.inputs not in seen:
            suffix = f"_{len(seen) + 1}" if seen else ""
            seen[part.inputs] = tuple(range(len(inputs), len(inputs) + len(part.inputs)))
            inputs += [replace(i, name=f"{i.name}{suffix}") for i in part.inputs]
        places.append(seen[part.inputs])
    net = FusedNet([part.net for part in parts], places, fusion).eval()
    return Part("", net, tuple(inputs), (fusion,))


def shares_of(logits: NDArray[np.float32], fusion: Fusion) -> NDArray[np.float32]:
    """Compute what one member adds to the mean.

    Parameters
    ----------
    logits : ndarray
        Shape ``(n, classes)``.
    fusion : {"probabilities", "logits"}
        What is averaged.

    Returns
    -------
    ndarray
        Of the same shape.

    Examples
    --------
    >>> shares_of(np.zeros((1, 4), np.float32), "probabilities").tolist()
    [[0.25, 0.25, 0.25, 0.25]]
    """
    return torch.from_numpy(logits).softmax(-1).numpy() if fusion == "probabilities" else logits


@torch.no_grad()
def answers_of(net: nn.Module, data: Data, size: int, batch: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Compute a network's logits on all examples.

    Parameters
    ----------
    net : torch.nn.Module
        In evaluation mode.
    data : Data
        The examples.
    size : int
        The network's input size.
    batch : int
        Examples in each forward pass.

    Returns
    -------
    logits : ndarray
        Shape ``(n, classes)``.
    targets : ndarray
        Classes, shape ``(n,)``.

    Raises
    ------
    MeasurementError
        If an output is not finite.
    """
    logits, targets = [], []
    for x, y in data.batches(size, batch):
        out = forward(net, x)
        if not torch.isfinite(out).all():
            raise MeasurementError("the network's outputs are not finite.")
        logits.append(out.numpy())
        targets.append(y.numpy())
    return np.concatenate(logits), np.concatenate(targets)
