"""Chance limits by hand: candidates with a known mean and deviation, and which of them may be chosen."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

from hwsearch.errors import SearchError
from hwsearch.objectives.objective import Objective
from hwsearch.searchers.bayesian.chance_limits import ChanceLimits
from hwsearch.searchers.bayesian.plumb import PlumbSearcher
from hwsearch.searchers.bayesian.posterior import EncodedRows
from hwsearch.spaces import Choice, SearchSpace

SPACE = SearchSpace("pair", [Choice("a", tuple(range(6))), Choice("b", tuple(range(6)))])
Z95 = 1.6448536269514722
SAFE, EDGE, OVER = (1, 1), (2, 2), (3, 3)


Make = Callable[..., PlumbSearcher]


@pytest.fixture
def known_searcher(known_posterior: type) -> Make:
    """Makes a searcher of one objective with its limit, beside accuracy, and a posterior by hand."""
    return partial(make, known_posterior)


def make(posterior: type, objective: str, costs: dict, deviations: dict, **options: Any) -> PlumbSearcher:
    searcher = PlumbSearcher(
        SPACE, ["max accuracy", objective], 0, start=4, population=4, inner_evaluations=40, **options
    )
    told = np.array([[0, 0], [0, 1], [1, 0], [0, 2], [2, 0], [5, 5]])
    searcher.tell_array(told, [[60.0, 5.0], [61.0, 6.0], [61.0, 6.0], [62.0, 7.0], [62.0, 7.0], [50.0, 20.0]])
    searcher._posterior = searcher._search._posterior = posterior(searcher._posterior.kernel, costs, deviations)
    return searcher


def test_deviations_are_on_the_side_of_the_limit() -> None:
    """A latency must be low: its cost is judged higher. An accuracy must be high: its cost (minus it), too."""
    objectives = [Objective.parse(o) for o in ("accuracy >= 75", "latency_ms <= 10", "min params")]
    limits = ChanceLimits(objectives, {"accuracy": 0.95, "latency_ms": 0.5}, lambda v: np.zeros(len(v)))
    assert limits.deviations is not None
    assert limits.deviations.tolist() == pytest.approx([Z95, 0.0, 0.0])
    against = [Objective.parse("min latency_ms >= 2"), Objective.parse("max accuracy <= 90")]
    limits = ChanceLimits(against, {"latency_ms": 0.95, "accuracy": 0.95}, lambda v: np.zeros(len(v)))
    assert limits.deviations is not None and limits.deviations.tolist() == pytest.approx([-Z95, -Z95])
    assert ChanceLimits(objectives, {"accuracy": 0.5}, lambda v: np.zeros(len(v))).deviations is None


#: mean latencies 8, 9, 11 with deviation 1 under a limit of 10: with 95 % only the first, as 9 + 1.645 > 10
COSTS = {SAFE: [-70.0, 8.0], EDGE: [-100.0, 9.0], OVER: [-110.0, 11.0]}
SPREAD = {key: [0.0, 1.0] for key in COSTS}


@pytest.mark.parametrize(
    ("confidence", "met"),
    [
        ({}, [True, True, False]),
        ({"latency_ms": 0.8}, [True, True, False]),
        ({"latency_ms": 0.95}, [True, False, False]),
    ],
)
def test_which_candidates_meet_a_limit(known_searcher: Make, confidence: dict[str, float], met: list[bool]) -> None:
    searcher = known_searcher("min latency_ms <= 10", COSTS, SPREAD, confidence=confidence)
    rows = EncodedRows(searcher._posterior, np.array(list(COSTS)))
    violation = searcher._limits.violation(searcher._posterior, rows, searcher._posterior.mean(rows))
    assert (violation == 0).tolist() == met
    if confidence:
        assert searcher._met(np.array(list(COSTS))).tolist() == met


def test_a_lower_limit_is_met_from_above(known_posterior: type) -> None:
    """Accuracies 76 and 78 with deviation 1 over a limit of 75: with 95 % only the second, as 76 - 1.645 < 75."""
    costs = {SAFE: [-78.0, 8.0], EDGE: [-76.0, 8.0]}
    objectives = [Objective.parse("accuracy >= 75"), Objective.parse("min latency_ms")]
    searcher = PlumbSearcher(SPACE, objectives, confidence={"accuracy": 0.95})
    posterior = known_posterior(searcher._posterior.kernel, costs, {key: [1.0, 0.0] for key in costs})
    assert searcher._limits.met(posterior, EncodedRows(posterior, np.array([SAFE, EDGE]))).tolist() == [True, False]


def test_the_batch_takes_the_safe_candidate_and_without_confidence_the_better_one(known_searcher: Make) -> None:
    """The control is the same tactic without confidence."""
    candidates, busy = np.array([SAFE, EDGE]), np.empty((0, 2), dtype=np.int64)
    reference = np.array([-40.0, 12.0])
    chosen = {}
    for name, confidence in (("plain", {}), ("sure", {"latency_ms": 0.95})):
        searcher = known_searcher("min latency_ms <= 10", COSTS, SPREAD, confidence=confidence)
        picks, gains = searcher._batch(candidates, busy, 1, reference)
        chosen[name] = tuple(candidates[picks[0]].tolist())
        assert gains[0] > 0
    assert chosen == {"plain": EDGE, "sure": SAFE}


def test_ask_itself_keeps_the_margin(known_searcher: Make) -> None:
    """Of all 36 architectures only three are good; the first asked is the safe one with confidence, the best without."""
    first = {}
    for name, confidence in (("plain", {}), ("sure", {"latency_ms": 0.95})):
        searcher = known_searcher("min latency_ms <= 10", COSTS, SPREAD, confidence=confidence)
        first[name] = tuple(searcher.ask_array(1)[0].tolist())
    assert first == {"plain": EDGE, "sure": SAFE}


def test_infeasible_samples_improve_nothing(known_searcher: Make) -> None:
    """A mean latency of 10.5 with deviation 1 under a limit of 10 exceeds it in half of the samples (11.5) and not in the
    others (9.5): its gain is half of that of the same candidate under a limit that all samples meet."""
    costs, spread = {EDGE: [-80.0, 10.5]}, {EDGE: [0.0, 1.0]}
    gains = {}
    for limit in (10, 12):
        searcher = known_searcher(f"min latency_ms <= {limit}", costs, spread)
        busy = np.empty((0, 2), dtype=np.int64)
        _, found = searcher._batch(np.array([EDGE]), busy, 1, np.array([-70.0, 12.0]))
        gains[limit] = found[0]
    # rectangles above accuracy 70 and below 12 ms: 10 x 2.5 in one half of the samples, 10 x 0.5 in the other
    assert gains[10] == pytest.approx(0.5 * 25.0)
    assert gains[12] == pytest.approx(0.5 * 25.0 + 0.5 * 5.0)


def test_what_always_exceeds_the_limit_is_not_chosen_for_its_gain(known_searcher: Make) -> None:
    costs, spread = {SAFE: [-71.0, 9.5], OVER: [-90.0, 15.0]}, {key: [0.0, 1e-06] for key in [SAFE, OVER]}
    searcher = known_searcher("min latency_ms <= 10", costs, spread)
    busy = np.empty((0, 2), dtype=np.int64)
    picks, gains = searcher._batch(np.array([OVER, SAFE]), busy, 2, np.array([-70.0, 20.0]))
    assert picks == [1, 0] and len(gains) == 1  # the other only fills up


@pytest.mark.parametrize("confidence", [{"latency": 0.9}, {"accuracy": 0.9}, {"latency_ms": 0.3}, {"latency_ms": 1.0}])
def test_confidence_that_is_not_valid_is_refused(confidence: dict[str, float]) -> None:
    with pytest.raises(SearchError, match="confidence"):
        PlumbSearcher(SPACE, ("max accuracy", "latency_ms <= 40"), confidence=confidence)
