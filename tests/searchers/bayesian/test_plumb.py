"""The default tactic."""

from __future__ import annotations

import numpy as np
import pytest

from hwsearch import spaces
from hwsearch._typing import FloatArray
from hwsearch.objectives.pareto import hypervolume
from hwsearch.searchers import Searcher, create
from hwsearch.searchers.bayesian.plumb import PlumbSearcher
from hwsearch.spaces import SearchSpace
from hwsearch.spaces.choice import Choice

SMALL = {"inner_evaluations": 2000, "population": 60}


def chain() -> SearchSpace:
    return SearchSpace("chain", [Choice(f"w[{i}]", (1, 2, 3, 4)) for i in range(16)])


def truth(rows: np.ndarray) -> np.ndarray:
    """Accuracy with diminishing returns in each gene, of different worth; cost of another worth."""
    worth, price = np.linspace(1.0, 3.0, 16), np.linspace(2.0, 0.5, 16)
    return np.stack([70.0 + 4.0 * np.sqrt(rows + 1.0) @ worth / 16, 1.0 + (rows + 1.0) @ price], axis=1)


def search(searcher: Searcher, evaluations: int, noise: float = 0.0, batch: int = 8) -> np.ndarray:
    rng = np.random.default_rng(9)
    while len(searcher.values) < evaluations:
        rows = searcher.ask_array(min(batch, evaluations - len(searcher.values)))
        searcher.tell_array(rows, truth(rows) * (1.0 + noise * rng.standard_normal((len(rows), 2))))
    return truth(searcher.rows)


TWO = ("max accuracy", "min latency_ms")


def test_is_far_better_than_random_search() -> None:
    reference = [70.0, 90.0]
    found = search(PlumbSearcher(chain(), TWO, 0, **SMALL), 60)
    objectives = create("random", chain(), TWO).objectives
    uniform = truth(chain().sample_array(2000, np.random.default_rng(1)))
    assert hypervolume(found, objectives, reference) > hypervolume(uniform, objectives, reference)


def test_finds_the_optimum_of_a_space_that_can_be_listed() -> None:
    """Of 15,625 cells, by an accuracy that depends on what is described, in few queries."""
    space = spaces.load("nas-bench-201")
    value = lambda rows: 90.0 - (rows != np.array([3, 1, 3, 3, 1, 3])).sum(axis=1) ** 1.5  # noqa: E731
    searcher = PlumbSearcher(space, ["max accuracy"], 2)
    for _ in range(8):
        rows = searcher.ask_array(10)
        searcher.tell_array(rows, value(rows))
    assert searcher.values.max() == 90.0


def test_expected_gain_shrinks() -> None:
    searcher = PlumbSearcher(chain(), TWO, 3, **SMALL)
    gains = []
    while len(searcher.values) < 100:
        rows = searcher.ask_array(8)
        if searcher.info.round:
            gains.append(searcher.info.expected_gain)
        searcher.tell_array(rows, truth(rows))
    assert all(g >= 0 for g in gains)
    assert np.mean(gains[-3:]) < 0.3 * np.mean(gains[:2])


def test_knows_what_is_computed() -> None:
    price = lambda rows: truth(rows)[:, 1]  # noqa: E731
    searcher = PlumbSearcher(chain(), TWO, 4, exact={"latency_ms": price}, **SMALL)
    search(searcher, 40)
    rows = chain().sample(20, np.random.default_rng(0))
    told = searcher.predict(rows)
    assert told["latency_ms"].to_numpy() == pytest.approx(price(chain().to_array(rows)))
    assert (told["accuracy_low"] < told["accuracy_high"]).all()
    assert list(told["arch_id"]) == [a.id for a in rows]


def test_what_is_known_beforehand_helps() -> None:
    """With the latency of another device known, ten measurements say more."""
    other = lambda rows: truth(rows)[:, 1:] * 1.3 + 5.0  # noqa: E731
    errors = []
    for known in (None, other):
        searcher = PlumbSearcher(chain(), ["min latency_ms"], 5, start=10, known=known)
        rows = searcher.ask_array(10)
        searcher.tell_array(rows, truth(rows)[:, 1])
        some = chain().sample(200, np.random.default_rng(1))
        predicted = searcher.predict(some)["latency_ms"].to_numpy()
        errors.append(np.abs(predicted - truth(chain().to_array(some))[:, 1]).mean())
    assert errors[1] < 0.6 * errors[0]


def test_first_sample_holds_the_extremes_and_spreads_over_cost() -> None:
    rows = PlumbSearcher(chain(), TWO, 7).ask_array(20)
    assert {tuple(r) for r in rows} >= {(0,) * 16, (3,) * 16}
    cost = np.sort((rows + 1).sum(axis=1))
    assert np.diff(cost).max() <= 8


