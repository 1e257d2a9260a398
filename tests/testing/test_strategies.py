"""Every training strategy of ours passes the suite that is shipped for others'."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from typing_extensions import override

from hwsearch.spaces import Architecture, SearchSpace
from hwsearch.supernets.base import Supernet
from hwsearch.supernets.declared import Width, elastic
from hwsearch.testing import StrategyConformance
from hwsearch.training import Strategy
from hwsearch.training.strategies import STRATEGIES

#: settings with which the suite runs, where the defaults are not enough in 12 steps
SETTINGS: dict[str, dict[str, Any]] = {
    "assemble": {"module": 1},
    "autodistil": {"cell": 2},
    "band-shift": {"bands": 3, "every": 3},
    "band-uniform": {"bands": 3},
    "deps": {"ramp": 0.25, "sort": True},
    "few-shot": {"gene": "d[0]", "values": (2,)},
    "mixture": {"hidden": 8, "granularity": "neuron"},
    "sandwich": {"random": 1},
    "sorted": {"length": 4},
    "uniform": {"draws": 2},
}


def sliced() -> Supernet:
    """A declared network of two convolutions and a block that may be left out."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        block = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())
        stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU())
        model = nn.Sequential(stem, block, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3))
        return elastic(
            model,
            {"0.0": Width((0.25, 0.5, 1.0), divisor=2), "1.0": Width((0.5, 1.0), divisor=2)},
            input_shape=(3, 16, 16),
        ).train()


@pytest.fixture(params=STRATEGIES.names(), autouse=True)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class TestOurs(StrategyConformance):
    """All of them, by the parameter of the fixture."""

    @pytest.fixture(autouse=True)
    def _named(self, name: str) -> None:
        self.name = name

    @override
    def supernet(self) -> Supernet:
        """Make the default network, but for `tangle`, whose subnets must be slices: kernels are transformed there."""
        return sliced() if self.name == "tangle" else super().supernet()

    @override
    def judged(self, space: SearchSpace) -> Architecture:
        """Judge the meta network in a module's training: the largest has parts that stand still."""
        if self.name != "assemble":
            return super().judged(space)
        row = np.where(np.array(space.names) == "r", space.sizes - 1, 0)
        return space.from_array(row[None])[0]

    @override
    def make(self) -> Strategy:
        return STRATEGIES.load(self.name)(**SETTINGS.get(self.name, {}))
