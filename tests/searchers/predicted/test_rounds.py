"""Rounds: when they begin, how they are handed out, how predictions rank."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest

from hwsearch._typing import IntArray
from hwsearch.errors import SearchError
from hwsearch.searchers.options import SearcherOptions
from hwsearch.searchers.predicted.rounds import Models, RoundSearcher
from hwsearch.testing.toy_spaces import TWO, flat_space, large_space, values_of


class Counting(RoundSearcher):
    """Measures four, then rounds of five: the largest unknown index rows."""

    name: ClassVar[str] = "counting"
    Options: ClassVar[type[SearcherOptions]] = SearcherOptions

    def _sizes(self) -> tuple[int, int]:
        return 4, 5

    def _next_round(self, n: int) -> IntArray:
        rows = self.space.enumerate_array()[::-1]
        return rows[self._is_new(rows)][:n]


def told(searcher: RoundSearcher, rows: IntArray) -> None:
    searcher.tell_array(rows, [[70.0 + row.sum(), 1.0 + row.sum()] for row in rows])


def test_a_round_is_chosen_once_and_handed_out_over_the_asks() -> None:
    searcher = Counting(flat_space(3, 4), TWO, 0)
    told(searcher, searcher.ask_array(4))
    assert searcher.info.round == 0
    parts = [searcher.ask_array(2) for _ in range(2)]
    assert searcher.info.round == 1  # five were chosen for the first ask; one is left
    told(searcher, np.concatenate(parts))
    searcher.ask_array(2)
    assert searcher.info.round == 2
    rows = np.concatenate(parts)
    assert len(np.unique(rows, axis=0)) == 4


def test_an_ask_for_more_than_is_left_gets_a_larger_round() -> None:
    searcher = Counting(flat_space(3, 4), TWO, 0)
    told(searcher, searcher.ask_array(4))
    assert len(searcher.ask_array(11)) == 11 and searcher.info.round == 1


def test_rounds_begin_when_two_measurements_are_complete() -> None:
    searcher = Counting(flat_space(3, 4), TWO, 0)
    rows = searcher.ask_array(4)
    searcher.tell_array(rows, [[np.nan, 1.0]] * 3 + [[70.0, 1.0]])
    more = searcher.ask_array(3)
    assert len(more) == 3 and searcher.info.round == 0
    told(searcher, more)
    searcher.ask_array(1)
    assert searcher.info.round == 1


def test_ranking_by_hand() -> None:
    """Accuracy up, latency down to 3: a row over the limit is last, a dominated one before it."""
    searcher = Counting(flat_space(3, 4), ["max accuracy", "min latency_ms <= 3"], 0)
    predicted = np.array([[80.0, 9.0], [70.0, 2.0], [75.0, 2.5], [60.0, 2.4]])
    assert set(searcher._ranking(predicted, 2).tolist()) == {1, 2}
    assert searcher._ranking(predicted, 4)[2:].tolist() == [3, 0]
    one = Counting(flat_space(3, 4), ["max accuracy"], 0)
    assert one._ranking(np.array([[1.0], [3.0], [2.0]]), 3).tolist() == [1, 2, 0]


def test_an_empty_band_is_an_error() -> None:
    searcher = Counting(large_space(), TWO, 0)
    with pytest.raises(SearchError, match="band"):
        searcher._drawn(5, lambda rows: np.zeros(len(rows), dtype=bool), searcher.rng)


def test_models_predict_in_natural_units_and_their_mean_is_that_of_the_members() -> None:
    searcher = Counting(large_space(), TWO, 0)
    archs = large_space().sample(40, np.random.default_rng(0))
    values = values_of(large_space(), archs, 2)
    values[0, 0] = np.nan
    searcher.tell(archs, values)
    models = Models(searcher, "ridge-or-svr", 3, size=2)
    rows = searcher.rows
    assert models.members(rows).shape == (2, 40, 2)
    assert np.array_equal(models.predict(rows), models.members(rows).mean(axis=0))
    for predicted, measured in zip(models.predict(rows)[1:].T, values[1:].T, strict=True):
        assert np.corrcoef(predicted, measured)[0, 1] > 0.8
        assert predicted.mean() == pytest.approx(measured.mean(), rel=0.1)
