"""A search by gradients beside the training of weights: logits of architectures learn from the other half of the data."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from pydantic import Field, PrivateAttr
from typing_extensions import override

from hwsearch.errors import TrainingError
from hwsearch.training.part import Part
from hwsearch.training.parts.batch import Batch
from hwsearch.training.parts.data import DataSampler, Picked
from hwsearch.training.parts.moment import Moment
from hwsearch.training.parts.run import Run
from hwsearch.training.parts.superposition import Superposition

#: purposes of the generators that split the data and order its second half
HALVES_RNG, SECOND_RNG = 19, 23


class FirstHalf(DataSampler):
    """Random examples of one half of the data; the other half is for the architecture."""

    @override
    def prepare(self, run: Run) -> None:
        super().prepare(run)
        if len(run.data) < 2 * run.config.batch:
            raise TrainingError(
                f"half of {len(run.data)} training {run.task.examples} does not fill a batch of {run.config.batch}."
            )

    @override
    def pick(self, now: Moment) -> Picked:
        return _picked(self._run, now, 0)


class ArchitectureSearch(Part):
    """Update the logits of a superposition after each step of the weights, with Adam.

    Attributes
    ----------
    lr, weight_decay : float
        Of Adam, whose betas are 0.5 and 0.999.
    cost : float
        Weight of the expected cost, as a share of the largest subnet's, in the loss.
    """

    lr: float = Field(6e-4, gt=0)
    weight_decay: float = Field(1e-3, ge=0)
    cost: float = Field(0.0, ge=0)
    _run: Run = PrivateAttr()
    _adam: torch.optim.Adam | None = PrivateAttr(None)

    def prepare(self, run: Run) -> None:
        """Take what is known of the run.

        Parameters
        ----------
        run : Run
            The run.
        """
        self._run = run

    def examples(self, now: Moment) -> Picked:
        """Choose examples of the second half.

        Parameters
        ----------
        now : Moment
            The step.

        Returns
        -------
        Picked
            Their positions.
        """
        return _picked(self._run, now, 1)

    def step(self, view: Superposition, batch: Batch) -> float:
        """Update the logits once.

        Parameters
        ----------
        view : Superposition
            Has the logits.
        batch : Batch
            Examples of the second half.

        Returns
        -------
        float
            The loss, with its cost.
        """
        adam, run = self._optimizer(view), self._run
        adam.zero_grad(set_to_none=True)
        inputs = batch.at(run.size, run.task)
        loss = run.task.loss(view.forward(inputs), batch.targets) + self.cost * view.expected_cost()
        gradients = torch.autograd.grad(loss, view.architecture_parameters(), allow_unused=True)
        for parameter, gradient in zip(view.architecture_parameters(), gradients, strict=True):
            parameter.grad = gradient
        adam.step()
        return float(loss.detach())

    def _optimizer(self, view: Superposition) -> torch.optim.Adam:
        if self._adam is None:
            self._adam = torch.optim.Adam(
                view.architecture_parameters(), self.lr, betas=(0.5, 0.999), weight_decay=self.weight_decay
            )
        return self._adam

    def adopt(self, view: Superposition, state: dict[str, Any]) -> None:
        """Take up what `state_dict` collected, for the logits of a view.

        Parameters
        ----------
        view : Superposition
            Has the logits.
        state : dict of str to object
            As `state_dict` collected it.
        """
        if state:
            self._optimizer(view).load_state_dict(state["adam"])

    @override
    def state_dict(self) -> dict[str, Any]:
        return {} if self._adam is None else {"adam": self._adam.state_dict()}


def _picked(run: Run, now: Moment, half: int) -> Picked:
    order = run.rng(HALVES_RNG).permutation(len(run.data))
    members = np.array_split(order, 2)[half]
    rng = run.rng(SECOND_RNG, now.epoch, now.within, half)
    return Picked(rng.choice(members, size=run.config.batch, replace=False))
