"""Sandwich rule with in-place distillation (Yu and Huang, 2019, arXiv 1903.05134).

As in BigNAS (Yu et al., 2020, arXiv 2003.11142), each step trains the largest subnet on the targets, and the smallest
and some random ones on the largest's outputs; the gradients are summed and one update follows. With `alone` > 0 the
first share of the run trains the largest alone (delayed shrinking: Cai et al., 2020, arXiv 1908.09791; Annavajjala et
al., 2024, arXiv 2407.06167), which costs one pass a step instead of 2 + `random`.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor

from hwsearch.supernets.base import Supernet
from hwsearch.tasks.base import Task
from hwsearch.tasks.data import Inputs, forward


class Sandwich:
    """The strategy ``sandwich``: the largest subnet learns from targets, smaller ones from the largest.

    Parameters
    ----------
    random : int
        Random subnets in each step, besides the largest and the smallest.
    label_smoothing : float
        Label smoothing for the largest subnet.
    alone : float
        Share of the run, at its start, in which only the largest subnet is trained.
    weight : float
        Weight of the gradients of the smaller subnets, against 1 for the largest.

    References
    ----------
    Yu and Huang, "Universally slimmable networks and improved training techniques", 2019, arXiv 1903.05134.
    Yu et al., "BigNAS: scaling up neural architecture search with big single-stage models", 2020, arXiv 2003.11142.
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
        self,
        supernet: Supernet,
        task: Task,
        inputs: Inputs,
        targets: Tensor,
        progress: float,
        rng: np.random.Generator,
    ) -> dict[str, float]:
        """Run one step; see `hwsearch.training.strategies.base.Strategy.step`.

        Parameters
        ----------
        supernet, task, inputs, targets, progress, rng
            As in `hwsearch.training.strategies.base.Strategy.step`.

        Returns
        -------
        dict of str to float
            The losses ``largest`` and, unless the largest subnet is trained alone, ``smallest`` and ``random``.
        """
        space = supernet.space
        supernet.activate(space.largest())
        outputs = forward(supernet, inputs)
        loss = task.loss(outputs, targets, label_smoothing=self.label_smoothing)
        loss.backward()  # type: ignore[no-untyped-call]
        losses = {"largest": float(loss.detach())}
        if progress < self.alone:
            return losses
        teacher = outputs.detach()
        others = [("smallest", space.smallest())]
        others += [("random", arch) for arch in space.sample(self.random, rng, distinct=False)]
        for name, arch in others:
            supernet.activate(arch)
            small = task.resize(inputs, supernet.input_size(arch))
            loss = task.distillation_loss(forward(supernet, small), teacher, targets)
            (self.weight * loss if self.weight != 1.0 else loss).backward()
            losses[name] = float(loss.detach())
        return losses
