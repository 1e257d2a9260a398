"""The run: what is known of it before its first step."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from hwsearch._typing import IntArray
from hwsearch.spaces import SearchSpace
from hwsearch.supernets.base import Supernet
from hwsearch.tasks.base import Task
from hwsearch.tasks.data import Data, Inputs
from hwsearch.training.compute_device import moved
from hwsearch.training.config import TrainingConfig
from hwsearch.training.parts.feedback import Bus
from hwsearch.training.ranks import ALONE, Ranks


@dataclass(frozen=True)
class Run:
    """A run as its parts are told about it, by their `prepare`.

    Attributes
    ----------
    supernet : Supernet
        The network that is trained.
    task : Task
        What it is for.
    data : Data
        Training examples.
    config : TrainingConfig
        Hyper-parameters.
    bus : Bus
        Feedback that parts may subscribe to.
    ranks : Ranks
        The processes that train together.
    """

    supernet: Supernet
    task: Task
    data: Data
    config: TrainingConfig
    bus: Bus = field(default_factory=Bus)
    ranks: Ranks = ALONE

    @property
    def device(self) -> torch.device:
        """Where the supernet is; batches and what parts make for it are moved there."""
        return next(self.supernet.parameters()).device

    def examples(self, index: IntArray, size: int) -> tuple[Inputs, Tensor]:
        """Read training examples as they are, without augmentation, onto the device of the supernet.

        Parameters
        ----------
        index : IntArray
            Positions in the training data, shape ``(k,)``.
        size : int
            Input size.

        Returns
        -------
        tuple of (Inputs, Tensor)
            Inputs and targets of all of them, as one batch.
        """
        inputs, targets = next(self.data.take(index).batches(size, len(index)))
        return moved(inputs, self.device), targets.to(self.device)

    @property
    def space(self) -> SearchSpace:
        """The search space of the supernet."""
        return self.supernet.space

    @property
    def per_epoch(self) -> int:
        """Steps of one epoch; examples that do not fill a batch are left out."""
        return len(self.data) // self.config.batch

    @property
    def steps(self) -> int:
        """Steps of the whole run."""
        return self.config.steps or self.per_epoch * self.config.epochs

    @property
    def ghosts(self) -> int:
        """Equal parts of each batch: those of the configuration, or one a process."""
        return self.config.ghost_batches or self.ranks.world

    @property
    def own_ghosts(self) -> range:
        """Numbers of the parts that this process computes."""
        share = self.ghosts // self.ranks.world
        return range(self.ranks.rank * share, (self.ranks.rank + 1) * share)

    @property
    def size(self) -> int:
        """Input size of the largest subnet, for which batches are prepared."""
        return self.supernet.input_size(self.space.largest())

    def rng(self, *purpose: int) -> np.random.Generator:
        """Make a generator that depends on the seed and on numbers.

        Parameters
        ----------
        *purpose : int
            What the generator is for, such as an epoch.

        Returns
        -------
        numpy.random.Generator
            The same one for the same seed and numbers.
        """
        return np.random.default_rng([self.config.seed, *purpose])
