"""Elastic MobileNetV3: kernel, expansion, depth and resolution can be chosen per layer."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class MobileNetV3Subnet(nn.Module):
    """A plain static subnet: stem, blocks, head; no reference to the supernet."""

    def __init__(self, stem: nn.Sequential, blocks: Sequence[nn.Module], head: nn.Sequential, classifier: nn.Linear):
        super().__init__()
        self.stem = stem
        self.blocks = nn.Sequential(*blocks)
        self.head = head
        self.classifier = classifier

    def forward(self, x_NCHW: Tensor) -> Tensor:
        x = self.head(self.blocks(self.stem(x_NCHW)))
        return self.classifier(torch.flatten(x, 1))  # type: ignore[no-any-return]
