"""NSGA-II on measurements: the exact front of a small space, limits, generations."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hwsearch.objectives.pareto import hypervolume, non_dominated, reference_point
from hwsearch.searchers import Searcher, create
from hwsearch.spaces import Choice, SearchSpace
from hwsearch.testing.toy_spaces import TWO, large_space, values_of


def space_of_4096() -> SearchSpace:
    return SearchSpace("grid", [Choice(f"g{i}", (0, 1, 2, 3)) for i in range(6)])


def run(searcher: Searcher, evaluations: int, batch: int = 10) -> NDArray[np.float64]:
    while len(searcher.evaluated[0]) < evaluations:
        archs = searcher.ask(batch)
        searcher.tell(archs, values_of(searcher.space, archs, len(searcher.objectives)))
    return searcher.evaluated[1]


def test_finds_more_of_the_exact_front_than_random_search() -> None:
    """4096 architectures, 500 evaluations, 5 seeds: share of the true front, and the hypervolume."""
    space = space_of_4096()
    everything = values_of(space, list(space.enumerate()), 2)
    objectives = create("random", space, TWO).objectives
    best = {tuple(v) for v in everything[non_dominated(everything, objectives)].round(9)}
    reference = reference_point(everything, objectives)
    share: dict[str, list[float]] = {"nsga2": [], "random": []}
    volume: dict[str, list[float]] = {"nsga2": [], "random": []}
    for name in share:
        for seed in range(5):
            options = {"population": 40} if name == "nsga2" else {}
            values = run(create(name, space, TWO, seed, **options), 500)
            share[name].append(len(best & {tuple(v) for v in values.round(9)}) / len(best))
            volume[name].append(hypervolume(values, objectives, reference))
    assert np.median(share["nsga2"]) > 2.5 * np.median(share["random"])
    assert min(volume["nsga2"]) > max(volume["random"])


def test_limits_pull_the_asks_to_what_meets_them() -> None:
    """Under a limit that 2 % of uniform samples meet; 200 evaluations."""
    space = large_space()
    pool = values_of(space, space.sample(2000, np.random.default_rng(1)), 2)
    limit = float(f"{np.quantile(pool[:, 1], 0.02):.6g}")
    searcher = create("nsga2", space, ["max accuracy", f"latency_ms <= {limit:g}"], 0, population=20)
    assert (run(searcher, 200)[-50:, 1] <= limit).mean() > 0.5


def test_generations_do_not_depend_on_the_size_of_the_asks() -> None:
    """After the first generation the population is the same whether it was asked one by one or at once."""
    populations = []
    for batch in (1, 7, 30):
        searcher = create("nsga2", large_space(), TWO, 5, population=30)
        warm = large_space().sample(30, np.random.default_rng(0))
        for i in range(0, 30, batch):
            searcher.tell(warm[i : i + batch], values_of(large_space(), warm[i : i + batch], 2))
        populations.append(sorted(searcher.state_dict()["extra"]["population"]))
    assert populations[0] == populations[1] == populations[2] == list(range(30))


def test_balanced_start_spans_the_cost_range() -> None:
    space = large_space()

    def cost(rows: NDArray[np.int64]) -> NDArray[np.float64]:
        return np.asarray((rows + 1).sum(axis=1) + 1.0)

    searcher = create("nsga2", space, TWO, 0, population=20, cost=cost)
    first = [arch for n in (6, 6, 8) for arch in searcher.ask(n)]
    assert {space.smallest(), space.largest()} <= set(first[:6])
    values = cost(space.to_array(first))
    uniform = cost(space.sample_array(1000, np.random.default_rng(0)))
    assert np.std(np.log(values)) > 2 * np.std(np.log(uniform))
