"""Every training strategy of ours passes the suite that is shipped for others'."""

from __future__ import annotations

from typing import Any

import pytest
from typing_extensions import override

from hwsearch.testing import StrategyConformance
from hwsearch.training import Strategy
from hwsearch.training.strategies import STRATEGIES

#: settings with which the suite runs, where the defaults are not enough in 12 steps
SETTINGS: dict[str, dict[str, Any]] = {
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


@pytest.fixture(params=STRATEGIES.names(), autouse=True)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class TestOurs(StrategyConformance):
    """All of them, by the parameter of the fixture."""

    @pytest.fixture(autouse=True)
    def _named(self, name: str) -> None:
        self.name = name

    @override
    def make(self) -> Strategy:
        return STRATEGIES.load(self.name)(**SETTINGS.get(self.name, {}))
