"""The optimizer of the weights: SGD with Nesterov momentum."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from hwsearch.training.config import TrainingConfig


def make_optimizer(named: Iterable[tuple[str, nn.Parameter]], config: TrainingConfig) -> torch.optim.SGD:
    """Make the optimizer; only convolution and linear weights decay.

    Parameters
    ----------
    named : iterable of (str, torch.nn.Parameter)
        What is trained.
    config : TrainingConfig
        Learning rate, momentum and decay.

    Returns
    -------
    torch.optim.SGD
        With two groups: what decays, and norms, biases and kernel transforms, which do not.
    """
    decayed: list[nn.Parameter] = []
    plain: list[nn.Parameter] = []
    for name, parameter in named:
        (plain if parameter.ndim < 2 or name.endswith("_matrix") else decayed).append(parameter)
    groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": plain, "weight_decay": 0.0}]
    return torch.optim.SGD(groups, lr=config.lr, momentum=config.momentum, nesterov=True)
