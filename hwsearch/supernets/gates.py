"""Places where a network can be gated, so that the gates' states are genes of its search space."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True)
class DepthGates:
    """Gates of the blocks that a depth gene can leave out.

    The space keeps the first blocks of a stage. So the gates are of suffixes: gate k opens the blocks between the k-th and the
    next depth, and may be open only where the gates before it are.

    Attributes
    ----------
    gene : str
        The gene; its values ascend.
    reader : torch.nn.Module
        Module whose input the gates read.
    blocks : tuple of tuple of torch.nn.Module
        The blocks of each gate, in the order in which they run.
    """

    gene: str
    reader: nn.Module
    blocks: tuple[tuple[nn.Module, ...], ...]

    @property
    def count(self) -> int:
        """Number of gates: one less than the gene has values."""
        return len(self.blocks)


@dataclass(frozen=True)
class WidthGates:
    """Gates of the groups of channels that a width gene can leave out, in the order of the elastic slices.

    Attributes
    ----------
    gene : str
        The gene; its values ascend.
    reader : torch.nn.Module
        The layer that makes the channels, whose input the gates read.
    bounds : tuple of int
        Channels at each value of the gene, ascending; gate k opens the channels from ``bounds[k]`` to ``bounds[k + 1]``.
    consumers : tuple of torch.nn.Module
        Convolutions and linear layers that read the channels; a closed group is zero in their inputs.
    """

    gene: str
    reader: nn.Module
    bounds: tuple[int, ...]
    consumers: tuple[nn.Module, ...]

    @property
    def count(self) -> int:
        """Number of gates: one less than the gene has values."""
        return len(self.bounds) - 1


GateSite = DepthGates | WidthGates
