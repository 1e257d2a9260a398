"""Order of channels by importance, so that slices of the first ones keep what matters most."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from hwsearch.supernets.layers.norm import ElasticBatchNorm


def norm_slots(norm: ElasticBatchNorm) -> list[tuple[Tensor, int]]:
    """List the tensors of a batch norm that have an entry for each channel.

    Parameters
    ----------
    norm : ElasticBatchNorm
        The norm.

    Returns
    -------
    list of (Tensor, int)
        Tensors with the axis of their channels, for `sort_by_importance`.
    """
    bn = norm.bn
    assert bn.running_mean is not None and bn.running_var is not None
    return [(bn.weight, 0), (bn.bias, 0), (bn.running_mean, 0), (bn.running_var, 0)]


@torch.no_grad()
def sort_by_importance(
    slots: Sequence[tuple[Tensor, int]], consumers: Sequence[tuple[Tensor, int]], block: int = 1
) -> Tensor:
    """Put the channels that one or several layers share in order of importance, largest first; changes the tensors.

    The importance of a channel is the L1 norm of the weights that read it (elastic width of Once-for-All). What the
    network computes stays the same, up to rounding.

    Parameters
    ----------
    slots : sequence of (Tensor, int)
        Each tensor with the axis along which the channels lie: rows and norms of the layers that make them, columns
        of those that read them.
    consumers : sequence of (Tensor, int)
        Weights that read the channels, with the axis of the channels.
    block : int, default 1
        So many neighbouring channels stay together.

    Returns
    -------
    Tensor
        Old places of the channels in their new order, of shape (channels,).

    References
    ----------
    Cai, Gan, Wang, Zhang, Han, 2020, Once-for-All, arXiv 1908.09791.

    Examples
    --------
    >>> maker, reader = torch.tensor([[1.0], [2.0]]), torch.tensor([[3.0, 4.0]])
    >>> sort_by_importance([(maker, 0), (reader, 1)], [(reader, 1)]).tolist(), maker.tolist()
    ([1, 0], [[2.0], [1.0]])
    """
    importance = torch.stack(
        [w.abs().sum([d for d in range(w.ndim) if d != axis], dtype=torch.float64) for w, axis in consumers]
    ).sum(0)
    blocks = importance.view(-1, block).sum(1).argsort(descending=True, stable=True)
    order = (blocks[:, None] * block + torch.arange(block, device=blocks.device)).flatten()
    for tensor, axis in slots:
        tensor.copy_(tensor.index_select(axis, order))
    return order
