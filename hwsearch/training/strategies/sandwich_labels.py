"""The sandwich rule without distillation: the strategy ``sandwich-labels``, the control of `sandwich`."""

from __future__ import annotations

from pydantic import Field
from typing_extensions import override

from hwsearch.training.parts.loss import Labels
from hwsearch.training.parts.recipe import Recipe
from hwsearch.training.parts.run import Run
from hwsearch.training.parts.sampler import SandwichSampler
from hwsearch.training.strategies.base import Strategy


class SandwichLabels(Strategy):
    """Train the largest, the smallest and random subnets, all of them on the targets.

    In short runs this is better than distillation from a teacher that knows nothing yet.

    Attributes
    ----------
    random : int
        Random subnets in each step.
    label_smoothing : float
        Label smoothing.

    References
    ----------
    Yu and Huang, "Universally slimmable networks and improved training techniques", 2019, arXiv 1903.05134.
    """

    random: int = Field(2, ge=0)
    label_smoothing: float = Field(0.0, ge=0, lt=1)

    @override
    def recipe(self, run: Run) -> Recipe:
        return Recipe(SandwichSampler(random=self.random), Labels(smoothing=self.label_smoothing))
