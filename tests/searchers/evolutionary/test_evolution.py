"""Ranking against pymoo's own survival; the inner search against full enumeration."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from pymoo.core.individual import Individual
from pymoo.core.population import Population
from pymoo.core.problem import Problem
from pymoo.operators.survival.rank_and_crowding import RankAndCrowding
from pymoo.operators.survival.rank_and_crowding.metrics import get_crowding_function
from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting

from hwsearch._typing import FloatArray
from hwsearch.searchers.evolutionary import evolution
from hwsearch.searchers.evolutionary.evolution import Mating, evolve, leading, rank_and_crowding, row_keys, survive
from hwsearch.spaces import Choice, SearchSpace
from hwsearch.testing.toy_spaces import large_space, small_space


def pymoo_survivors(costs: FloatArray, violation: FloatArray, n: int) -> tuple[set[int], dict[int, float]]:
    """Positions that pymoo's NSGA-II keeps, and their crowding distances."""
    pop = Population.new("X", np.arange(len(costs))[:, None].astype(float))
    for individual, f, v in zip(pop, costs, violation, strict=True):
        assert isinstance(individual, Individual)
        individual.F, individual.G, individual.H = f, np.array([v]), np.empty(0)
    problem = Problem(n_var=1, n_obj=costs.shape[1], n_ieq_constr=1)
    kept = RankAndCrowding().do(problem, pop, n_survive=n, random_state=np.random.default_rng(0))
    return {int(i.X[0]) for i in kept}, {int(i.X[0]): float(i.get("crowding")) for i in kept if i.FEAS[0]}


@pytest.mark.parametrize("m", [1, 2, 3])
@pytest.mark.parametrize("infeasible", [0, 20, 60])
def test_survival_is_pymoos(m: int, infeasible: int) -> None:
    rng = np.random.default_rng(m + infeasible)
    for _ in range(5):
        costs = rng.random((60, m))
        violation = np.zeros(60)
        violation[rng.permutation(60)[:infeasible]] = rng.random(infeasible) + 0.1
        kept, _ = pymoo_survivors(costs, violation, 25)
        everyone, distance = pymoo_survivors(costs, violation, 60)
        rank, crowding = rank_and_crowding(costs, violation)
        mine = set(survive(costs, violation, 25, rng).tolist())
        # which of several ends of the last front (all at infinity) survive is left to chance
        swapped = mine ^ kept
        assert len(mine) == 25 and all(np.isinf(crowding[i]) for i in swapped) and len({rank[i] for i in swapped}) <= 1
        assert everyone == set(range(60))
        assert all(crowding[i] == pytest.approx(d) for i, d in distance.items())


@pytest.mark.parametrize("m", [1, 2, 3])
def test_ranks_and_crowding_with_ties_are_pymoos(m: int) -> None:
    rng = np.random.default_rng(m)
    distance = get_crowding_function("cd")
    for _ in range(30):
        costs = np.round(rng.random((int(rng.integers(1, 50)), m)), int(rng.integers(1, 3)))
        wanted = int(rng.integers(1, len(costs) + 1))
        rank, crowding = rank_and_crowding(costs, np.zeros(len(costs)), wanted)
        fronts = NonDominatedSorting().do(costs, n_stop_if_ranked=wanted)
        for k, front in enumerate(fronts):
            assert (rank[front] == k).all()
            assert crowding[front] == pytest.approx(distance.do(costs[front]))
        rest = np.setdiff1d(np.arange(len(costs)), np.concatenate(fronts))
        assert (rank[rest] == len(fronts)).all() and (crowding[rest] == 0.0).all()


def test_failed_rows_rank_last() -> None:
    costs = np.array([[np.nan, 0.0], [9.0, 9.0], [1.0, 1.0]])
    rank, _ = rank_and_crowding(costs, np.array([0.0, 5.0, 0.0]))
    assert rank.argsort(kind="stable").tolist() == [2, 1, 0]
    assert survive(costs, np.array([0.0, 5.0, 0.0]), 2, np.random.default_rng(0)).tolist() == [2, 1]


def test_row_keys_tell_all_rows_of_a_space_apart() -> None:
    rows = large_space().sample_array(20_000, np.random.default_rng(0))
    assert len(np.unique(row_keys(rows))) == len(np.unique(rows, axis=0))
    assert np.array_equal(row_keys(rows[:5]), row_keys(rows)[:5])


