"""The suite for strategies passes with other settings of ours, and fails for those that break a promise."""

from __future__ import annotations

import numpy as np
import pytest
from typing_extensions import override

from hwsearch.testing import StrategyConformance
from hwsearch.training import Recipe, Run, Sandwich, Strategy
from hwsearch.training.parts.draw import Draw
from hwsearch.training.parts.moment import Moment
from hwsearch.training.parts.sampler import SubnetSampler
from hwsearch.training.strategies.mixture import MixtureOfSupernets
from hwsearch.training.strategies.pada import PathAndDataSampling


class TestSandwichAlone(StrategyConformance):
    @override
    def make(self) -> Strategy:
        return Sandwich(alone=0.7, weight=0.5)


class TestPadaAsReleased(StrategyConformance):
    @override
    def make(self) -> Strategy:
        return PathAndDataSampling(correct=False)


class TestMixtureByLayer(StrategyConformance):
    @override
    def make(self) -> Strategy:
        return MixtureOfSupernets(granularity="layer", hidden=8)


class _Forgets(SubnetSampler):
    """Draws from numpy's global generator, and counts without saving it."""

    _count: int = 0

    @override
    def sample(self, now: Moment, rng: np.random.Generator) -> list[Draw]:
        self._count += 1
        arch = self._run.space.smallest() if self._count % 2 else self._run.space.largest()
        np.random.random()
        return [Draw(arch)]


class _Careless(Strategy):
    @override
    def recipe(self, run: Run) -> Recipe:
        return Recipe(_Forgets())


class Careless(StrategyConformance):
    @override
    def make(self) -> Strategy:
        return _Careless()


def test_a_strategy_that_draws_from_elsewhere_is_caught() -> None:
    with pytest.raises(AssertionError, match="numpy's global generator"):
        Careless().test_global_randomness_is_not_touched()


def test_state_that_is_not_saved_is_caught() -> None:
    with pytest.raises(AssertionError, match="`state_dict` leaves out"):
        Careless().test_a_run_taken_up_again_ends_with_the_same_bits()
