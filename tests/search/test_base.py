"""What all tactics share: telling, limits, states."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from hwsearch.errors import SearchError, SpaceError
from hwsearch.search import create
from hwsearch.testing.searchers import TWO, large_space, small_space, values_of


def test_a_second_telling_replaces_the_first() -> None:
    searcher = create("random", small_space(), TWO)
    archs = searcher.ask(3)
    searcher.tell(archs, [[70.0, 1.0], [71.0, 2.0], [None, None]])
    searcher.tell(archs[2:] + archs[:1], [[72.0, 3.0], [69.0, 0.5]])
    told, values = searcher.evaluated
    assert told == archs
    assert values.tolist() == [[69.0, 0.5], [71.0, 2.0], [72.0, 3.0]]


def test_violation_is_the_sum_of_relative_excesses() -> None:
    searcher = create("random", small_space(), ["accuracy >= 80", "latency_ms <= 2", "min macs"])
    values = np.array([[80.0, 2.0, 9.0], [76.0, 1.0, 1.0], [60.0, 3.0, 1.0], [90.0, np.nan, 1.0]])
    assert searcher.violation(values) == pytest.approx([0.0, 0.05, 0.75, np.inf])


def test_the_front_shows_what_misses_the_limits_only_while_nothing_meets_them() -> None:
    searcher = create("random", small_space(), ["max accuracy", "latency_ms <= 1"])
    archs = searcher.ask(3)
    searcher.tell(archs[:2], [[70.0, 2.0], [80.0, 3.0]])
    assert len(searcher.front()) == 2
    searcher.tell(archs[2:], [[60.0, 0.9]])
    assert searcher.front().to_frame()["arch_id"].tolist() == [archs[2].id]


def test_frames_are_matched_by_id_and_checked() -> None:
    searcher = create("random", small_space(), TWO)
    archs = searcher.ask(3)
    frame = pd.DataFrame(values_of(small_space(), archs, 2), columns=["accuracy", "latency_ms"])
    with pytest.raises(SearchError, match="Did you mean 'latency'"):
        searcher.tell(archs, frame.rename(columns={"latency_ms": "latency"}))
    frame["arch_id"] = [archs[0].id, archs[1].id, "0" * 12]
    with pytest.raises(SearchError, match="arch_id"):
        searcher.tell(archs, frame)
    assert searcher.evaluated[0] == []


def test_strangers_and_negative_asks_are_refused() -> None:
    searcher = create("random", small_space(), TWO)
    strangers = large_space().sample(2, np.random.default_rng(0))
    with pytest.raises(SpaceError):
        searcher.tell(strangers, [[1.0, 1.0], [1.0, 1.0]])
    with pytest.raises(SearchError):
        searcher.ask(-1)


def test_a_state_of_other_options_objectives_or_tactic_is_refused_by_name() -> None:
    state = create("nsga2", small_space(), TWO, population=8).state_dict()
    with pytest.raises(SearchError, match="options"):
        create("nsga2", small_space(), TWO, population=9).load_state_dict(state)
    with pytest.raises(SearchError, match="objectives"):
        create("nsga2", small_space(), ["max accuracy", "latency_ms <= 2"], population=8).load_state_dict(state)
    with pytest.raises(SearchError, match="tactic"):
        create("random", small_space(), TWO).load_state_dict(state)
