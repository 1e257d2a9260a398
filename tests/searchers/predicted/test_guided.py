"""Predictor-guided search: better than its rivals at equal evaluations, honest about what it knows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hwsearch._typing import FloatArray, IntArray
from hwsearch.objectives.pareto import hypervolume, reference_point
from hwsearch.searchers import create
from hwsearch.searchers.predicted.guided import GuidedSearcher
from hwsearch.testing.toy_spaces import THREE, TWO, large_space, small_space, values_of
from predictors import CrossValidatedPredictor, RidgePredictor
from predictors.metrics import scores

QUICK: dict[str, Any] = {"inner_evaluations": 3000, "population": 100, "make_predictor": lambda seed: RidgePredictor()}


def run(searcher: Any, evaluations: int, batch: int = 10) -> FloatArray:
    while len(searcher.evaluated[0]) < evaluations:
        archs = searcher.ask(batch)
        searcher.tell(archs, values_of(searcher.space, archs, len(searcher.objectives)))
    return np.asarray(searcher.evaluated[1])


def guided(objectives: tuple[str, ...] = TWO, seed: int = 0, **options: Any) -> GuidedSearcher:
    searcher = create("guided", large_space(), objectives, seed, **(QUICK | options))
    assert isinstance(searcher, GuidedSearcher)
    return searcher


def test_beats_random_and_nsga2_at_equal_evaluations() -> None:
    """Hypervolume after 60 evaluations on a conditional space; 5 seeds; rivals also with the same balanced start."""
    space = large_space()
    objectives = guided().objectives
    reference = reference_point(values_of(space, [space.smallest(), space.largest()], 2), objectives)
    start = guided()._cost
    rivals: dict[str, dict[str, Any]] = {
        "random": {}, "random balanced": {"cost": start}, "nsga2": {"population": 20},
        "nsga2 balanced": {"population": 20, "cost": start}, "guided": QUICK,
    }  # fmt: skip
    volume = {
        name: [
            hypervolume(run(create(name.split()[0], space, TWO, seed, **options), 60), objectives, reference)
            for seed in range(5)
        ]
        for name, options in rivals.items()
    }
    for name in rivals:
        if name != "guided":
            assert np.median(volume["guided"]) > 1.05 * np.median(volume[name]), name
            assert min(volume["guided"]) > np.quantile(volume[name], 0.75), name


def test_first_sample_holds_both_extremes_and_spans_the_cost() -> None:
    searcher = guided(start=16)
    space = searcher.space
    first = [arch for n in (5, 5, 6) for arch in searcher.ask(n)]
    assert first[:2] == [space.smallest(), space.largest()]
    cost = searcher._cost(space.to_array(first))
    uniform = searcher._cost(space.sample_array(1000, np.random.default_rng(0)))
    assert np.std(cost) > 2 * np.std(uniform)


def test_a_warm_start_shortens_the_first_sample() -> None:
    searcher = guided(start=16)
    warm = searcher.space.sample(20, np.random.default_rng(0))
    searcher.tell(warm, values_of(searcher.space, warm, 2))
    searcher.ask(4)
    assert searcher.info.round == 1


def test_a_small_space_is_predicted_whole_and_its_front_found_early() -> None:
    space = small_space()
    everything = values_of(space, list(space.enumerate()), 2)
    searcher = create("guided", space, TWO, 1, **QUICK, start=10)
    values = run(searcher, 40, 6)
    reference = reference_point(everything, searcher.objectives)
    assert searcher.info.inner_evaluations == 2 * space.cardinality  # once by the mean, once by a sample
    best = hypervolume(everything, searcher.objectives, reference)
    assert hypervolume(values, searcher.objectives, reference) > 0.995 * best


def test_expected_gain_is_what_the_best_of_the_batch_would_add_and_dies_out() -> None:
    space = small_space()
    searcher = create("guided", space, TWO, 1, **QUICK, start=10, explore=0.0)
    gains = []
    for _ in range(16):
        archs = searcher.ask(5)
        if searcher.info.round:
            gains.append(searcher.info.expected_gain)
        searcher.tell(archs, values_of(space, archs, 2))
    assert max(gains[:2]) > 0.005
    assert gains[-1] < 0.001


def test_expected_gain_by_hand() -> None:
    """With exact objectives the prediction is the truth, so the gain can be measured afterwards."""
    space = large_space()

    def column(j: int) -> Any:
        return lambda rows: values_of(space, space.from_array(rows), 2)[:, j]

    exact = {"accuracy": column(0), "latency_ms": column(1)}
    searcher = guided(start=10, explore=0.0, exact=exact, inner_evaluations=600, population=40)
    before = run(searcher, 10)
    archs = searcher.ask(6)
    after = np.vstack([before, values_of(space, archs, 2)])
    reference = reference_point(before, searcher.objectives)
    old, new = (hypervolume(v, searcher.objectives, reference) for v in (before, after))
    assert searcher.info.expected_gain == pytest.approx(new / old - 1, rel=1e-9)
    assert searcher.info.scores == {}


def test_exact_objectives_are_not_predicted() -> None:
    def params(rows: IntArray) -> FloatArray:
        space = large_space()
        return np.asarray(1e6 * (1 + space.encode_array(rows, "ordinal").sum(axis=1)))

    searcher = guided(THREE, exact={"params": params})
    run(searcher, 30)
    assert set(searcher.info.scores) == {"accuracy", "latency_ms"}
    rows = searcher.space.sample_array(20, np.random.default_rng(0))
    assert np.array_equal(searcher._surrogate.mean(rows)[:, 2], params(rows))
    assert np.array_equal(searcher._surrogate.sample(np.random.default_rng(0))(rows)[:, 2], params(rows))


def test_limits_rank_first() -> None:
    space = large_space()
    pool = values_of(space, space.sample(2000, np.random.default_rng(1)), 2)
    limit = float(f"{np.quantile(pool[:, 1], 0.02):.6g}")
    searcher = guided(("max accuracy", f"latency_ms <= {limit:g}"))
    values = run(searcher, 60)
    assert (values[20:, 1] <= limit).mean() > 0.6
    met = pool[pool[:, 1] <= limit]
    assert searcher.front().values[:, 0].max() > met[:, 0].max() - 0.1


def test_scores_are_those_of_rows_left_out() -> None:
    """For the default predictor these are its out-of-fold predictions; for others a few refits."""
    searcher = guided(make_predictor=None, inner_evaluations=400, population=100)
    values = run(searcher, 30)
    archs = searcher.ask(2)
    assert len(archs) == 2
    predictor = searcher._surrogate._predictors["accuracy"]
    assert isinstance(predictor, CrossValidatedPredictor)
    expected = scores(values[:, 0], predictor.oof_predictions_)
    assert searcher.info.scores["accuracy"] == {k: expected[k] for k in ("mae", "mape", "spearman", "kendall")}
    other = guided()
    run(other, 60)
    assert other.info.scores["latency_ms"]["spearman"] > 0.9


def test_own_features_reach_the_predictors() -> None:
    widths = set()

    def features(rows: IntArray) -> FloatArray:
        out = np.hstack([large_space().encode_array(rows), rows.sum(axis=1, keepdims=True)])
        widths.add(out.shape[1])
        return out

    run(guided(features=features), 30)
    assert widths == {len(large_space().feature_names()) + 1}
