"""Four views of a skeleton sequence, and the plain network that fuses what is made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from typing_extensions import override

from hwsearch.supernets.families.skeleton1d.layers import BaseNet
from hwsearch.tasks.sequences.layout import JOINTS, PARTS

#: least probability in the mean of several, so that its logarithm is finite
LEAST = 1e-12


def time_difference(x_NCT: Tensor, mask_N1T: Tensor) -> tuple[Tensor, Tensor]:
    """Subtract each frame from the next; where one of the two is padding there is no difference.

    Parameters
    ----------
    x_NCT : Tensor
        Positions.
    mask_N1T : Tensor
        1 in frames with a body, else 0.

    Returns
    -------
    x : Tensor
        x[t + 1] - x[t], of T - 1 frames; 0 where the mask is.
    mask : Tensor
        1 where both frames have a body.
    """
    mask = mask_N1T[:, :, 1:] * mask_N1T[:, :, :-1]
    return (x_NCT[:, :, 1:] - x_NCT[:, :, :-1]) * mask, mask


class Branch(nn.Module):
    """One view of the sequence: base networks, and a classifier of their features side by side.

    Parameters
    ----------
    view : str
        One of `hwsearch.supernets.families.skeleton1d.config.BRANCHES`.
    nets : sequence of BaseNet
        Its base networks.
    head : nn.Linear
        The classifier.
    """

    def __init__(self, view: str, nets: Sequence[BaseNet], head: nn.Linear) -> None:
        super().__init__()
        self.view, self.nets, self.head = view, nn.ModuleList(nets), head
        if view == "body-part":
            for part, joints in enumerate(PARTS.values()):
                index = torch.tensor([3 * j + axis for j in joints for axis in range(3)], device="cpu")
                self.register_buffer(f"part{part}", index, persistent=False)

    def inputs(self, x_NCT: Tensor, mask_N1T: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Make the input and the mask of each base network.

        Parameters
        ----------
        x_NCT : Tensor
            Positions; channel = 3 x joint + axis.
        mask_N1T : Tensor
            1 in frames with a body, else 0.

        Returns
        -------
        list of (Tensor, Tensor)
            One pair a base network.
        """
        if self.view == "two-stream":
            n, _, frames = x_NCT.shape
            joints = x_NCT.reshape(n, JOINTS, 3, frames).permute(0, 3, 2, 1).reshape(n, 3 * frames, JOINTS)
            return [(x_NCT, mask_N1T), (joints, torch.ones(1, 1, JOINTS, dtype=x_NCT.dtype, device=x_NCT.device))]
        if self.view == "body-part":
            return [(torch.index_select(x_NCT, 1, getattr(self, f"part{p}")), mask_N1T) for p in range(len(self.nets))]
        return [time_difference(x_NCT, mask_N1T) if self.view == "difference" else (x_NCT, mask_N1T)]

    @override
    def forward(self, x_NCT: Tensor, mask_N1T: Tensor) -> Tensor:
        """Compute logits of shape (N, classes)."""
        found = [net(*given) for net, given in zip(self.nets, self.inputs(x_NCT, mask_N1T), strict=True)]
        return self.head(torch.cat(found, 1))  # type: ignore[no-any-return]


def fuse(logits: Sequence[Tensor], fusion: str) -> Tensor:
    """Join the logits of branches (late fusion).

    Parameters
    ----------
    logits : sequence of Tensor
        Of each branch, shape (N, classes); those of one branch stay as they are.
    fusion : str
        ``average``: mean of probabilities; ``product``: their product, normalised by the softmax that follows.

    Returns
    -------
    Tensor
        Logits, shape (N, classes).
    """
    if len(logits) == 1:
        return logits[0]
    if fusion == "product":
        return sum((x.log_softmax(1) for x in logits[1:]), logits[0].log_softmax(1))
    total = sum((x.softmax(1) for x in logits[1:]), logits[0].softmax(1))
    return (total / len(logits)).clamp(min=LEAST).log()


class SkeletonSubnet(nn.Module):
    """A plain network of one or more branches, joined late.

    Parameters
    ----------
    branches : mapping of str to Branch
        The branches that are on, in their order.
    fusion : str
        As of `fuse`.
    """

    def __init__(self, branches: Mapping[str, Branch], fusion: str) -> None:
        super().__init__()
        self.branches, self.fusion = nn.ModuleDict(branches), fusion

    def branch_logits(self, x_NCT: Tensor, mask_NT: Tensor) -> list[Tensor]:
        """Compute the logits of each branch.

        Parameters
        ----------
        x_NCT : Tensor
            Positions.
        mask_NT : Tensor
            int64: 1 in frames with a body, else 0.

        Returns
        -------
        list of Tensor
            Shape (N, classes) each, in the order of the branches.
        """
        mask = mask_NT.to(x_NCT.dtype)[:, None]
        x = x_NCT * mask
        return [branch(x, mask) for branch in self.branches.values()]

    @override
    def forward(self, x_NCT: Tensor, mask_NT: Tensor) -> Tensor:
        """Compute logits of shape (N, classes) from positions and mask."""
        return fuse(self.branch_logits(x_NCT, mask_NT), self.fusion)
