"""Delayed epsilon-shrinking: the strategy ``deps``."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field
from typing_extensions import override

from hwsearch.training.parts.event import SortChannels
from hwsearch.training.parts.loss import Labels, Roles
from hwsearch.training.parts.recipe import Recipe
from hwsearch.training.parts.run import Run
from hwsearch.training.parts.sampler import After, OneSampler, SandwichSampler
from hwsearch.training.parts.schedule import RatedBy
from hwsearch.training.strategies.base import Strategy


class DelayedEpsilon(RatedBy):
    """Let the effective learning rate of the smaller subnets rise from 0 to that of the ramp's end.

    With W the end of the ramp and lr the base rate, the value ``epsilon`` is (steps in the ramp + 1) / (steps of the ramp)
    times lr(W) / lr(now) within the ramp, and 1 after it: the product with lr(now) rises linearly to lr(W).

    Attributes
    ----------
    base : Schedule
        The learning rate.
    start, ramp : float
        Shares of the run: where the ramp begins, and its length.
    """

    start: float = Field(0.5, ge=0, le=1)
    ramp: float = Field(0.02, ge=0, le=1)

    @override
    def values(self, step: int) -> Mapping[str, float]:
        steps = self._run.steps
        first, end = self.start * steps, round((self.start + self.ramp) * steps)
        if step < first:
            return {"epsilon": 0.0}
        length = end - first
        if step >= end or length <= 0:
            return {"epsilon": 1.0}
        share = min(1.0, (step - first + 1) / length)
        return {"epsilon": share * self.base.rate(end) / self.base.rate(step)}


class DelayedEpsilonShrinking(Strategy):
    """Train the largest subnet alone at first, then let the sandwich's smaller subnets in by a ramp.

    The first share of the run costs one pass a step. Gradients are summed, the paper's default.

    Attributes
    ----------
    start : float
        Share of the run in which the largest is trained alone.
    ramp : float
        Share of the run in which the weight of the others rises; 0 for none.
    random : int
        Random subnets in each step after that, besides the largest and the smallest.
    label_smoothing : float
        Label smoothing for the largest subnet.
    sort : bool
        Put channels in order of importance when the others come in.

    References
    ----------
    Annavajjala et al., "DεpS: delayed ε-shrinking for faster once-for-all training", 2024, arXiv 2407.06167.
    """

    start: float = Field(0.5, ge=0, lt=1)
    ramp: float = Field(0.02, ge=0, le=1)
    random: int = Field(2, ge=0)
    label_smoothing: float = Field(0.1, ge=0, lt=1)
    sort: bool = False

    @override
    def recipe(self, run: Run) -> Recipe:
        sandwich = SandwichSampler(random=self.random, factor="epsilon")
        return Recipe(
            After(share=self.start, before=OneSampler(which="largest"), then=sandwich),
            Roles(labels=Labels(smoothing=self.label_smoothing)),
            DelayedEpsilon(start=self.start, ramp=self.ramp),
            events=(SortChannels(at=self.start),) if self.sort else (),
        )