def test_earlier_measurements_are_weighed_by_what_they_tell() -> None:
    """A quantity that no part of the kernel finds soon, foretold: better; foretold wrongly: hardly worse."""

    def value(rows: np.ndarray) -> FloatArray:
        hidden = np.sin(rows @ np.array([5, 3, 7, 2, 9, 4, 1, 8, 6, 5, 2, 7, 3, 9, 4, 8])) * 3.0
        return truth(rows) + np.stack([hidden, np.zeros(len(rows))], axis=1)

    def error(foretold) -> float:
        searcher = PlumbSearcher(chain(), TWO, 0, warm_start=foretold, **SMALL)
        rows = chain().sample_array(60, np.random.default_rng(1))
        searcher.tell_array(rows, value(rows))
        new = chain().sample_array(200, np.random.default_rng(2))
        predicted = searcher.predict(chain().from_array(new))["accuracy"].to_numpy()
        return float(np.abs(predicted - value(new)[:, 0]).mean())

    wrong = lambda rows: np.cos(rows @ np.arange(16.0))  # noqa: E731
    alone = error(None)
    assert error(lambda rows: value(rows)[:, 0] ** 2) < 0.3 * alone
    assert error(wrong) < 1.15 * alone


def started(seed: int = 0, n: int = 24) -> PlumbSearcher:
    searcher = PlumbSearcher(chain(), TWO, seed, **SMALL)
    rows = searcher.ask_array(n)
    searcher.tell_array(rows, truth(rows))
    return searcher


def test_choose_takes_what_improves_the_front() -> None:
    """Of candidates whose accuracies are all but known, those that a greedy choice by their true values takes."""
    searcher = started()
    space = searcher.space
    candidates = space.sample(120, np.random.default_rng(3), exclude=searcher.evaluated[0])
    values = truth(space.to_array(candidates))
    searcher.hint(candidates, values, np.full_like(values, 1e-3))
    chosen = searcher.choose(candidates, 8)
    assert len(set(chosen)) == 8 and set(chosen) <= set(candidates)
    reference = [60.0, 200.0]

    def volume(more: np.ndarray) -> float:
        return hypervolume(np.concatenate([searcher.values, more]), searcher.objectives, reference)

    base, gain = volume(np.empty((0, 2))), volume(truth(space.to_array(chosen)))
    random = [volume(values[np.random.default_rng(s).permutation(120)[:8]]) for s in range(20)]
    assert gain - base > 1.2 * (max(random) - base)
    assert searcher.info.expected_gain > 0


def test_choose_completes_parts_and_leaves_out_what_is_complete() -> None:
    searcher = started()
    space = searcher.space
    complete = searcher.evaluated[0]
    parts = space.sample(30, np.random.default_rng(3), exclude=complete)
    values = truth(space.to_array(parts))
    values[:, 0] = np.nan
    searcher.tell(parts, values)
    chosen = searcher.choose([*complete, *parts, *parts], 40)
    assert sorted(a.id for a in chosen) == sorted(a.id for a in parts)
    assert searcher.choose(parts, 0) == [] and searcher.choose(complete, 3) == []


def test_choose_before_anything_is_known_takes_the_first() -> None:
    searcher = PlumbSearcher(chain(), TWO, 0, **SMALL)
    archs = chain().sample(9, np.random.default_rng(0))
    assert searcher.choose(archs, 4) == archs[:4]


def test_choose_among_more_than_can_be_compared_at_once_and_more_than_is_learnt_from() -> None:
    """A thousand parts beside hundreds of complete ones: those chosen are as good as those that are asked for anew."""
    searcher = started(n=350)
    space = searcher.space
    parts = space.sample(1000, np.random.default_rng(3), exclude=searcher.evaluated[0])
    values = truth(space.to_array(parts))
    values[:, 1] = np.nan
    searcher.tell(parts[:500], values[:500])
    searcher.hint(parts[500:], values[500:], np.broadcast_to([0.1, np.nan], (500, 2)))
    chosen = searcher.choose(parts, 8)
    reference, objectives = [60.0, 200.0], searcher.objectives
    complete = searcher.values[~np.isnan(searcher.values).any(axis=1)]

    def gain(rows: np.ndarray) -> float:
        both = np.concatenate([complete, truth(rows)])
        return hypervolume(both, objectives, reference) - hypervolume(complete, objectives, reference)

    every = space.to_array(parts)
    random = [gain(every[np.random.default_rng(s).permutation(1000)[:8]]) for s in range(30)]
    assert gain(space.to_array(chosen)) > max(random)


def test_choose_leaves_out_what_failed_and_what_only_lacks_what_is_computed() -> None:
    exact = {"latency_ms": lambda rows: truth(rows)[:, 1]}
    searcher = PlumbSearcher(chain(), TWO, 0, exact=exact, **SMALL)
    rows = searcher.ask_array(24)
    searcher.tell_array(rows, truth(rows))
    failed, computed, open_ = (
        searcher.space.sample(4, np.random.default_rng(seed), exclude=searcher.evaluated[0]) for seed in (3, 4, 5)
    )
    searcher.tell(failed, np.full((4, 2), np.nan))
    searcher.tell(computed, [[70.0, None]] * 4)
    searcher.hint(open_, [[71.0, None]] * 4, [[0.5, None]] * 4)
    assert set(searcher.choose([*failed, *computed, *open_], 12)) == set(open_)
