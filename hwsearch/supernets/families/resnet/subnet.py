"""The static subnet of the elastic ResNet-50-D."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from hwsearch.supernets.families.resnet.blocks import StaticBottleneck
from hwsearch.supernets.layers.containers import GlobalAveragePool


class ResNetSubnet(nn.Module):
    """A plain static subnet: stem, blocks, pool, classifier; it has no reference to the supernet.

    Parameters
    ----------
    stem : nn.Sequential
        Layers before the blocks.
    blocks : sequence of StaticBottleneck
        Blocks in order.
    classifier : nn.Linear
        Last layer.
    """

    def __init__(self, stem: nn.Sequential, blocks: Sequence[StaticBottleneck], classifier: nn.Linear) -> None:
        super().__init__()
        self.stem = stem
        self.blocks = nn.Sequential(*blocks)
        self.pool = GlobalAveragePool()
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
        x = self.pool(self.blocks(self.stem(x_NCHW)))
        return self.classifier(torch.flatten(x, 1))  # type: ignore[no-any-return]
