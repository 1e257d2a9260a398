"""Sandwich rule with in-place distillation.

Yu & Huang, 2019, arXiv 1903.05134; BigNAS, Yu et al., 2020, arXiv 2003.11142.

Each step trains the largest subnet on the labels, and the smallest and some random ones on the
largest's soft outputs; the gradients are summed and one update follows. With `alone` > 0 the first
share of the run trains the largest alone (delayed shrinking: Cai et al., 2020, arXiv 1908.09791;
Annavajjala et al., 2024, arXiv 2407.06167), which costs one pass a step instead of 2 + `random`.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from hwsearch.supernets.base import Supernet


class Sandwich:
    """The strategy ``sandwich``.

    random : random subnets a step
    label_smoothing : for the largest subnet
    alone : share of the run, at its start, in which only the largest is trained
    weight : of the gradients of the smaller subnets, against 1 for the largest
    """

    def __init__(
        self,
        random: int = 2,
        label_smoothing: float = 0.1,
        alone: float = 0.0,
        weight: float = 1.0,
    ) -> None:
        self.random = random
        self.label_smoothing = label_smoothing
        self.alone = alone
        self.weight = weight

    def step(
        self, supernet: Supernet, x_NCHW: Tensor, y_N: Tensor, progress: float, rng: np.random.Generator
    ) -> dict[str, float]:
        space = supernet.space
        supernet.activate(space.largest())
        logits = supernet(x_NCHW)
        loss = F.cross_entropy(logits, y_N, label_smoothing=self.label_smoothing)
        loss.backward()
        losses = {"largest": float(loss.detach())}
        if progress < self.alone:
            return losses
        soft = logits.detach().softmax(1)
        others = [("smallest", space.smallest())]
        others += [("random", arch) for arch in space.sample(self.random, rng, distinct=False)]
        for name, arch in others:
            supernet.activate(arch)
            side = supernet.input_size(arch)
            loss = F.cross_entropy(supernet(resize(x_NCHW, side)), soft)
            (self.weight * loss if self.weight != 1.0 else loss).backward()
            losses[name] = float(loss.detach())
        return losses


def resize(x_NCHW: Tensor, side: int) -> Tensor:
    """Antialiased bilinear resize, close to Pillow's."""
    if x_NCHW.shape[-1] == side:
        return x_NCHW
    small = F.interpolate(x_NCHW, (side, side), mode="bilinear", antialias=True, align_corners=False)
    return small.contiguous(memory_format=torch.channels_last)
