"""Elastic layers: one full-size weight, of which each call uses a slice."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from hwsearch.supernets.layers.norm import ElasticBatchNorm


def norm_slots(norm: ElasticBatchNorm) -> list[tuple[Tensor, int]]:
    """The tensors of a batch norm that have an entry a channel, as slots of `sort_by_importance`."""
    bn = norm.bn
    assert bn.running_mean is not None and bn.running_var is not None
    return [(bn.weight, 0), (bn.bias, 0), (bn.running_mean, 0), (bn.running_var, 0)]


@torch.no_grad()
def sort_by_importance(
    slots: Sequence[tuple[Tensor, int]], consumers: Sequence[tuple[Tensor, int]], block: int = 1
) -> Tensor:
    """Put the channels that one or several layers share in order of importance, largest first; in place.

    The importance of a channel is the L1 norm of the weights that read it (elastic width of Cai et al., 2020,
    arXiv 1908.09791), so a slice of the first channels keeps the largest share of it. What the network computes
    stays the same, up to rounding.

    slots : each (tensor, axis) along which the channels lie: rows and norms of who makes them, columns of who reads them
    consumers : the (weight, axis) of those that read them
    block : so many neighbouring channels stay together
    Returns the old places (channels,) in their new order.
    """
    importance = torch.stack(
        [w.abs().sum([d for d in range(w.ndim) if d != axis], dtype=torch.float64) for w, axis in consumers]
    ).sum(0)
    blocks = importance.view(-1, block).sum(1).argsort(descending=True, stable=True)
    order = (blocks[:, None] * block + torch.arange(block, device=blocks.device)).flatten()
    for tensor, axis in slots:
        tensor.copy_(tensor.index_select(axis, order))
    return order
