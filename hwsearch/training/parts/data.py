"""Which examples a step trains on."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import PrivateAttr
from typing_extensions import override

from hwsearch._typing import FloatArray, IntArray
from hwsearch.training.part import Part
from hwsearch.training.parts.feedback import Seen
from hwsearch.training.parts.moment import Moment
from hwsearch.training.parts.run import Run


@dataclass(frozen=True)
class Picked:
    """The examples of one step.

    Attributes
    ----------
    index : IntArray
        Positions in the training data, shape ``(b,)``.
    weight : FloatArray, optional
        Factor of each example's loss, shape ``(b,)``; None for 1.
    """

    index: IntArray
    weight: FloatArray | None = None


class DataSampler(Part):
    """Chooses the examples of each step; a subclass may adapt to feedback."""

    _run: Run = PrivateAttr()

    def prepare(self, run: Run) -> None:
        """Take what is known of the run, and subscribe to feedback.

        Parameters
        ----------
        run : Run
            The run.

        Raises
        ------
        TrainingError
            If the task or the data cannot be served.
        """
        self._run = run

    @abstractmethod
    def pick(self, now: Moment) -> Picked:
        """Choose the examples of a step; the same ones when the step is repeated with equal state.

        Parameters
        ----------
        now : Moment
            The step.

        Returns
        -------
        Picked
            Positions, and weights of their losses.
        """

    def update(self, seen: Sequence[Seen]) -> None:
        """Learn from the passes of one step; by default nothing.

        Parameters
        ----------
        seen : sequence of Seen
            The passes.
        """


class Shuffled(DataSampler):
    """Every example once an epoch, each epoch in another order; the default."""

    _order: tuple[int, IntArray] | None = PrivateAttr(None)

    @override
    def pick(self, now: Moment) -> Picked:
        run, batch = self._run, self._run.config.batch
        if self._order is None or self._order[0] != now.epoch:
            self._order = (now.epoch, run.rng(now.epoch).permutation(len(run.data)))
        return Picked(self._order[1][now.within * batch : (now.within + 1) * batch])
