"""Every training strategy of ours passes the suite that is shipped for others'."""

from __future__ import annotations

from hwsearch.testing import StrategyConformance
from hwsearch.training import Sandwich, Strategy


class TestSandwich(StrategyConformance):
    def make(self) -> Strategy:
        return Sandwich(random=1)


class TestSandwichAlone(StrategyConformance):
    def make(self) -> Strategy:
        return Sandwich(alone=0.7, weight=0.5)
