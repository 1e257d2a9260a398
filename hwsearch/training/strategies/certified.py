"""Certified training with a short ramp: the strategy ``certified``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator
from typing_extensions import override

from hwsearch.accuracy.certified import parse_epsilon
from hwsearch.errors import BoundError
from hwsearch.training.parts.intervals import DrawWeights, EpsilonRamp, IntervalLoss, IntervalSlices
from hwsearch.training.parts.recipe import Recipe
from hwsearch.training.parts.run import Run
from hwsearch.training.parts.sampler import OneSampler, SandwichSampler, SubnetSampler
from hwsearch.training.strategies.base import Strategy


class Certified(Strategy):
    """Train subnets whose answers can be proved for all small changes of the pixels, by interval bound propagation.

    Each subnet of a sandwich learns the worst case that the bounds of its own slices allow, for an epsilon that rises over a short
    ramp. New weights are drawn before the first step, so that bounds do not explode; batch norms and two regularisers keep them
    tight while epsilon rises. A step costs about three passes of a subnet in place of one. With ``initialisation = "keep"`` and
    ``regularisation = 0`` it is plain interval training (Gowal et al. 2018).

    Attributes
    ----------
    epsilon : float or str
        Largest change of a pixel at the end of the ramp, as a share of the pixel range: a number, or a fraction such as ``"2/255"``.
    initialisation : {"auto", "intervals", "keep"}
        Draw new weights for intervals, or go on from those that the supernet has. ``auto`` draws them for a supernet whose batch norms
        have seen no example yet, so that a second stage or a weight file is not lost.
    regularisation, tolerance : float
        Weight of both regularisers, and the ratio below which they act.
    natural : float
        Share of the loss that is the plain one.
    start, ramp : float
        Shares of the run: where epsilon begins to rise, and how long it does.
    random : int
        Random subnets in each step, besides the largest and the smallest.
    largest_only : bool
        Train the largest subnet alone.

    References
    ----------
    Shi, Wang, Zhang, Yi and Hsieh, "Fast certified robust training with short warmup", 2021, arXiv 2103.17268.
    Gowal et al., "On the effectiveness of interval bound propagation for training verifiably robust models", 2018,
    arXiv 1810.12715.
    """

    epsilon: float = Field(2 / 255, gt=0, le=1)
    initialisation: Literal["auto", "intervals", "keep"] = "auto"
    regularisation: float = Field(0.5, ge=0)
    tolerance: float = Field(0.5, gt=0, le=1)
    natural: float = Field(0.0, ge=0, le=1)
    start: float = Field(0.05, ge=0, le=1)
    ramp: float = Field(0.25, ge=0, le=1)
    random: int = Field(1, ge=0)
    largest_only: bool = False

    @field_validator("epsilon", mode="before")
    @classmethod
    def _of_pixels(cls, value: object) -> float:
        try:
            return parse_epsilon(value)
        except BoundError as error:
            raise ValueError(str(error)) from None

    @override
    def recipe(self, run: Run) -> Recipe:
        sampler: SubnetSampler = SandwichSampler(random=self.random)
        if self.largest_only:
            sampler = OneSampler(which="largest")
        view = IntervalSlices(epsilon=self.epsilon)
        loss = IntervalLoss(regularisation=self.regularisation, tolerance=self.tolerance, natural=self.natural)
        ramp = EpsilonRamp(start=self.start, ramp=self.ramp)
        events = () if self.initialisation == "keep" else (DrawWeights(always=self.initialisation == "intervals"),)
        return Recipe(sampler, loss.watching(view), schedule=ramp, view=view, events=events)
