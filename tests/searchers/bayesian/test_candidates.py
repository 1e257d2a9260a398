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
    searcher._posterior = searcher._search._posterior = posterior(searcher._posterior.kernel, costs, deviations)
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


def test_the_bound_lies_two_deviations_below_the_mean(known_posterior: type) -> None:
    """Costs -77 with deviation 2.2 reach -81.4, more than -78 with 1.4 and -74 with 3.3 do. One deviation would take the
    former of these, three the latter."""
    costs = {(4, 4): [-79.0], (1, 1): [-78.0], (2, 2): [-77.0], (3, 3): [-74.0]}
    deviations = {(4, 4): [0.0], (1, 1): [1.4], (2, 2): [2.2], (3, 3): [3.3]}
    searcher = searcher_with(known_posterior, costs, deviations)
    assert searcher._search.promising(np.array(list(costs)), 1).tolist() == [[4, 4], [2, 2]]


def test_the_bound_is_sought_among_the_best_by_the_mean(known_posterior: type, monkeypatch: pytest.MonkeyPatch) -> None:
    """With room for two: one of all by the mean, one by the bound of the first eight by the mean.

    By the bound the ninth is best of all, then the eighth, then the second.
    """
    monkeypatch.setattr(module, "SHORTLIST", 2)
    rows = [(3, k) for k in range(6)] + [(4, k) for k in range(6)]
    costs = {row: [-80.0 + k] for k, row in enumerate(rows)}
    deviations = {row: [0.0] for row in rows} | {rows[1]: [1.5], rows[7]: [10.0], rows[8]: [20.0]}
    found, used = searcher_with(known_posterior, costs, deviations)._search.find(NONE)
    assert found.tolist() == [list(rows[0]), list(rows[7])] and used == 36


def test_a_space_is_listed_up_to_a_size(known_posterior: type, monkeypatch: pytest.MonkeyPatch) -> None:
    search = searcher_with(known_posterior, {BEST: [-80.0]}, {BEST: [0.0]})._search
    monkeypatch.setattr(module, "WHOLE", 35)
    assert search.everything() is None
    monkeypatch.setattr(module, "WHOLE", 36)
    whole = search.everything()
    assert whole is not None and len(whole[0]) == 36 and whole[1]["values"].dtype == np.float32
    assert search.everything() is whole  # computed once


LARGE = SearchSpace("large pair", [Choice("a", tuple(range(12))), Choice("b", tuple(range(12)))])
#: told rows and their accuracies; the best first
TOLD = {(0, 5): 69.0, (0, 6): 68.0, (5, 0): 67.0, (6, 0): 66.0, (11, 11): 65.0}
BY_MEAN = [(2, k) for k in range(7, 11)] + [(3, k) for k in range(7, 11)]
BY_BOUND = [(7, k) for k in range(7, 11)] + [(8, k) for k in range(7, 11)]
#: neighbours of the best told row, and of the second
NEAR, FARTHER = [(4, 5), (0, 9), (0, 10), (9, 5), (0, 11)], [(10, 6), (9, 6)]


class Inner:
    """In place of the inner evolution: every row but one is predicted, and it is noted what was asked for."""

    def __init__(self) -> None:
        self.asked: list[dict] = []

    def __call__(self, space, score, start, **asked):
        self.asked.append({"start": start.tolist(), **asked})
        rows = space.enumerate_array()[:-1]
        return rows, *score(rows)


@pytest.fixture
def inner(monkeypatch: pytest.MonkeyPatch) -> Inner:
    """A space that is not listed, with room for six of each of the first two kinds and three neighbours of one row."""
    for name, value in (("WHOLE", 0), ("SHORTLIST", 12), ("NEIGHBOURHOODS", 1), ("evolve", Inner())):
        monkeypatch.setattr(module, name, value)
    return module.evolve  # type: ignore[attr-defined]


