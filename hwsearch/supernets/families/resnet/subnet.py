"""Elastic ResNet-50-D: width, expansion, depth and resolution can be chosen."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from hwsearch.supernets.families.resnet.blocks import StaticBottleneck
from hwsearch.supernets.layers.containers import GlobalAveragePool


class ResNetSubnet(nn.Module):
    """A plain static subnet: stem, blocks, pool, classifier; no reference to the supernet."""

    def __init__(self, stem: nn.Sequential, blocks: Sequence[StaticBottleneck], classifier: nn.Linear) -> None:
        super().__init__()
        self.stem = stem
        self.blocks = nn.Sequential(*blocks)
        self.pool = GlobalAveragePool()
        self.classifier = classifier

    def forward(self, x_NCHW: Tensor) -> Tensor:
        x = self.pool(self.blocks(self.stem(x_NCHW)))
        return self.classifier(torch.flatten(x, 1))  # type: ignore[no-any-return]
