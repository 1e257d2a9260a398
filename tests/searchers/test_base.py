"""What all tactics share: telling, limits, states."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from hwsearch.errors import HwsearchError, SearchError, SpaceError
from hwsearch.searchers import Searcher, create
from hwsearch.searchers.archive import packed, unpacked
from hwsearch.testing.toy_spaces import TWO, large_space, small_space, values_of


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


def running(name: str = "nsga2") -> Searcher:
    searcher = create(name, large_space(), TWO, 3)
    for _ in range(3):
        archs = searcher.ask(30)
        values = values_of(large_space(), archs, 2)
        values[::5] = np.nan
        searcher.tell(archs[:25], values[:25], np.full((25, 2), 0.1))
    return searcher


def test_damaged_states_are_refused_and_say_so() -> None:
    state = running().state_dict()
    values, rows = unpacked(state["values"]), unpacked(state["rows"])
    doubled = rows.copy()
    doubled[1] = doubled[0]
    outside = rows.copy()
    outside[0, 0] = 7
    wrong: list[dict[str, Any]] = [
        {"values": packed(values[1:])},
        {"rows": packed(doubled)},
        {"rows": packed(rows[:, 1:])},
        {"rows": packed(outside)},
        {"pending": packed(rows[:2])},
        {"rows": {**state["rows"], "data": "%%"}},
        {"noise": "none"},
        {"rng": {}},
        {"seed": None},
        {"extra": {}},
        {"version": 1},
        {"version": 3},
        {"info": {"rounds": 3}},
    ]
    for change in wrong:
        with pytest.raises(HwsearchError):
            create("nsga2", large_space(), TWO).load_state_dict(state | change)
    for key in state:
        with pytest.raises(SearchError):
            create("nsga2", large_space(), TWO).load_state_dict({k: v for k, v in state.items() if k != key})
    with pytest.raises(SearchError, match="version"):
        create("nsga2", large_space(), TWO).load_state_dict([])  # type: ignore[arg-type]


def test_frames_that_name_an_architecture_twice_are_matched_in_their_order() -> None:
    searcher = create("random", small_space(), TWO)
    archs = searcher.ask(3)
    told = [archs[0], archs[1], archs[0], archs[2]]
    frame = pd.DataFrame({"arch_id": [a.id for a in told], "accuracy": range(4), "latency_ms": range(4)})
    searcher.tell(told, frame.iloc[[3, 0, 1, 2]])
    assert searcher.values[:, 0].tolist() == [2, 1, 3]


def test_rows_are_checked() -> None:
    searcher = create("random", small_space(), TWO)
    good = searcher.ask_array(4)
    values = np.ones((4, 2))
    for wrong in (good[:, 1:], good.astype(float), good + 9, good[0], [["a"] * good.shape[1]] * 4):
        with pytest.raises(HwsearchError):
            searcher.tell_array(wrong, values)
    assert len(searcher.values) == 0
    searcher.tell_array(np.where(good < 0, 1, good), values)  # what inactive genes hold does not matter
    assert np.array_equal(searcher.rows, good) and not len(searcher.pending_rows)


def test_noise_of_failed_and_of_silent_tells_is_unknown() -> None:
    searcher = create("random", small_space(), TWO)
    archs = searcher.ask(3)
    searcher.tell(archs, [[1.0, 2.0], [np.nan, 2.0], [3.0, 4.0]], [[0.1, 0.2], [0.1, 0.2], [None, 0.0]])
    expected = np.array([[0.1, 0.2], [np.nan, 0.2], [np.nan, 0.0]])
    assert np.array_equal(searcher.noise, expected, equal_nan=True)
    searcher.tell(archs[:1], [[1.5, 2.5]])
    assert np.isnan(searcher.noise[0]).all()


def test_what_is_no_space_objective_or_seed_is_refused() -> None:
    with pytest.raises(SearchError, match="not a search space"):
        create("random", "nas-bench-201", TWO)  # type: ignore[arg-type]
    for seed in (-1, 1.5, "one", None, np.nan):
        with pytest.raises(SearchError, match="seed"):
            create("random", small_space(), TWO, seed)  # type: ignore[arg-type]
    with pytest.raises(SearchError, match="twice"):  # limits that contradict each other cannot be said
        create("random", small_space(), ["accuracy >= 90", "accuracy <= 80"])
    assert create("random", small_space(), "max accuracy").objectives[0].name == "accuracy"