def large(posterior: type, inner_evaluations: int = 40) -> PlumbSearcher:
    """Costs: by the mean, -90 and up; by the bound, -60 - 2 * 20 and up; near, -50 and up; farther, -59."""
    costs = {row: [-90.0 + k] for k, row in enumerate(BY_MEAN)} | {row: [-60.0 + k] for k, row in enumerate(BY_BOUND)}
    costs |= {row: [-50.0 + k] for k, row in enumerate(NEAR)} | {row: [-59.0] for row in FARTHER}
    deviations = {row: [20.0 if row in BY_BOUND else 0.0] for row in costs}
    searcher = PlumbSearcher(LARGE, ["max accuracy"], 0, start=4, population=12, inner_evaluations=inner_evaluations)
    searcher.tell_array(np.array(list(TOLD)), list(TOLD.values()))
    searcher._posterior = searcher._search._posterior = posterior(searcher._posterior.kernel, costs, deviations)
    return searcher


def test_candidates_of_a_large_space_by_hand(known_posterior: type, inner: Inner) -> None:
    """The six best by the mean, the six best by the bound, the three best neighbours of the best told one, in order."""
    search = large(known_posterior)._search
    found, used = search.find(NONE)
    assert found.tolist() == [list(row) for row in BY_MEAN[:6] + BY_BOUND[:6] + NEAR[:3]]
    assert used == 2 * 143 + 22
    assert search.elite.tolist() == [list(row) for row in BY_MEAN[:6]]


def test_an_inner_evolution_starts_from_the_best_told_the_last_elite_and_a_spread(
    known_posterior: type, inner: Inner
) -> None:
    """Of a population of twelve a quarter is told, two are elite, and seven are new, both ends of the space included."""
    search = large(known_posterior)._search
    search.elite = np.array([[1, 1], [1, 2]])
    search.find(NONE)
    assert [asked["evaluations"] for asked in inner.asked] == [20, 20]  # half of 40 each
    for asked in inner.asked:
        assert asked["start"][:7] == [[0, 5], [0, 6], [5, 0], [1, 1], [1, 2], [0, 0], [11, 11]]
        assert len(asked["start"]) == asked["population"] == 12
    search.elite = LARGE.enumerate_array()[:20]
    search.find(NONE)
    assert inner.asked[-1]["start"][-2:] == [[0, 0], [11, 11]] and len(inner.asked[-1]["start"]) == 3 + 20 + 2
    large(known_posterior, inner_evaluations=20)._search.find(NONE)
    assert inner.asked[-1]["evaluations"] == 12  # no less than a population


@pytest.mark.parametrize("objectives", [1, 2, 3])
def test_what_a_front_dominates_is_told_as_by_comparing_all(objectives: int) -> None:
    rng = np.random.default_rng(objectives)
    costs = rng.integers(0, 7, size=(200, objectives)).astype(float)
    some = rng.integers(0, 9, size=(150, objectives)).astype(float)
    front = some[[not any((b <= a).all() and (b < a).any() for b in some) for a in some]]
    expected = [any((b <= a).all() and (b < a).any() for b in front) for a in costs]
    assert module.dominated(costs, front).tolist() == expected and any(expected) and not all(expected)
    assert not module.dominated(costs, np.empty((0, objectives))).any()


def test_the_bound_is_not_computed_of_what_is_dominated_anyway(known_posterior: type) -> None:
    """The second call shows rows at their best to the front of the first: only what that does not dominate is worth a bound."""
    searcher = searcher_with(known_posterior, {BEST: [-80.0], UNCERTAIN: [-78.0]}, {BEST: [0.0], UNCERTAIN: [2.0]})
    worth: list[list[bool]] = []

    class Watching(known_posterior):  # type: ignore[misc]
        def bound_where(self, rows, deviations, promising):
            worth.append(promising(self.bound(rows, deviations)).tolist())
            return self.bound(rows, deviations)

    posterior = searcher._search._posterior
    watching = Watching(posterior.kernel, posterior._means, posterior._deviations)
    score = searcher._search._lower_bound_of_the_promising(watching)
    for rows in ([BEST, CERTAIN], [UNCERTAIN, CERTAIN, BEST]):
        score(module.EncodedRows(watching, np.array(rows)))
    assert worth == [[True, True], [True, False, True]]