def test_children_are_canonical_and_mix_their_parents() -> None:
    space = large_space()
    rng = np.random.default_rng(0)
    rows = np.stack([np.zeros(len(space.choices)), space.sizes - 1]).astype(np.int64)
    rows = space.canonical(rows)
    children = Mating(crossover=1.0, mutation=0.0).children(space, rows, np.zeros(2, int), np.zeros(2), 400, rng)
    assert np.array_equal(space.canonical(children), children)
    always = [i for i, c in enumerate(space.choices) if c.when is None]
    # with rate 0 exactly one active gene is mutated, so that nearly all genes are a parent's
    from_parents = (children[:, always] == rows[0, always]) | (children[:, always] == rows[1, always])
    assert (from_parents.sum(axis=1) >= len(always) - 1).all()
    mixed = (children[:, always] == rows[1, always]).mean(axis=1)
    assert ((mixed > 0) & (mixed < 1)).mean() > 0.4  # half of the pairs are one parent twice


def test_by_default_one_gene_in_n_is_redrawn_and_at_least_one() -> None:
    """Of 20 genes each with chance 1/20, one if that leaves all: 1 + (19/20)^20 = 1.358 in the mean."""
    space, rng = SearchSpace("many", [Choice(f"x{i}", tuple(range(6))) for i in range(20)]), np.random.default_rng(0)
    parents = space.sample_array(20_000, rng)
    changed = (Mating(crossover=0.0).pairs(space, parents, parents, rng) != parents).sum(axis=1)
    assert changed.min() == 1
    assert changed.mean() == pytest.approx(1 + 0.95**20, abs=0.03)


def truth(space: SearchSpace) -> NDArray[np.int64]:
    return space.to_array(space.enumerate())


def score(rows: NDArray[np.int64]) -> tuple[FloatArray, FloatArray]:
    """Two costs with a trade-off and a limit on the second."""
    weight = np.array([3.1, 1.7, 1.3, 0.9, 0.7, 2.3])
    up = (np.maximum(rows, 0) * weight).sum(axis=1)
    costs = np.stack([-np.sqrt(up + 0.5 * rows[:, 0] * rows[:, 1]), up + (rows[:, 1] - 1) ** 2], axis=1)
    return costs, np.maximum(costs[:, 1] - 9.0, 0.0)


def test_inner_search_finds_the_exact_front_of_an_enumerable_space() -> None:
    space = small_space()
    everything = truth(space)
    costs, violation = score(everything)
    rank, _ = rank_and_crowding(costs, violation)
    expected = {tuple(c) for c in costs[rank == 0].round(9)}
    asked = 0

    def counted(rows: NDArray[np.int64]) -> tuple[FloatArray, FloatArray]:
        nonlocal asked
        asked += len(rows)
        return score(rows)

    start = everything[:3]
    rows, found, bad = evolve(
        space, counted, start, population=20, evaluations=1500, mating=Mating(), rng=np.random.default_rng(0)
    )
    assert asked <= 1500
    assert len(np.unique(rows, axis=0)) == len(rows)
    assert {tuple(row) for row in start} <= {tuple(row) for row in rows}
    again, violations = score(rows)
    assert np.array_equal(found, again) and np.array_equal(bad, violations)
    best = rank_and_crowding(found, bad)[0] == 0
    assert {tuple(c) for c in found[best].round(9)} == expected


@pytest.mark.parametrize("objectives", [1, 2, 3])
def test_leading_of_many_rows_is_that_of_all_their_fronts(objectives: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(objectives)
    costs = rng.integers(0, 40, size=(600, objectives)).astype(float)
    costs[::50] = np.nan
    violation = np.where(rng.random(600) < 0.3, rng.random(600), 0.0)
    for n in (1, 30, 500, 600):
        rank, crowding = rank_and_crowding(costs, violation)
        expected = np.lexsort((-crowding, rank))[:n]
        with monkeypatch.context() as patch:
            patch.setattr(evolution, "SORTED_WHOLE", 100)
            found = leading(costs, violation, n)
        assert sorted(zip(rank[found], -crowding[found], strict=True)) == sorted(
            zip(rank[expected], -crowding[expected], strict=True)
        )
