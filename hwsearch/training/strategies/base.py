"""A training strategy: which subnets one step trains, on what, and how their gradients combine."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from torch import Tensor

from hwsearch.supernets.base import Supernet
from hwsearch.tasks.base import Task
from hwsearch.tasks.data import Inputs


class Strategy(Protocol):
    """One step of supernet training.

    A strategy of your own is a class with this method in one file, named by an entry point of the group
    ``hwsearch.strategies``; its constructor takes the options of a recipe. It asks the task for losses and for inputs
    of smaller subnets, and so trains supernets of every task.
    """

    def step(
        self,
        supernet: Supernet,
        task: Task,
        inputs: Inputs,
        targets: Tensor,
        progress: float,
        rng: np.random.Generator,
    ) -> dict[str, float]:
        """Run the forward and backward passes of one batch; leave the summed gradients in the parameters.

        Parameters
        ----------
        supernet : Supernet
            The supernet, in training mode, its gradients cleared.
        task : Task
            What the supernet is for.
        inputs : Inputs
            Inputs at the size of the largest subnet, ``(b, …)``.
        targets : Tensor
            Targets, ``(b, …)``.
        progress : float
            Share of all steps already done, from 0 to 1.
        rng : numpy.random.Generator
            Source of all randomness; a step repeated with an equal generator does the same.

        Returns
        -------
        dict of str to float
            Named losses for the log; a loss that is not finite ends the training.
        """
        ...
