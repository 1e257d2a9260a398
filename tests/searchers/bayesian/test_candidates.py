"""Candidates by hand: which architectures a posterior with known means and deviations promises most of."""

from __future__ import annotations

import numpy as np
import pytest

from hwsearch.searchers.bayesian import candidates as module
from hwsearch.searchers.bayesian.plumb import PlumbSearcher
from hwsearch.spaces import Choice, SearchSpace

SPACE = SearchSpace("pair", [Choice("a", tuple(range(6))), Choice("b", tuple(range(6)))])
CERTAIN, UNCERTAIN, BEST = (1, 1), (2, 2), (3, 3)
NONE = np.empty((0, 2), dtype=np.int64)


def searcher_with(posterior: type, costs: dict, deviations: dict) -> PlumbSearcher:
    searcher = PlumbSearcher(SPACE, ["max accuracy"], 0, start=4, population=4, inner_evaluations=40)
    searcher.tell_array(np.array([[0, 0], [0, 1], [1, 0], [0, 2]]), [60.0, 61.0, 62.0, 63.0])
    searcher._posterior = searcher._search._posterior = posterior(searcher._posterior.structure, costs, deviations)
    return searcher


def test_the_bound_is_optimistic(known_posterior: type) -> None:
    """Accuracies 80 (certain), 78 with deviation 2, which may reach 82, and 79.5 (certain): by the mean and by the lower
    bound of the cost the first two are the best, never the third. A pessimistic bound would leave out the second."""
    costs = {BEST: [-80.0], UNCERTAIN: [-78.0], CERTAIN: [-79.5]}
    searcher = searcher_with(known_posterior, costs, {BEST: [0.0], UNCERTAIN: [2.0], CERTAIN: [0.0]})
    rows = np.array([CERTAIN, UNCERTAIN, BEST])
    assert {tuple(row) for row in searcher._search.promising(rows, 1).tolist()} == {BEST, UNCERTAIN}


def test_uncertain_candidates_of_a_listed_space_are_on_the_shortlist(
    known_posterior: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 36 architectures one is found by the mean and one by the bound, when there is room for one of each."""
    monkeypatch.setattr(module, "SHORTLIST", 2)
    costs = {BEST: [-80.0], UNCERTAIN: [-78.0], CERTAIN: [-79.5]}
    searcher = searcher_with(known_posterior, costs, {BEST: [0.0], UNCERTAIN: [2.0], CERTAIN: [0.0]})
    found, used = searcher._search.find(NONE)
    assert {tuple(row) for row in found.tolist()} == {BEST, UNCERTAIN} and used == 36


def test_what_is_told_or_busy_is_not_found(known_posterior: type, monkeypatch: pytest.MonkeyPatch) -> None:
    costs = {(0, 0): [-90.0], BEST: [-80.0], CERTAIN: [-79.5]}
    searcher = searcher_with(known_posterior, costs, {key: [0.0] for key in costs})
    found, _ = searcher._search.find(np.array([BEST]))
    assert not {(0, 0), BEST} & {tuple(row) for row in found.tolist()}
    assert tuple(found[0].tolist()) == CERTAIN
    monkeypatch.setattr(module, "WHOLE", 0)  # the same by evolution
    found, _ = searcher._search.find(np.array([BEST]))
    assert not {(0, 0), BEST} & {tuple(row) for row in found.tolist()}
    assert CERTAIN in {tuple(row) for row in found.tolist()} and len(searcher._search.elite)


def test_all_rows_come_back_when_there_are_few(known_posterior: type) -> None:
    searcher = searcher_with(known_posterior, {BEST: [-80.0]}, {BEST: [0.0]})
    rows = np.array([CERTAIN, UNCERTAIN])
    assert np.array_equal(searcher._search.promising(rows, 2), rows)
