"""SortedNet: the strategy ``sorted``, nested subnets of one chain."""

from __future__ import annotations

import numpy as np
from pydantic import Field, PrivateAttr
from typing_extensions import override

from hwsearch.errors import SpaceError, TrainingError
from hwsearch.spaces import Architecture
from hwsearch.training.parts.draw import Draw
from hwsearch.training.parts.loss import Labels
from hwsearch.training.parts.moment import Moment
from hwsearch.training.parts.recipe import Recipe
from hwsearch.training.parts.run import Run
from hwsearch.training.parts.sampler import SubnetSampler
from hwsearch.training.strategies.base import Strategy


class ChainSampler(SubnetSampler):
    """Subnets of a chain, each of which contains the ones before, with equal probability.

    Attributes
    ----------
    length : int
        Subnets of the chain (`SearchSpace.chain`, spread over the log of MACs).
    draws : int
        Subnets a step.
    """

    length: int = Field(16, ge=2)
    draws: int = Field(4, ge=1)
    _chain: list[Architecture] = PrivateAttr(default_factory=list)

    @override
    def prepare(self, run: Run) -> None:
        super().prepare(run)
        try:
            self._chain = run.space.chain(self.length, run.supernet.macs_array)
        except SpaceError as error:
            raise TrainingError(f"a chain of subnets is not to be had: {error}") from error

    @override
    def sample(self, now: Moment, rng: np.random.Generator) -> list[Draw]:
        return [
            Draw(self._chain[k], f"chain-{k}", cell=int(k)) for k in rng.integers(len(self._chain), size=self.draws)
        ]


class SortedNet(Strategy):
    """Train only the subnets of a nested chain, on the targets, without distillation and without a search.

    A device can then switch between them at run time with one copy of the weights. The first channels are part of every
    subnet and get most gradients.

    Attributes
    ----------
    length : int
        Subnets of the chain.
    draws : int
        Subnets whose gradients are summed in a step.
    label_smoothing : float
        Label smoothing.

    References
    ----------
    Valipour et al., "SortedNet: a scalable and generalized framework for training modular deep neural networks", 2023,
    arXiv 2309.00255.
    """

    length: int = Field(16, ge=2)
    draws: int = Field(4, ge=1)
    label_smoothing: float = Field(0.0, ge=0, lt=1)

    @override
    def recipe(self, run: Run) -> Recipe:
        return Recipe(ChainSampler(length=self.length, draws=self.draws), Labels(smoothing=self.label_smoothing))
