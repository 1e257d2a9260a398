"""Mixture-of-Supernets: the strategy ``mixture``, weights mixed from experts by the architecture."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from typing_extensions import override

from hwsearch.training.parts.experts import ExpertMix
from hwsearch.training.parts.loss import Labels
from hwsearch.training.parts.recipe import Recipe
from hwsearch.training.parts.run import Run
from hwsearch.training.parts.sampler import SandwichSampler
from hwsearch.training.strategies.base import Strategy


class MixtureOfSupernets(Strategy):
    """Give every weight several experts, and let a small network mix them by the architecture.

    Subnets that disagree can so have weights of their own. Memory grows with the experts; a subnet that was cut
    (`ExpertMix.materialise`) costs nothing more. The trained weights are more than a weight file of the supernet holds, so
    ``hwsearch train`` refuses this strategy: use it from Python.

    Attributes
    ----------
    experts : int
        Copies of the weights.
    granularity : {"layer", "neuron"}
        Whether a weight is mixed as a whole, or each of its output neurons by itself.
    hidden : int
        Units of the router.
    random : int
        Random subnets in each step, besides the largest and the smallest.
    label_smoothing : float
        Label smoothing.

    References
    ----------
    Jawahar et al., "Mixture-of-supernets: improving weight-sharing supernet training with architecture-routed
    mixture-of-experts", 2024, arXiv 2306.04845.
    """

    experts: int = Field(2, ge=2)
    granularity: Literal["layer", "neuron"] = "layer"
    hidden: int = Field(128, ge=1)
    random: int = Field(2, ge=0)
    label_smoothing: float = Field(0.0, ge=0, lt=1)

    @override
    def recipe(self, run: Run) -> Recipe:
        view = ExpertMix(experts=self.experts, granularity=self.granularity, hidden=self.hidden)
        return Recipe(SandwichSampler(random=self.random), Labels(smoothing=self.label_smoothing), view=view)
