"""Batch-norm recalibration of a subnet.

A subnet shares its weights with all others but not their statistics: before it is judged, mean and
variance of every batch norm are computed anew on training images (Yu & Huang, 2019,
arXiv 1903.05134; Cai et al., 2020, arXiv 1908.09791). As in the reference of the latter, the result
is the image-weighted mean of batch means and of *biased* batch variances.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from hwsearch.tasks.data import Data, forward


def batch_norms(net: nn.Module) -> dict[str, _BatchNorm]:
    """Find the batch norms that have running statistics, over vectors, sequences, images or volumes.

    Parameters
    ----------
    net : torch.nn.Module
        The network.

    Returns
    -------
    dict of str to torch.nn.Module
        Norms by name.
    """
    return {n: m for n, m in net.named_modules() if isinstance(m, _BatchNorm) and m.running_mean is not None}


@torch.no_grad()
def recalibrate(net: nn.Module, data: Data, size: int, *, batch: int = 250) -> None:
    """Set the running statistics of every batch norm from all examples of a data set, in place.

    Deterministic for a given network and data: only the norms are in training mode, dropout is off. A last batch smaller
    than half is left out. Nothing happens where there are no such norms.

    Parameters
    ----------
    net : torch.nn.Module
        The network; it is left in the mode it had.
    data : Data
        Training examples.
    size : int
        Input size, as `hwsearch.tasks.data.Data.batches` takes it.
    batch : int
        Examples in each forward pass.

    References
    ----------
    Yu and Huang, 2019, arXiv 1903.05134; Cai et al., 2020, arXiv 1908.09791.
    """
    norms = list(batch_norms(net).values())
    if not norms:
        return
    sizes: dict[nn.Module, int] = {}

    def note(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        x = inputs[0]
        sizes[module] = x.numel() // x.shape[1]

    handles = [m.register_forward_pre_hook(note) for m in norms]
    modes = {m: m.training for m in net.modules()}
    momenta = {m: m.momentum for m in norms}
    means = {m: torch.zeros_like(m.running_mean, dtype=torch.float64) for m in norms}  # type: ignore[arg-type]
    variances = {m: torch.zeros_like(m.running_var, dtype=torch.float64) for m in norms}  # type: ignore[arg-type]
    seen = 0
    net.eval()
    try:
        for m in norms:
            m.train()
            m.momentum = 1.0
        for x, labels in data.batches(size, batch):
            count = len(labels)
            if seen and count < batch / 2:
                break
            forward(net, x)
            seen += count
            for m in norms:
                n = sizes[m]
                assert m.running_mean is not None and m.running_var is not None
                means[m] += m.running_mean.double() * count
                variances[m] += m.running_var.double() * count * ((n - 1) / n)
        for m in norms:
            assert m.running_mean is not None and m.running_var is not None
            m.running_mean.copy_(means[m] / seen)
            m.running_var.copy_(variances[m] / seen)
    finally:
        for handle in handles:
            handle.remove()
        for m in norms:
            m.momentum = momenta[m]
        for module, mode in modes.items():
            module.training = mode
