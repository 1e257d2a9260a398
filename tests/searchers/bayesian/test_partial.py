"""A search of which parts are known: accuracies of many, latencies of few, nothing complete."""

from __future__ import annotations

import numpy as np
import pytest

from hwsearch.errors import SearchError
from hwsearch.objectives import Objective
from hwsearch.objectives.pareto import hypervolume, non_dominated
from hwsearch.searchers import create
from hwsearch.searchers.bayesian.partial import least_known
from hwsearch.searchers.bayesian.plumb import PlumbSearcher
from hwsearch.searchers.capabilities import PredictsFronts
from tests.searchers.bayesian.test_plumb import TWO, chain, truth

OBJECTIVES = [Objective("accuracy"), Objective("latency_ms")]
REFERENCE = [70.0, 90.0]


def told(accuracies: int = 60, latencies: int = 30, **options: object) -> PlumbSearcher:
    """A searcher that knows accuracies of some architectures and latencies of others."""
    space, rng = chain(), np.random.default_rng(4)
    searcher = PlumbSearcher(space, TWO, seed=1, inner_evaluations=3000, population=60, **options)
    scored, timed = (
        space.sample_balanced_array(n, rng, lambda r: r.sum(axis=1) + 1.0) for n in (accuracies, latencies)
    )
    searcher.tell_array(scored, np.column_stack([truth(scored)[:, 0], np.full(len(scored), np.nan)]))
    fresh = timed[~searcher.is_known_array(timed)]
    searcher.tell_array(fresh, np.column_stack([np.full(len(fresh), np.nan), truth(fresh)[:, 1]]))
    return searcher


def test_the_objective_that_is_known_least_counts() -> None:
    values = np.array([[70.0, np.nan], [71.0, np.nan], [np.nan, 2.0], [np.nan, np.nan]])
    assert least_known(values, [True, True]) == 1 and least_known(values, [True, False]) == 2
    assert least_known(values, [False, False]) == 4  # all is computed


def test_a_front_is_named_before_anything_is_complete() -> None:
    searcher = told()
    state = searcher.state_dict()
    named = searcher.predicted_front(12)
    assert 3 <= len(named) <= 12
    rows = searcher.space.to_array(named)
    predicted = searcher.predict(named)
    assert non_dominated(predicted[["accuracy", "latency_ms"]], OBJECTIVES).all()
    assert predicted["accuracy"].is_monotonic_decreasing
    pool = truth(searcher.rows)
    best = hypervolume(truth(rows), OBJECTIVES, REFERENCE)
    assert best > hypervolume(pool, OBJECTIVES, REFERENCE)  # than all that was told, were all of it measured
    assert searcher.state_dict() == state and [a.id for a in searcher.predicted_front(12)] == [a.id for a in named]


def test_the_first_batch_is_a_spread_over_the_predicted_front() -> None:
    searcher = told()
    rows = searcher.ask_array(8)
    assert searcher.info.round == 1 and searcher.info.inner_evaluations  # no first sample: enough is known
    values = truth(rows)
    assert non_dominated(values, OBJECTIVES).sum() >= 5 and np.ptp(values[:, 1]) > 20
    first = hypervolume(values, OBJECTIVES, REFERENCE)
    searcher.tell_array(rows, values)
    searcher.tell_array(searcher.ask_array(8), truth(searcher.pending_rows))
    assert hypervolume(truth(searcher.rows_at(slice(-16, None))), OBJECTIVES, REFERENCE) > first


def test_few_parts_leave_a_first_sample() -> None:
    searcher = told(accuracies=60, latencies=2)
    searcher.ask_array(8)
    assert searcher.info.round == 0 and not searcher.info.inner_evaluations


def test_limits_hold_for_what_is_named() -> None:
    space, rng = chain(), np.random.default_rng(4)
    searcher = PlumbSearcher(space, ["max accuracy", "latency_ms <= 25"], seed=1, inner_evaluations=3000, population=60)
    rows = space.sample_array(60, rng)
    searcher.tell_array(rows[:30], np.column_stack([truth(rows[:30])[:, 0], np.full(30, np.nan)]))
    searcher.tell_array(rows[30:], np.column_stack([np.full(30, np.nan), truth(rows[30:])[:, 1]]))
    named = searcher.predicted_front(10)
    assert len(named) and (searcher.predict(named)["latency_ms"] <= 25.0 + 1e-3).all()


def test_bad_input() -> None:
    searcher = PlumbSearcher(chain(), TWO, seed=0)
    with pytest.raises(SearchError, match="four measurements of each"):
        searcher.predicted_front(5)
    with pytest.raises(SearchError, match="number of architectures"):
        told().predicted_front(-1)
    assert isinstance(searcher, PredictsFronts) and not isinstance(create("random", chain(), TWO), PredictsFronts)
