"""Uniform single path: the strategy ``uniform``."""

from __future__ import annotations

from pydantic import Field
from typing_extensions import override

from hwsearch.training.parts.loss import Labels
from hwsearch.training.parts.recipe import Recipe
from hwsearch.training.parts.run import Run
from hwsearch.training.parts.sampler import UniformSampler
from hwsearch.training.strategies.base import Strategy


class Uniform(Strategy):
    """Train random subnets, every gene uniform, on the targets.

    Attributes
    ----------
    draws : int
        Subnets a step; the paper's single path is 1.
    label_smoothing : float
        Label smoothing.

    References
    ----------
    Guo et al., "Single path one-shot neural architecture search with uniform sampling", 2020, arXiv 1904.00420.
    """

    draws: int = Field(1, ge=1)
    label_smoothing: float = Field(0.0, ge=0, lt=1)

    @override
    def recipe(self, run: Run) -> Recipe:
        return Recipe(UniformSampler(draws=self.draws), Labels(smoothing=self.label_smoothing))
