"""The smallest subnet first: the strategy ``small-first``."""

from __future__ import annotations

from pydantic import Field
from typing_extensions import override

from hwsearch.training.parts.loss import Labels, Roles
from hwsearch.training.parts.recipe import Recipe
from hwsearch.training.parts.run import Run
from hwsearch.training.parts.sampler import After, OneSampler, SandwichSampler
from hwsearch.training.strategies.base import Strategy


class SmallFirst(Strategy):
    """Train the smallest subnet alone at first, then spread what it knows by the sandwich rule.

    The order of SuperFast, against that of `deps`: a small subnet is cheap to train, and all others contain it.

    Attributes
    ----------
    share : float
        Share of the run in which the smallest is trained alone.
    random : int
        Random subnets in each step after that.
    label_smoothing : float
        Label smoothing.
    """

    share: float = Field(0.3, ge=0, lt=1)
    random: int = Field(2, ge=0)
    label_smoothing: float = Field(0.0, ge=0, lt=1)

    @override
    def recipe(self, run: Run) -> Recipe:
        sampler = After(share=self.share, before=OneSampler(which="smallest"), then=SandwichSampler(random=self.random))
        return Recipe(sampler, Roles(labels=Labels(smoothing=self.label_smoothing)))
