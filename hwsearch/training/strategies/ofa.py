"""Once-for-all's progressive shrinking: the strategy ``ofa``."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor
from typing_extensions import override

from hwsearch.training.parts.batch import Batch
from hwsearch.training.parts.draw import Draw
from hwsearch.training.parts.event import SortChannels, can_sort
from hwsearch.training.parts.loss import Labels, Outputs, Soft, StepLoss
from hwsearch.training.parts.moment import Moment
from hwsearch.training.parts.phases import OpenedSampler, Phases
from hwsearch.training.parts.recipe import Recipe
from hwsearch.training.parts.run import Run
from hwsearch.training.parts.teacher import FrozenLargest
from hwsearch.training.strategies.base import Strategy


class LabelsAndTeacher(StepLoss):
    """The loss on the targets, plus that on the outputs of a teacher once there is one.

    Attributes
    ----------
    smoothing : float
        Label smoothing.
    weight : float
        Factor of the teacher's part.
    """

    smoothing: float = Field(0.1, ge=0, lt=1)
    weight: float = Field(1.0, ge=0)

    @override
    def __call__(self, out: Outputs, batch: Batch, draw: Draw, teacher: Outputs | None, now: Moment) -> Tensor:
        labels, soft = Labels(smoothing=self.smoothing), Soft()
        labels.prepare(self._run)
        soft.prepare(self._run)
        loss = labels(out, batch, draw, teacher, now)
        return loss if teacher is None else loss + self.weight * soft(out, batch, draw, teacher, now)


class ProgressiveShrinking(Strategy):
    """Train the largest subnet first, then open kernels, depths and widths one after the other.

    A frozen copy of the trained largest subnet teaches all others. The phases share one cosine of the learning rate, and
    their lengths are ours; the paper restarts it in each phase. Genes are told apart by their names; resolutions vary from
    the second phase on.

    Attributes
    ----------
    draws : int
        Subnets a step, once something varies.
    kernel, depth, width : float
        Shares of the run at which each kind of gene opens; until the first the largest is trained alone.
    label_smoothing : float
        Label smoothing.
    teacher : float
        Weight of the teacher's part of the loss.
    sort : bool, optional
        Put channels in order of importance before widths open; by default where the family can.

    References
    ----------
    Cai, Gan, Wang, Zhang and Han, "Once-for-all: train one network and specialize it for efficient deployment", 2020,
    arXiv 1908.09791.
    """

    draws: int = Field(4, ge=1)
    kernel: float = Field(0.25, ge=0, le=1)
    depth: float = Field(0.45, ge=0, le=1)
    width: float = Field(0.7, ge=0, le=1)
    label_smoothing: float = Field(0.1, ge=0, lt=1)
    teacher: float = Field(1.0, ge=0)
    sort: bool | None = None

    @override
    def recipe(self, run: Run) -> Recipe:
        starts = ((0.0, "largest"), (self.kernel, "kernel"), (self.depth, "depth"), (self.width, "width"))
        sort = can_sort(run.supernet) if self.sort is None else self.sort
        return Recipe(
            OpenedSampler(draws=self.draws),
            LabelsAndTeacher(smoothing=self.label_smoothing, weight=self.teacher),
            Phases(starts=starts),
            teacher=FrozenLargest(at=self.kernel),
            events=(SortChannels(at=self.width),) if sort else (),
        )
