"""Lower bounds of the margins between the right class and every other one."""

from __future__ import annotations

import torch
from torch import Tensor

from hwsearch.accuracy.certified.interval import Interval

#: entries of the differences of weights that are in memory at once
MOST_ENTRIES = 1 << 24


def margin_bounds(outputs: Interval, labels: Tensor) -> Tensor:
    """Bound the margins ``z_y - z_j`` from below.

    Where the outputs are those of a linear layer, the margin is folded into it: the bound is that of one linear layer with the
    weights ``W_y - W_j``, which is tighter than the difference of two bounds (Gowal et al. 2018, section 3). Elsewhere it is
    that difference.

    Parameters
    ----------
    outputs : Interval
        Logits, shape ``(b, classes)``.
    labels : Tensor
        Right classes, shape ``(b,)``.

    Returns
    -------
    Tensor
        Lower bounds ``(b, classes)``; 0 at the right class.

    References
    ----------
    Gowal et al., 2018, arXiv 1810.12715.

    Examples
    --------
    >>> net = torch.nn.Linear(1, 2, bias=False)
    >>> _ = net.weight.data.copy_(torch.tensor([[1.0], [1.0]]))  # two equal logits differ by 0, whatever the input
    >>> out = net(Interval(torch.tensor([[-1.0]]), torch.tensor([[1.0]])))
    >>> margin_bounds(out, torch.tensor([0])).tolist(), (out.lower[0, 0] - out.upper[0, 1]).item()
    ([[0.0, 0.0]], -2.0)
    """
    own = labels[:, None]
    if outputs.affine is None:
        bound = outputs.lower.gather(1, own) - outputs.upper
        return bound.scatter(1, own, 0.0)
    layer = outputs.affine
    classes, features = layer.weight.shape
    step = max(1, MOST_ENTRIES // (classes * features))
    parts = []
    for start in range(0, len(labels), step):
        y = labels[start : start + step]
        centre, radius = layer.centre[start : start + step], layer.radius[start : start + step]
        difference = layer.weight[y][:, None] - layer.weight[None]  # (b, classes, features)
        bound = torch.einsum("bkf,bf->bk", difference, centre) - torch.einsum("bkf,bf->bk", difference.abs(), radius)
        if layer.bias is not None:
            bound = bound + layer.bias[y][:, None] - layer.bias[None]
        parts.append(bound)
    return torch.cat(parts).scatter(1, own, 0.0)
