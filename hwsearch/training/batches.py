"""Prepare the batch of one step: read, vary at random, mix, move to the device."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from hwsearch.errors import TrainingError
from hwsearch.tasks.base import Augmentation
from hwsearch.training.compute_device import moved
from hwsearch.training.mixing import mix
from hwsearch.training.parts.batch import Batch
from hwsearch.training.parts.data import Picked
from hwsearch.training.parts.run import Run


def prepare_batch(run: Run, picked: Picked, rng: np.random.Generator) -> Batch:
    """Prepare the examples that a data sampler picked.

    Parameters
    ----------
    run : Run
        The run.
    picked : Picked
        The examples.
    rng : numpy.random.Generator
        Source of all randomness.

    Returns
    -------
    Batch
        On the device of the supernet.
    """
    c = run.config
    augmentation = Augmentation(crop_padding=c.padding, operations=c.randaugment, magnitude=c.magnitude)
    inputs, targets = run.task.training_batch(run.data, picked.index, run.size, rng, augmentation)
    device = run.device
    inputs, targets = moved(inputs, device), targets.to(device)
    weight = None if picked.weight is None else torch.as_tensor(picked.weight, dtype=torch.float32, device=device)
    if not (c.mixup or c.cutmix):
        return Batch(inputs, targets, picked.index, run.size, weight)
    assert isinstance(inputs, Tensor)
    mixed, other, share = mix(inputs, targets, rng, mixup=c.mixup, cutmix=c.cutmix)
    return Batch(mixed, targets, picked.index, run.size, weight, other, share)


def check_augmentation(run: Run) -> None:
    """Refuse augmentation that the task's inputs cannot bear, before training.

    Parameters
    ----------
    run : Run
        The run.

    Raises
    ------
    TrainingError
        If examples are to be mixed that are not images, or RandAugment is asked for where the task does not know it.
    """
    c = run.config
    asked = [name for name in ("mixup", "cutmix", "randaugment") if getattr(c, name)]
    if not asked:
        return
    inputs, _ = next(run.data.head(2).batches(run.size, 2))
    if not isinstance(inputs, Tensor) or inputs.ndim != 4 or not inputs.is_floating_point():
        raise TrainingError(
            f"{asked[0]} is for images, and the {run.task.examples} of task {run.task.name!r} are none.",
            hint=f"Set {asked[0]} to 0.",
        )
