"""LaMOO: dominance counted by hand, regions that classifiers bound, the tree's choice by hand, and gains on evolution's start."""

from __future__ import annotations

import numpy as np
import pytest
from pymoo.util.dominator import Dominator

from hwsearch.errors import SearchError
from hwsearch.searchers import create
from hwsearch.searchers.bayesian import lamoo
from hwsearch.searchers.bayesian.lamoo import LamooSearcher, Region, dominance_numbers, upper_bound
from hwsearch.spaces import Choice, SearchSpace
from hwsearch.testing.toy_spaces import TWO, small_space

SPACE = SearchSpace("grid", [Choice(f"x{i}", tuple(range(6))) for i in range(8)])


def test_dominance_numbers_are_those_of_another_package() -> None:
    costs = np.random.default_rng(0).integers(0, 6, (40, 3)).astype(float)
    matrix = Dominator.calc_domination_matrix(costs)  # 1 where the row dominates the column
    assert dominance_numbers(costs, np.zeros(40)).tolist() == (matrix == 1).sum(axis=0).tolist()


def test_whoever_misses_a_limit_by_less_dominates() -> None:
    costs = np.array([[1.0, 1.0], [2.0, 2.0], [9.0, 9.0]])
    assert dominance_numbers(costs, np.array([0.5, 0.1, 0.0])).tolist() == [2, 1, 0]


def test_the_bound_by_hand() -> None:
    assert upper_bound(0.5, 0.1, 20, 5) == pytest.approx(0.5 + 0.2 * (2 * 2.995732273554 / 5) ** 0.5)
    assert upper_bound(0.5, 0.1, 20, 5) > upper_bound(0.5, 0.1, 20, 15)  # the less has been measured
    assert upper_bound(0.5, 0.0, 20, 5) == 0.5


def test_a_region_is_split_where_dominance_changes() -> None:
    features = np.linspace(0, 1, 20)[:, None]
    dominated = np.arange(20)  # the first ones are good
    whole = Region(np.arange(20), ())
    good, bad = whole.split(features, dominated, "linear", 0)
    assert sorted([*good.members, *bad.members]) == list(range(20))
    assert good.members.max() < bad.members.min() and abs(len(good.members) - 10) <= 1
    at = np.array([[0.1], [0.9]])
    assert good.contains(at).tolist() == [True, False] and bad.contains(at).tolist() == [False, True]
    inner, _ = good.split(features, dominated[good.members], "linear", 0)
    assert inner.contains(np.array([[0.05], [0.45], [0.9]])).tolist() == [True, False, False]
    assert inner.contains(np.array([[0.45]]), 1).all()  # its last border given up
    assert whole.contains(at).all()


def test_members_alike_are_not_split() -> None:
    whole = Region(np.arange(6), ())
    assert whole.split(np.arange(6.0)[:, None], np.zeros(6, dtype=np.int64), "rbf", 0) == []
    assert whole.split(np.zeros((6, 2)), np.arange(6), "rbf", 0) == []


def measured(rows: np.ndarray) -> np.ndarray:
    """Accuracy grows with all genes, latency with the first four: only they are a trade-off."""
    return np.stack([rows.sum(axis=1), 1.0 + rows[:, :4].sum(axis=1)], axis=1).astype(float)


def run(tactic: str, seed: int, evaluations: int = 120, **options) -> float:
    searcher = create(tactic, SPACE, ["max accuracy", "min latency_ms"], seed, **options)
    while len(searcher.rows) < evaluations:
        rows = searcher.ask_array(10)
        searcher.tell_array(rows, measured(rows))
    return float(searcher.front().hypervolume([0.0, 22.0]))


def test_it_gains_on_random_search_and_a_tree_on_its_absence() -> None:
    def mean(*args, **options) -> float:
        return float(np.mean([run(*args, seed, **options) for seed in range(3)]))

    with_tree = mean("lamoo")
    assert with_tree > 1.1 * mean("random")
    assert with_tree > mean("lamoo", leaf=1000)  # a tree of one leaf: evolution without a region


def test_asks_lie_in_the_region_of_the_largest_bound() -> None:
    searcher = LamooSearcher(SPACE, ["max accuracy", "min latency_ms"], 0, start=60, leaf=20, exploration=0.0)
    rows = searcher.ask_array(60)
    searcher.tell_array(rows, measured(rows))
    seen: list[Region] = []
    choose = searcher._promising
    searcher._promising = lambda *given: seen.append(choose(*given)) or seen[-1]  # type: ignore[method-assign,func-returns-value]
    asked = searcher.ask_array(12)
    assert seen[0].borders and len(seen[0].members) <= 60
    assert seen[0].contains(SPACE.encode_array(asked)).all()
    good = measured(rows)[seen[0].members]
    assert (good[:, 0] - good[:, 1]).mean() > (measured(rows)[:, 0] - measured(rows)[:, 1]).mean()


def test_without_the_package_it_is_said_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lamoo, "find_spec", lambda name: None)
    create("lamoo", small_space(), TWO)
    with pytest.raises(SearchError, match=r"needs the package botorch.*hwsearch\[botorch\]"):
        create("lamoo", small_space(), TWO, sampler="qnehvi")


def test_botorch_chooses_within_the_region() -> None:
    pytest.importorskip("botorch")
    searcher = LamooSearcher(SPACE, ["max accuracy", "min latency_ms"], 0, sampler="qnehvi", pool=40, draws=8)
    rows = searcher.ask_array(20)
    searcher.tell_array(rows, measured(rows))
    asked = searcher.ask_array(3)
    assert len(asked) == 3 and not (asked[:, None] == rows[None]).all(axis=2).any()
