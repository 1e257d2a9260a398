"""Arguments of searchers: those that may be passed, and the refusals of the rest."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from hwsearch.errors import SearchError
from hwsearch.objectives.objective import Objective
from hwsearch.searchers.arguments import by_id, natural, proposed, values_and_noise
from hwsearch.testing.toy_spaces import large_space

OBJECTIVES = [Objective("accuracy"), Objective("latency")]


@pytest.mark.parametrize("n", [0, 3, np.int64(3), True])
def test_whole_numbers_from_zero_on(n) -> None:
    assert natural(n, "n") == int(n) and type(natural(n, "n")) is int


@pytest.mark.parametrize("n", [-1, 2.0, "2", None])
def test_anything_else_is_no_number_of_architectures(n) -> None:
    with pytest.raises(SearchError, match="seed must be a whole number of at least 0, got"):
        natural(n, "seed")


def test_frames_are_sorted_by_id_and_other_values_left_alone() -> None:
    archs = large_space().sample(3, np.random.default_rng(0))
    frame = pd.DataFrame({"arch_id": [archs[i].id for i in (2, 0, 1)], "accuracy": [2.0, 0.0, 1.0]})
    assert by_id(archs, frame)["accuracy"].tolist() == [0.0, 1.0, 2.0]
    rows = [[1.0], [2.0], [3.0]]
    assert by_id(archs, rows) is rows
    for wrong in (frame[:2], frame.assign(arch_id="x")):
        with pytest.raises(SearchError, match="must list the architectures given"):
            by_id(archs, wrong)


def test_what_is_not_finite_is_not_measured_and_has_no_noise() -> None:
    given = [[90.0, None], [np.inf, 2.0], [80.0, 3.0]]
    values, noise = values_and_noise(OBJECTIVES, given, [[0.1, 0.2], [0.3, 0.4], [None, 0.0]], 3)
    np.testing.assert_array_equal(values, [[90.0, np.nan], [np.nan, 2.0], [80.0, 3.0]])
    np.testing.assert_array_equal(noise, [[0.1, np.nan], [np.nan, 0.4], [np.nan, 0.0]])
    assert np.isnan(values_and_noise(OBJECTIVES, given, None, 3)[1]).all()


def test_what_is_returned_is_a_copy() -> None:
    given = np.array([[1.0, 2.0]])
    values, _ = values_and_noise(OBJECTIVES, given, None, 1)
    values[:] = 0
    assert given.tolist() == [[1.0, 2.0]]


def test_columns_of_a_frame_are_found_by_name() -> None:
    frame = pd.DataFrame({"latency_ms": [2.0], "more": ["x"], "accuracy": [90.0]})
    assert values_and_noise(OBJECTIVES, frame, None, 1)[0].tolist() == [[90.0, 2.0]]
    with pytest.raises(SearchError, match=r"the values have no column 'accuracy'.*'accurcy'"):
        values_and_noise(OBJECTIVES, frame.rename(columns={"accuracy": "accurcy"}), None, 1)


@pytest.mark.parametrize(
    ("values", "noise", "words"),
    [
        ([[1.0, 2.0]], None, "2 architectures came with 1 rows of values"),
        ([["a", "b"]] * 2, None, "the values told are not numbers"),
        ([[1.0, 2.0]] * 2, [[0.1, -0.2]] * 2, r"noise must not be negative, got -0\.2"),
        ([[1.0, 2.0]] * 2, [[0.1, 0.2]], "2 architectures came with 1 rows of noise"),
    ],
)
def test_values_that_do_not_fit_are_explained(values, noise, words: str) -> None:
    with pytest.raises(SearchError, match=words):
        values_and_noise(OBJECTIVES, values, noise, 2)


@pytest.mark.parametrize(
    "rows", [np.zeros((2, 3), np.int64), np.zeros((2, 3), np.uint8), [[0, 1, 2]], [], np.empty((0, 9))]
)
def test_rows_of_a_tactic(rows) -> None:
    assert len(proposed(rows, 3, "mine")) == len(rows)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (None, "got None"),
        (large_space().sample(1, np.random.default_rng(0)), "got architectures"),
        (np.zeros((2, 3)), r"shape \(2, 3\) and type float64"),
        (np.zeros((2, 4), np.int64), r"shape \(2, 4\)"),
        (np.zeros(3, np.int64), r"shape \(3,\)"),
        ([[1, 2, 3], [1]], "type object"),
    ],
)
def test_something_else_than_rows_is_named(rows, words: str) -> None:
    with pytest.raises(SearchError, match=rf"_propose of tactic 'mine' must return rows.*{words}"):
        proposed(rows, 3, "mine")
