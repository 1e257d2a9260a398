"""Judge subnets with the supernet's weights, and the same networks trained by themselves."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from hwsearch.accuracy import calibrated_subnet, recalibrate
from hwsearch.accuracy.recalibrate import batch_norms
from hwsearch.errors import MeasurementError
from hwsearch.spaces import Architecture
from hwsearch.supernets.base import Supernet
from hwsearch.tasks.base import Task
from hwsearch.tasks.data import Data, forward
from hwsearch.training.assessment.records import Judged
from hwsearch.training.finetune import FinetuneConfig, finetune

#: examples on which losses are computed, the first ones; scores are on all
LOSS_EXAMPLES = 1000
#: peak learning rates of a training from random weights, for batches of 64: with batch norms (SGD), and without (AdamW)
RATE, RATE_WITHOUT_NORMS = 0.05, 5e-4


@torch.no_grad()
def mean_loss(task: Task, net: nn.Module, data: Data, size: int, *, batch: int = 250) -> float:
    """Compute the mean training loss of a network in evaluation mode.

    Parameters
    ----------
    task : Task
        Knows the loss.
    net : torch.nn.Module
        The network; it is left in the mode it had.
    data : Data
        Labelled examples.
    size : int
        Input size, as `Data.batches` takes it.
    batch : int
        Examples in each forward pass.

    Returns
    -------
    float
        Mean over the examples.

    Raises
    ------
    MeasurementError
        If it is not finite.
    """
    training = net.training
    net.eval()
    total, count = 0.0, 0
    try:
        for inputs, targets in data.batches(size, batch):
            total += float(task.loss(forward(net, inputs), targets)) * len(targets)
            count += len(targets)
    finally:
        net.train(training)
    if not math.isfinite(total):
        raise MeasurementError(f"the loss on {data.name!r} is not finite.")
    return total / count


def judge(task: Task, net: nn.Module, data: Data, size: int) -> Judged:
    """Score a network on all examples, and compute its loss on the first `LOSS_EXAMPLES`.

    Parameters
    ----------
    task : Task
        What the network is for.
    net : torch.nn.Module
        A static network, its batch norms recalibrated.
    data : Data
        Labelled examples.
    size : int
        Input size.

    Returns
    -------
    Judged
        Score and loss.

    Raises
    ------
    MeasurementError
        If outputs or loss are not finite.
    """
    first = data.take(np.arange(LOSS_EXAMPLES)) if len(data) > LOSS_EXAMPLES else data  # finds what is decoded already
    return Judged(task.evaluate(net, data, size), mean_loss(task, net, first, size))


def judge_inherited(task: Task, net: Supernet, arch: Architecture, calibration: Data | None, data: Data) -> Judged:
    """Judge a subnet with the weights that it inherits.

    Parameters
    ----------
    task : Task
        What the network is for.
    net : Supernet
        The supernet; it does not change.
    arch : Architecture
        The subnet.
    calibration : Data or None
        Training examples for the batch norms; None where there are none.
    data : Data
        Examples to judge it by.

    Returns
    -------
    Judged
        Score and loss.
    """
    return judge(task, calibrated_subnet(net, arch, calibration), data, net.input_size(arch))


def judge_alone(
    task: Task,
    fresh: Supernet,
    arch: Architecture,
    train: Data,
    calibration: Data | None,
    data: Data,
    config: FinetuneConfig,
    *,
    progress: Callable[[int, float], None] | None = None,
    checkpoint: Path | None = None,
) -> Judged:
    """Train a subnet by itself from random weights, and judge it as those that inherit theirs.

    Parameters
    ----------
    task : Task
        What the network is for.
    fresh : Supernet
        The supernet with its initial weights.
    arch : Architecture
        The subnet.
    train : Data
        Training examples.
    calibration : Data or None
        As in `judge_inherited`.
    data : Data
        Examples to judge it by.
    config : FinetuneConfig
        Steps, which are passes here, and the other hyper-parameters, as `alone_config` makes them.
    progress : callable, optional
        Called with (steps done, mean loss of late) after each step.
    checkpoint : Path, optional
        Keeps the state of the training, so that it can be taken up again.

    Returns
    -------
    Judged
        Score and loss.

    Raises
    ------
    TrainingError
        If the examples do not fill a batch, or the loss is not finite.
    """
    net, size = fresh.subnet(arch), fresh.input_size(arch)
    net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    finetune(task, net, train, size, config, progress=progress, checkpoint=checkpoint)
    if calibration is not None:
        recalibrate(net, calibration, size)
    return judge(task, net.eval(), data, size)


def alone_config(net: nn.Module, passes: int, lr: float | None, seed: int, examples: int) -> FinetuneConfig:
    """Make the hyper-parameters of a training from random weights.

    Parameters
    ----------
    net : torch.nn.Module
        Tells whether there are batch norms.
    passes : int
        Forward and backward passes.
    lr : float, optional
        Peak learning rate; by default `RATE` or `RATE_WITHOUT_NORMS`.
    seed : int
        Seed of all randomness.
    examples : int
        Training examples; a batch takes 64, or all where there are fewer.

    Returns
    -------
    FinetuneConfig
        The hyper-parameters.
    """
    norms = bool(batch_norms(net))
    rate = lr if lr is not None else RATE if norms else RATE_WITHOUT_NORMS
    return FinetuneConfig(steps=passes, batch=min(64, examples), lr=rate, seed=seed)
