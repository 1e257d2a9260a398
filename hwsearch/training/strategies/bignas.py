"""BigNAS: the strategy ``bignas``, the sandwich rule with exponential decay and a constant ending."""

from __future__ import annotations

from pydantic import Field
from typing_extensions import override

from hwsearch.training.parts.loss import Labels, Roles
from hwsearch.training.parts.recipe import Recipe
from hwsearch.training.parts.run import Run
from hwsearch.training.parts.sampler import SandwichSampler
from hwsearch.training.parts.schedule import ExponentialFloor
from hwsearch.training.strategies.base import Strategy


class BigNAS(Strategy):
    """Train by the sandwich rule with in-place distillation and the paper's learning rate.

    Its rule to regularise the largest subnet alone is what one update with SGD does: weight decay is added once a step,
    not once a subnet. Optimizer, batch and augmentation are those of the configuration, not the paper's.

    Attributes
    ----------
    random : int
        Random subnets in each step.
    label_smoothing : float
        Label smoothing for the largest subnet.
    floor : float
        The least share of the peak learning rate.

    References
    ----------
    Yu et al., "BigNAS: scaling up neural architecture search with big single-stage models", 2020, arXiv 2003.11142.
    """

    random: int = Field(2, ge=0)
    label_smoothing: float = Field(0.1, ge=0, lt=1)
    floor: float = Field(0.05, gt=0, lt=1)

    @override
    def recipe(self, run: Run) -> Recipe:
        loss = Roles(labels=Labels(smoothing=self.label_smoothing))
        return Recipe(SandwichSampler(random=self.random), loss, ExponentialFloor(floor=self.floor))
