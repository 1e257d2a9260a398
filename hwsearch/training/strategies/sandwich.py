"""Sandwich rule with in-place distillation: the strategy ``sandwich``, that of the shipped weights."""

from __future__ import annotations

from pydantic import Field
from typing_extensions import override

from hwsearch.training.parts.loss import Labels, Roles
from hwsearch.training.parts.recipe import Recipe
from hwsearch.training.parts.run import Run
from hwsearch.training.parts.sampler import After, OneSampler, SandwichSampler
from hwsearch.training.strategies.base import Strategy


class Sandwich(Strategy):
    """Train the largest subnet on the targets, the smallest and random ones on its outputs, and sum the gradients.

    With `alone` > 0 the first share of the run trains the largest alone, which costs one pass a step instead of
    2 + `random`.

    Attributes
    ----------
    random : int
        Random subnets in each step, besides the largest and the smallest.
    label_smoothing : float
        Label smoothing for the largest subnet.
    alone : float
        Share of the run, at its start, in which only the largest subnet is trained.
    weight : float
        Factor of the gradients of the smaller subnets, against 1 for the largest.

    References
    ----------
    Yu and Huang, "Universally slimmable networks and improved training techniques", 2019, arXiv 1903.05134.
    Yu et al., "BigNAS: scaling up neural architecture search with big single-stage models", 2020, arXiv 2003.11142.
    Delayed shrinking: Cai et al., 2020, arXiv 1908.09791; Annavajjala et al., 2024, arXiv 2407.06167.
    """

    random: int = Field(2, ge=0)
    label_smoothing: float = Field(0.1, ge=0, lt=1)
    alone: float = Field(0.0, ge=0, le=1)
    weight: float = Field(1.0, gt=0)

    @override
    def recipe(self, run: Run) -> Recipe:
        sandwich = SandwichSampler(random=self.random, weight=self.weight)
        sampler = After(share=self.alone, before=OneSampler(which="largest"), then=sandwich)
        return Recipe(sampler, Roles(labels=Labels(smoothing=self.label_smoothing)))
