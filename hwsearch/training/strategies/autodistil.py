"""AutoDistil: the strategy ``autodistil``, one supernet for each class of sizes, taught by relations of features."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor
from typing_extensions import override

from hwsearch.errors import TrainingError
from hwsearch.tasks.data import forward
from hwsearch.training.parts.batch import Batch
from hwsearch.training.parts.cells import POOL_RNG, CellSandwichSampler
from hwsearch.training.parts.draw import Draw
from hwsearch.training.parts.features import last_features
from hwsearch.training.parts.loss import Labels, Outputs, Roles, StepLoss
from hwsearch.training.parts.moment import Moment
from hwsearch.training.parts.partition import Cell, bands, pool
from hwsearch.training.parts.recipe import Recipe
from hwsearch.training.parts.run import Run
from hwsearch.training.strategies.base import Strategy


def relations(features: Tensor, side: tuple[int, int] | None = None) -> Tensor:
    """Compute the logits of how much each place of a feature map is like every other.

    Parameters
    ----------
    features : Tensor
        ``(b, channels, h, w)`` or ``(b, tokens, channels)``.
    side : tuple of int, optional
        Bring maps to this height and width first.

    Returns
    -------
    Tensor
        Scaled inner products ``(b, places, places)``, whatever the number of channels.
    """
    if features.ndim == 4:
        if side is not None and tuple(features.shape[2:]) != side:
            features = F.adaptive_avg_pool2d(features, side)
        features = features.flatten(2).transpose(1, 2)
    unit = F.layer_norm(features, features.shape[-1:])
    return unit @ unit.transpose(1, 2) / features.shape[-1] ** 0.5


class Relations(StepLoss):
    """The divergence of a student's relations between places from its teacher's, plus the loss on its outputs.

    Attributes
    ----------
    weight : float
        Factor of the relations.
    outputs : float
        Factor of the loss on the teacher's outputs; without it students' classifiers learn nothing.
    """

    weight: float = Field(1.0, ge=0)
    outputs: float = Field(1.0, ge=0)

    @override
    def needs_features(self) -> bool:
        return True

    @override
    def __call__(self, out: Outputs, batch: Batch, draw: Draw, teacher: Outputs | None, now: Moment) -> Tensor:
        assert teacher is not None, "a sampler draws the teacher first"
        assert out.features is not None and teacher.features is not None, "`AutoDistil.recipe` has checked it"
        side = None
        if out.features.ndim == 4:
            shapes = zip(out.features.shape[2:], teacher.features.shape[2:], strict=True)
            height, width = (min(pair) for pair in shapes)
            side = (height, width)
        goal = relations(teacher.features, side).softmax(-1)
        found = relations(out.features, side).log_softmax(-1)
        divergence = (goal * (goal.clamp(min=1e-12).log() - found)).sum(-1).mean()
        soft = self._run.task.distillation_loss(out.logits, teacher.logits, batch.targets)
        return self.weight * divergence + self.outputs * soft


class AutoDistil(Strategy):
    """Train one class of sizes: the largest of its cell on the targets, the others on the relations of its features.

    The space is cut into cells of equally many subnets by MACs. A run trains one cell; make one for each, from the same
    weights, and search in each. The paper's teacher is a network outside the supernet, and its relations are those of
    attention; here the largest subnet of the cell teaches, and the places of the last feature map are related, so that
    convolutional networks are served as well.

    Attributes
    ----------
    cells : int
        How many classes of sizes.
    cell : int
        The one that is trained, from 0 for the smallest; -1 for the whole space.
    random : int
        Random subnets in each step.
    relations : float
        Weight of the relations in the loss.
    label_smoothing : float
        Label smoothing for the largest subnet.

    References
    ----------
    Xu et al., "AutoDistil: few-shot task-agnostic neural architecture search for distilling large language models", 2022,
    arXiv 2201.12507.
    """

    cells: int = Field(3, ge=2)
    cell: int = Field(-1, ge=-1)
    random: int = Field(2, ge=0)
    relations: float = Field(1.0, ge=0)
    label_smoothing: float = Field(0.1, ge=0, lt=1)

    def partition(self, run: Run) -> list[Cell]:
        """Cut the space into classes of sizes.

        Parameters
        ----------
        run : Run
            The run.

        Returns
        -------
        list of Cell
            From the smallest sizes to the largest.
        """
        return bands(pool(run.supernet, run.rng(POOL_RNG)), self.cells, "quantile")

    @override
    def recipe(self, run: Run) -> Recipe:
        self._check_features(run)
        if self.cell < 0:
            cell = pool(run.supernet, run.rng(POOL_RNG))
        else:
            found = self.partition(run)
            if self.cell >= len(found):
                raise TrainingError(
                    f"strategy autodistil: cell={self.cell} is none of the {len(found)} cells, which count from 0.",
                    hint=f"Give 0 to {len(found) - 1}.",
                )
            cell = found[self.cell]
        sampler = CellSandwichSampler(name=cell.name, random=self.random).use(cell)
        loss = Roles(labels=Labels(smoothing=self.label_smoothing), students=Relations(weight=self.relations))
        return Recipe(sampler, loss)

    @torch.no_grad()
    def _check_features(self, run: Run) -> None:
        """Refuse networks without feature maps before anything is trained."""
        net, training = run.supernet, run.supernet.training
        net.eval()
        net.activate(run.space.largest())
        inputs, _ = run.examples(np.arange(min(2, len(run.data))), run.size)
        with last_features(net) as features:
            forward(net, inputs)
        net.train(training)
        if not features:
            raise TrainingError(
                f"{type(net).__name__} has neither feature maps nor sequences, whose relations 'autodistil' teaches.",
                hint="Use another strategy, such as 'sandwich'.",
            )
