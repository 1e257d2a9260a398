"""Demand of a training: bytes of each step's sum, and passes."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass

import numpy as np
from torch import Tensor
from typing_extensions import override

from hwsearch._typing import IntArray
from hwsearch.errors import TrainingError
from hwsearch.supernets.base import Supernet
from hwsearch.tasks.base import Task
from hwsearch.tasks.data import Data, Inputs
from hwsearch.training.config import TrainingConfig
from hwsearch.training.parts.recipe import Recipe
from hwsearch.training.parts.run import Run
from hwsearch.training.ranks import Ranks
from hwsearch.training.strategies.assemble import Assemble
from hwsearch.training.strategies.base import Strategy
from hwsearch.training.trainer import assemble

#: steps, evenly over a run, whose passes are counted
COUNTED_STEPS = 64
#: numbers that each rank tells the others before gradients are added: step, digest, failure, interruption
AGREED = 4
#: bytes of a float64
WIDE = 8


@dataclass(frozen=True)
class Demand:
    """Bytes, steps and passes of one stage of a training.

    Where modules are trained apart nothing is exchanged, and the steps are those of one process after the other: of the meta
    network, and of each turn of modules.

    Attributes
    ----------
    strategy : str
        Name of the strategy.
    steps : int
        Optimizer steps.
    passes : float
        Forward and backward passes a step, on average over the run.
    parameter_bytes : int
        Bytes of the gradients of everything that is trained. Parameters that no subnet of a step uses do not travel in that
        step, so a step may send less.
    buffer_bytes : int
        Bytes of the running statistics, whose movement is averaged with the gradients.
    rows : int
        Rows of that many bytes that each process holds: its ghost batches.
    told_bytes : float
        Bytes that each process tells all others beside it: that they agree, and losses.
    shares : int
        Shares of a batch that a process computes in each pass: all of them where it trains a module apart, else its own.
    """

    strategy: str
    steps: int
    passes: float
    parameter_bytes: int
    buffer_bytes: int
    rows: int
    told_bytes: float
    shares: int = 1

    @property
    def sum_bytes(self) -> int:
        """Bytes of the sum that every step makes over all processes."""
        return self.parameter_bytes + self.buffer_bytes


class Counted(Data):
    """A data set of which only the number of examples is known, and a few examples to look at.

    Parameters
    ----------
    examples : int
        How many there are.
    seen : Data, optional
        Examples that stand for all; without them a strategy that looks at examples is refused.
    """

    def __init__(self, examples: int, seen: Data | None) -> None:
        self._examples, self._seen = examples, seen
        self.name = "the training examples" if seen is None else seen.name
        self.classes = () if seen is None else seen.classes

    @override
    def __len__(self) -> int:
        return self._examples

    def _some(self) -> Data:
        if self._seen is None:
            raise TrainingError(
                "the strategy looks at examples, and the supernet ships none.", hint="Give data instead of examples."
            )
        return self._seen

    @override
    def take(self, indices: IntArray) -> Data:  # type: ignore[override]
        return self._some().take(np.asarray(indices) % len(self._some()))

    @override
    def key(self, i: int) -> Hashable:
        return self._some().key(i % len(self._some()))

    @property
    @override
    def digest(self) -> str:
        return self._some().digest

    @override
    def batches(self, size: int, batch: int) -> Iterator[tuple[Inputs, Tensor]]:
        return self._some().batches(size, batch)


def stage_demand(
    name: str, net: Supernet, strategy: Strategy, task: Task, data: Data, config: TrainingConfig, world: int
) -> Demand:
    """Reckon up what a stage of a training exchanges and computes; nothing is trained.

    Parameters
    ----------
    name : str
        Name of the strategy.
    net : Supernet
        The supernet.
    strategy : Strategy
        The strategy.
    task : Task
        What the supernet is for.
    data : Data
        Training examples, or their number.
    config : TrainingConfig
        Settings of the stage.
    world : int
        Processes.

    Returns
    -------
    Demand
        Bytes and passes.

    Raises
    ------
    TrainingError
        If a batch cannot be shared out over the processes, or the strategy cannot serve the supernet or the task.
    """
    if isinstance(strategy, Assemble):
        return _apart(name, net, strategy, task, data, config, world)
    run = Run(net, task, data, config, ranks=Ranks(0, world, 1))
    recipe = assemble(strategy, run)
    trained = sum(p.numel() * p.element_size() for _, p in recipe.view.named_parameters() if p.requires_grad)
    moving = sum(b.numel() * b.element_size() for b in net.buffers() if b.is_floating_point())
    draws = _draws(recipe, run)
    passes = draws + (recipe.search is not None)
    rows = run.ghosts // world
    return Demand(
        strategy=name,
        steps=run.steps,
        passes=passes,
        parameter_bytes=trained,
        buffer_bytes=moving,
        rows=rows,
        told_bytes=WIDE * (AGREED + rows * draws),
    )


def _draws(recipe: Recipe, run: Run) -> float:
    """Count the subnets of a step, on average over the run."""
    found = []
    for step in sorted({round(k * (run.steps - 1) / (COUNTED_STEPS - 1)) for k in range(COUNTED_STEPS)}):
        now = recipe.schedule.at(step)
        found.append(len(recipe.sampler.sample(now, run.rng(now.epoch, now.within))))
    return float(np.mean(found))


def _apart(
    name: str, net: Supernet, strategy: Assemble, task: Task, data: Data, config: TrainingConfig, world: int
) -> Demand:
    """Reckon up modules that are trained apart: first the meta network, then as many modules at once as there are processes."""
    if strategy.module:
        raise TrainingError(
            f"module = {strategy.module} does not belong into a recipe.", hint="Leave it out: all modules are planned."
        )
    run = Run(net, task, data, config)
    passes = [_draws(assemble(strategy.piece(m), run), run) for m in range(strategy.modules + 1)]
    meta = strategy.config_of(0, config, run.steps).steps if strategy.meta else 0
    turns = [max(passes[m : m + world]) for m in range(1, strategy.modules + 1, world)]
    steps = (meta or 0) + len(turns) * run.steps
    return Demand(
        strategy=name,
        steps=steps,
        passes=((meta or 0) * passes[0] + run.steps * sum(turns)) / steps,
        parameter_bytes=0,
        buffer_bytes=0,
        rows=0,
        told_bytes=0.0,
        shares=world,
    )
