"""The schedule: learning rate, phase and further values as pure functions of the step."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping

from pydantic import Field, PrivateAttr
from typing_extensions import override

from hwsearch.training.part import Part
from hwsearch.training.parts.moment import Moment
from hwsearch.training.parts.run import Run


class Schedule(Part):
    """A pure function of the step: resuming needs no state, and the future can be asked.

    A subclass implements `rate`, and `phase` and `values` where it has any.
    """

    _run: Run = PrivateAttr()

    def prepare(self, run: Run) -> None:
        """Take what is known of the run.

        Parameters
        ----------
        run : Run
            The run.
        """
        self._run = run

    @abstractmethod
    def rate(self, step: int) -> float:
        """Compute the learning rate.

        Parameters
        ----------
        step : int
            The step, from 0.

        Returns
        -------
        float
            The learning rate.
        """

    def phase(self, step: int) -> str:
        """Name the phase of a step.

        Parameters
        ----------
        step : int
            The step, from 0.

        Returns
        -------
        str
            Empty by default.
        """
        return ""

    def values(self, step: int) -> Mapping[str, float]:
        """Compute what else changes over the run.

        Parameters
        ----------
        step : int
            The step, from 0.

        Returns
        -------
        mapping of str to float
            Nothing by default.
        """
        return {}

    def at(self, step: int) -> Moment:
        """Describe one step.

        Parameters
        ----------
        step : int
            The step, from 0.

        Returns
        -------
        Moment
            The step with its learning rate, phase and values.
        """
        run = self._run
        return Moment(step, run.steps, run.per_epoch, self.rate(step), self.phase(step), self.values(step))


class Warmed(Schedule):
    """Linear warm-up to the configured rate, then what a subclass says in `decay`."""

    @override
    def rate(self, step: int) -> float:
        c, total = self._run.config, self._run.steps
        warmup = max(1, round(c.warmup * total))
        if step < warmup:
            return c.lr * (step + 1) / warmup
        return c.lr * self.decay(step, warmup, total)

    @abstractmethod
    def decay(self, step: int, warmup: int, total: int) -> float:
        """Compute the share of the configured rate after the warm-up.

        Parameters
        ----------
        step : int
            The step, not below `warmup`.
        warmup, total : int
            Steps of the warm-up, and of the whole run.

        Returns
        -------
        float
            The share, from 0 to 1.
        """


class WarmupCosine(Warmed):
    """Linear warm-up to the configured rate, then cosine to zero; the default."""

    @override
    def decay(self, step: int, warmup: int, total: int) -> float:
        return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, total - warmup)))


class ExponentialFloor(Warmed):
    """Linear warm-up, then exponential decay with a constant ending.

    Attributes
    ----------
    floor : float
        The least share of the peak; the decay would reach it at `reached`.
    reached : float
        Share of the run at which the decay reaches the floor.

    References
    ----------
    Yu et al., "BigNAS", 2020, arXiv 2003.11142: decay until 5 % of the peak, constant from there.
    """

    floor: float = Field(0.05, gt=0, lt=1)
    reached: float = Field(0.8, gt=0, le=1)

    @override
    def decay(self, step: int, warmup: int, total: int) -> float:
        share = (step - warmup) / max(1.0, self.reached * total - warmup)
        return float(max(self.floor, self.floor**share))


class RatedBy(Schedule):
    """A schedule with the learning rate of another one; a subclass adds phases or values.

    Attributes
    ----------
    base : Schedule
        The learning rate.
    """

    base: Schedule = Field(default_factory=WarmupCosine)

    @override
    def prepare(self, run: Run) -> None:
        super().prepare(run)
        self.base.prepare(run)

    @override
    def rate(self, step: int) -> float:
        return self.base.rate(step)
