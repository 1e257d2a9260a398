"""The static subnet of MobileNetV3 families."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class MobileNetV3Subnet(nn.Module):
    """A plain static subnet: stem, blocks, head, classifier; it has no reference to the supernet.

    Parameters
    ----------
    stem : nn.Sequential
        Layers before the blocks.
    blocks : sequence of nn.Module
        Blocks in order.
    head : nn.Sequential
        Layers behind the blocks, pool included.
    classifier : nn.Linear
        Last layer.
    """

    def __init__(self, stem: nn.Sequential, blocks: Sequence[nn.Module], head: nn.Sequential, classifier: nn.Linear):
        super().__init__()
        self.stem = stem
        self.blocks = nn.Sequential(*blocks)
        self.head = head
        self.classifier = classifier

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Compute logits of images.

        Parameters
        ----------
        x_NCHW : Tensor
            Images of shape (N, 3, H, W).

        Returns
        -------
        Tensor
            Logits of shape (N, classes).
        """
        x = self.head(self.blocks(self.stem(x_NCHW)))
        return self.classifier(torch.flatten(x, 1))  # type: ignore[no-any-return]
