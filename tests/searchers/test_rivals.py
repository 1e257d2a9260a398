"""The published tactics: their parts against reference implementations, and the figures they are known for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hwsearch.errors import SearchError
from hwsearch.searchers import create
from hwsearch.spaces import Choice, SearchSpace
from hwsearch.testing.toy_spaces import ONE, TWO, small_space, table_space, values_of


@pytest.mark.parametrize("name", ["regularised-evolution", "age-moea", "nsga3", "unsga3", "moead", "ctaea"])
def test_evolution_gains_on_random_search(name: str) -> None:
    space = SearchSpace("slope", [Choice(f"x{i}", tuple(range(5))) for i in range(8)])

    def best(tactic: str, seed: int) -> float:
        options = {"population": 20} if tactic != "random" else {}
        searcher = create(tactic, space, ["max accuracy"], seed, **options)
        for _ in range(20):
            archs = searcher.ask(10)
            searcher.tell(archs, space.to_array(archs).sum(axis=1))
        return float(searcher.evaluated[1].max())

    assert np.mean([best(name, s) for s in range(3)]) > np.mean([best("random", s) for s in range(3)]) + 1


@pytest.mark.parametrize("name", ["linas", "weaknas", "brp-nas", "bananas", "parego"])
def test_predictors_gain_on_random_search(name: str) -> None:
    space = table_space(400)
    small: dict[str, dict[str, Any]] = {
        "linas": {"population": 20, "inner_evaluations": 400},
        "weaknas": {"predictor": "ridge-or-svr", "top": 20},
        "brp-nas": {"predictor": "ridge-or-svr"},
        "bananas": {"predictor": "ridge-or-svr"},
        "parego": {"inner_evaluations": 60},
    }
    everything = values_of(space, list(space.enumerate()), 1)[:, 0]

    def place(tactic: str) -> float:
        """How many of the table are better than the best of 40 measured."""
        searcher = create(tactic, space, ONE, 1, **small.get(tactic, {}))
        for _ in range(4):
            archs = searcher.ask(10)
            searcher.tell(archs, values_of(space, archs, 1))
        return float((everything > searcher.evaluated[1].max()).sum())

    assert place(name) <= 3 < place("random")


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("regularised-evolution", {"sample": 60}),
        ("local-search", {"start": 0}),
        ("moead", {"neighbours": 1}),
        ("linas", {"inner_evaluations": 10}),
        ("weaknas", {"predictor": "xgbost"}),
        ("brp-nas", {"exploit": 2.0}),
        ("bananas", {"ensemble": 1}),
        ("parego", {"inner_evaluations": 1}),
        ("botorch-qnehvi", {"draws": 0}),
        ("lamoo", {"kernel": "cubic"}),
        ("lamoo", {"leaf": 1}),
        ("linas", {"popluation": 10}),
    ],
)
def test_senseless_options_are_refused(name: str, options: dict[str, Any]) -> None:
    with pytest.raises(SearchError):
        create(name, small_space(), TWO, **options)
