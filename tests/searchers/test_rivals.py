"""The published tactics: their parts against reference implementations, and the figures they are known for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV

from hwsearch.errors import SearchError
from hwsearch.searchers import create
from hwsearch.searchers.evolutionary.agemoea import geometric_survivors
from hwsearch.searchers.predicted.models import ALPHAS, RidgeOrSvr
from hwsearch.spaces import Choice, SearchSpace
from hwsearch.testing.searchers import ONE, TWO, large_space, small_space, table_space, values_of


def total(rows: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.asarray((rows + 1.0).sum(axis=1))


def test_ridge_of_linas_is_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    x, alpha = rng.normal(size=(30, 8)), float(ALPHAS[41])
    y = 50 + x @ rng.normal(size=8) + rng.normal(size=30)
    own = RidgeOrSvr._solved(x, y, np.array([alpha]))
    assert np.allclose(own[0][0] @ x.T + own[1][0], Ridge(alpha=alpha).fit(x, y).predict(x))


def test_linas_chooses_the_strength_that_a_grid_search_does() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(25, 6))
    y = 70 + x @ rng.normal(size=6) + rng.normal(size=25)
    model = RidgeOrSvr(3)
    model.fit(x, y)
    fold = np.random.default_rng(3).permutation(np.arange(25) % 5)
    splits = [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(5)]
    grid = GridSearchCV(Ridge(), {"alpha": ALPHAS}, cv=splits, scoring="neg_mean_absolute_percentage_error")
    grid.fit(x, y)
    assert model.kind == "ridge" and model._alpha == pytest.approx(grid.best_params_["alpha"])


def test_age_moea_keeps_the_ends_of_the_front_and_whole_better_fronts() -> None:
    angle = np.linspace(0, np.pi / 2, 30)
    front = 1 - np.stack([np.cos(angle), np.sin(angle)], axis=1)
    behind = front + 0.5
    kept = geometric_survivors(np.concatenate([front, behind]), 10)
    assert len(set(kept.tolist())) == 10 and max(kept) < 30
    assert {0, 29} <= set(kept.tolist())
    gaps = np.diff(np.sort(kept))
    assert gaps.max() <= 9  # spread, not clustered: 29 steps over 9 gaps
    more = geometric_survivors(np.concatenate([front, behind]), 40)
    assert set(range(30)) <= set(more.tolist()) and len(set(more.tolist())) == 40


def test_weaknas_stays_within_its_band_and_says_when_there_is_none() -> None:
    space = large_space()
    searcher = create(
        "weaknas", space, ONE, 0, cost=total, band=(36.0, 40.0), pool=200, predictor="ridge-or-svr", top=20
    )
    for _ in range(3):
        archs = searcher.ask(10)
        cost = total(space.to_array(archs))
        assert (cost >= 36).all() and (cost <= 40).all()
        searcher.tell(archs, values_of(space, archs, 1))
    with pytest.raises(SearchError, match="band"):
        create("weaknas", space, ONE, 0, cost=total, band=(1e6, 2e6)).ask(1)
    with pytest.raises(SearchError, match="Give both"):
        create("weaknas", space, ONE, 0, band=(1.0, 2.0))


def test_local_search_climbs_to_the_optimum_of_a_separable_function() -> None:
    space = SearchSpace("line", [Choice(f"x{i}", tuple(range(6))) for i in range(4)])
    searcher = create("local-search", space, ["max accuracy"], 0, start=1)
    for _ in range(14):
        archs = searcher.ask(10)
        searcher.tell(archs, -((space.to_array(archs) - 3) ** 2).sum(axis=1))
    assert searcher.evaluated[1].max() == 0.0  # of 1,296 architectures, 140 measured


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
        ("linas", {"popluation": 10}),
    ],
)
def test_senseless_options_are_refused(name: str, options: dict[str, Any]) -> None:
    with pytest.raises(SearchError):
        create(name, small_space(), TWO, **options)
