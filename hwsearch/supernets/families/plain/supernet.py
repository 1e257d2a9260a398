"""Plain networks as search spaces: declarations, and channels sorted when a plain file is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from typing_extensions import override

from hwsearch.supernets.declared.declaration import Declaration, Depth, Width
from hwsearch.supernets.declared.module import ElasticModule
from hwsearch.supernets.families.plain.mobilenet_v2 import MOBILENET_V2_STAGES

# ---------------------------------------------------------------------- as search spaces
SHARES = (0.5, 0.75, 1.0)


RESOLUTIONS = tuple(range(128, 225, 16))


class PlainSupernet(ElasticModule):
    """A declared plain network whose channels are sorted by importance when a plain file is loaded.

    A file saved by this class says so in the tensor ``importance_sorted``: its slices were trained as they are, and
    loading leaves them in their order.

    Parameters
    ----------
    model : nn.Module
        The largest network.
    declaration : mapping
        What may vary, as of `hwsearch.supernets.declared.elastic`.
    **options : object
        Keyword arguments of `ElasticModule`.
    """

    importance_sorted: Tensor

    def __init__(self, model: nn.Module, declaration: Declaration, **options: Any) -> None:
        super().__init__(model, declaration, **options)
        self.register_buffer("importance_sorted", torch.tensor(True))

    @override
    def rename(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {"importance_sorted": torch.tensor(False), **state}

    @override
    def after_loading(self) -> None:
        if not self.importance_sorted:
            self.sort_channels()
            self.importance_sorted.fill_(True)


def resnet_declaration(depths: tuple[int, int, int, int], expansion: int) -> dict[str, Any]:
    """Declare widths inside every block, and up to two blocks less in each stage.

    Parameters
    ----------
    depths : tuple of int
        Blocks of each stage.
    expansion : int
        Output by middle channels: 1 for basic blocks, 4 for bottlenecks.

    Returns
    -------
    dict
        The declaration.
    """
    widths = {f"layer*.*.conv{i}": Width(SHARES) for i in ((1,) if expansion == 1 else (1, 2))}
    return widths | {f"layer{s}": Depth(tuple(range(max(1, d - 2), d + 1))) for s, d in enumerate(depths, 1)}


def mobilenet_v2_declaration() -> dict[str, Any]:
    """Declare expanded widths, and one block to all in each stage of several blocks.

    Returns
    -------
    dict
        The declaration.
    """
    declared: dict[str, Any] = {f"features.{i}.conv.0.0": Width(SHARES) for i in range(2, 18)}
    depths, first = [], 1
    for _, _, blocks, _ in MOBILENET_V2_STAGES:
        if blocks > 1:
            depths.append(Depth(tuple(range(1, blocks + 1)), children=range(first, first + blocks)))
        first += blocks
    return declared | {"features": depths}
