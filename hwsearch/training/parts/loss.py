"""Losses of a step: what a subnet learns from."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

from pydantic import Field, PrivateAttr
from torch import Tensor
from typing_extensions import override

from hwsearch.training.part import Part
from hwsearch.training.parts.batch import Batch
from hwsearch.training.parts.draw import Draw
from hwsearch.training.parts.moment import Moment
from hwsearch.training.parts.run import Run


@dataclass(frozen=True)
class Outputs:
    """Outputs of one forward pass.

    Attributes
    ----------
    logits : Tensor
        The network's outputs, examples along the first axis.
    features : Tensor, optional
        The last feature map ``(b, channels, h, w)`` or sequence ``(b, tokens, channels)``, where the loss needs it.
    """

    logits: Tensor
    features: Tensor | None = None

    def detach(self) -> Outputs:
        """Cut the outputs off from their graph.

        Returns
        -------
        Outputs
            The same numbers, without gradients.
        """
        return Outputs(self.logits.detach(), None if self.features is None else self.features.detach())


class StepLoss(Part):
    """The loss of one subnet on one batch."""

    _run: Run = PrivateAttr()

    def prepare(self, run: Run) -> None:
        """Take what is known of the run.

        Parameters
        ----------
        run : Run
            The run.

        Raises
        ------
        TrainingError
            If the task or the supernet cannot be served.
        """
        self._run = run

    def needs_features(self) -> bool:
        """Tell whether `Outputs.features` is wanted.

        Returns
        -------
        bool
            False by default.
        """
        return False

    @abstractmethod
    def __call__(self, out: Outputs, batch: Batch, draw: Draw, teacher: Outputs | None, now: Moment) -> Tensor:
        """Compute the mean loss of a batch.

        Weights of examples and the scale of the draw are applied to the gradient by the step, for every loss alike.

        Parameters
        ----------
        out : Outputs
            Of this subnet.
        batch : Batch
            The examples.
        draw : Draw
            The subnet.
        teacher : Outputs or None
            Of the teacher on the same examples, detached; None where there is none.
        now : Moment
            The step.

        Returns
        -------
        Tensor
            A scalar.
        """


class Labels(StepLoss):
    """The task's loss against the targets; of mixed examples, against both.

    Attributes
    ----------
    smoothing : float
        Label smoothing.
    """

    smoothing: float = Field(0.0, ge=0, lt=1)

    @override
    def __call__(self, out: Outputs, batch: Batch, draw: Draw, teacher: Outputs | None, now: Moment) -> Tensor:
        task = self._run.task
        loss = task.loss(out.logits, batch.targets, label_smoothing=self.smoothing)
        if batch.other_targets is None:
            return loss
        other = task.loss(out.logits, batch.other_targets, label_smoothing=self.smoothing)
        return batch.share * loss + (1 - batch.share) * other


class Soft(StepLoss):
    """The task's loss against the outputs of the teacher (distillation)."""

    @override
    def __call__(self, out: Outputs, batch: Batch, draw: Draw, teacher: Outputs | None, now: Moment) -> Tensor:
        assert teacher is not None, "a sampler draws the teacher first"
        return self._run.task.distillation_loss(out.logits, teacher.logits, batch.targets)


class Roles(StepLoss):
    """Students learn from the teacher, everyone else from the targets.

    Attributes
    ----------
    labels, students : StepLoss
        The loss of teachers and plain subnets, and that of students.
    """

    labels: StepLoss = Field(default_factory=Labels)
    students: StepLoss = Field(default_factory=Soft)

    @override
    def prepare(self, run: Run) -> None:
        super().prepare(run)
        self.labels.prepare(run)
        self.students.prepare(run)

    @override
    def needs_features(self) -> bool:
        return self.labels.needs_features() or self.students.needs_features()

    @override
    def __call__(self, out: Outputs, batch: Batch, draw: Draw, teacher: Outputs | None, now: Moment) -> Tensor:
        chosen = self.students if draw.role == "student" else self.labels
        return chosen(out, batch, draw, teacher, now)
