"""Conformance of search tactics: subclass, say how yours is made, and let pytest run it."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hwsearch.errors import HwsearchError
from hwsearch.searchers.base import Searcher
from hwsearch.spaces import Architecture, Choice, SearchSpace, TableSpace
from hwsearch.testing.toy_spaces import (
    FOUR,
    ONE,
    THREE,
    TWO,
    dominated,
    flat_space,
    large_space,
    small_space,
    table_space,
    values_of,
)

#: why a searcher that was resumed may ask otherwise
RESUME = (
    "a resumed searcher asks other architectures than one that was never stopped: what it remembers beside the told "
    "values must go through _extra_state and _load_extra_state, and all its randomness must come from self.rng"
)


def state_of(searcher: Searcher) -> dict[str, Any]:
    """Take a searcher's state, and check that it can be written as JSON.

    Parameters
    ----------
    searcher : Searcher
        Whose state it is.

    Returns
    -------
    dict
        Of `Searcher.state_dict`.
    """
    state = searcher.state_dict()
    assert isinstance(state["extra"], dict), f"_extra_state must return a dict, got {state['extra']!r}"
    for key, value in state["extra"].items():
        try:
            json.dumps({key: value}, allow_nan=False)
        except (TypeError, ValueError) as error:
            pytest.fail(
                f"_extra_state()[{key!r}] is {type(value).__name__} and cannot be written as JSON ({error}): "
                "give numbers, texts, lists and dicts, as array.tolist() does, and None for NaN"
            )
    json.dumps(state, allow_nan=False)
    return state


class SearcherConformance:
    """Conformance suite of `Searcher`: subclass it, say in `make` how your tactic is made, and let pytest run it.

    Each test method is one promise: new architectures only, a small space exhausted, resume bit for bit, failures and
    constants borne, limits first.

    Attributes
    ----------
    evaluations : int
        How many architectures the tests that need a running search measure.
    most_objectives : int
        The most objectives that the tactic takes.
    flat : bool
        Whether it takes only ordinal genes without conditions.
    """

    evaluations: int = 40
    most_objectives: int = 4
    flat: bool = False

    @abstractmethod
    def make(self, space: SearchSpace, objectives: Sequence[str], seed: int) -> Searcher:
        """Make a fresh searcher.

        Parameters
        ----------
        space : SearchSpace
            What can be chosen.
        objectives : sequence of str
            Such as ``"max accuracy"``.
        seed : int
            All randomness comes from it.

        Returns
        -------
        Searcher
        """

    @property
    def two(self) -> tuple[str, ...]:
        """The first two objectives, or as many as the tactic takes."""
        return FOUR[: min(2, self.most_objectives)]

    def small(self) -> SearchSpace:
        """Make a space that the tests exhaust.

        Returns
        -------
        SearchSpace
        """
        return flat_space(4, 3) if self.flat else small_space()

    def large(self) -> SearchSpace:
        """Make a space that the tests do not exhaust.

        Returns
        -------
        SearchSpace
        """
        return flat_space() if self.flat else large_space()

    def table(self, n: int) -> TableSpace:
        """Make a table of n architectures.

        Parameters
        ----------
        n : int
            How many.

        Returns
        -------
        TableSpace
        """
        return table_space(n, self.large())

    def run(self, searcher: Searcher, evaluations: int, batch: int = 8) -> list[str]:
        """Ask and tell until so many are measured.

        Parameters
        ----------
        searcher : Searcher
            To be driven.
        evaluations : int
            How many architectures are measured.
        batch : int
            How many are asked for at once.

        Returns
        -------
        list of str
            Ids in the order of the asks.
        """
        ids: list[str] = []
        while len(ids) < evaluations:
            archs = searcher.ask(min(batch, evaluations - len(ids)))
            searcher.tell(archs, values_of(searcher.space, archs, len(searcher.objectives)))
            ids += [arch.id for arch in archs]
        return ids

    def test_takes_the_options_that_its_capabilities_name(self) -> None:
        """Every option that the tactic's `capabilities` name is one of its `Options`."""
        searcher = self.make(self.large(), self.two, 0)
        assert isinstance(getattr(searcher, "name", None), str), "the tactic has no `name`: give its entry point's"
        assert set(searcher.capabilities.options()) <= set(searcher.Options.model_fields)

    def test_asks_exactly_n_new_architectures_of_the_space(self) -> None:
        """`ask(n)` gives n architectures of the space that were never asked before."""
        space = self.large()
        searcher = self.make(space, self.two, 0)
        seen: set[Architecture] = set()
        for n in (1, 7, 16, 0, 3, 13):
            archs = searcher.ask(n)
            assert len(archs) == n == len(set(archs))
            assert all(arch in space for arch in archs)
            assert not seen & set(archs)
            seen |= set(archs)
            searcher.tell(archs, values_of(space, archs, len(self.two)))
        assert set(searcher.evaluated[0]) == seen

    def test_never_repeats_what_is_pending_or_was_told_unasked(self) -> None:
        """Architectures that are pending, or were told without being asked for, are not asked."""
        space = self.small()
        searcher = self.make(space, self.two, 1)
        warm = space.sample(30, np.random.default_rng(5))
        searcher.tell(warm, values_of(space, warm, len(self.two)))
        asked = [arch for _ in range(4) for arch in searcher.ask(10)]  # nothing told in between
        assert len(set(asked)) == 40
        assert not set(asked) & set(warm)

    def test_exhausts_a_small_space_and_then_asks_nothing(self) -> None:
        """Every architecture of a small space is asked once; then asks are empty."""
        space = self.small()
        searcher = self.make(space, self.two, 2)
        ids = []
        for _ in range(13):
            archs = searcher.ask(17)  # the last batch is larger than what is left
            ids += [arch.id for arch in archs]
            if archs:
                searcher.tell(archs, values_of(space, archs, len(self.two)))
        assert sorted(ids) == sorted(arch.id for arch in space.enumerate())
        assert searcher.ask(5) == []

    @pytest.mark.parametrize("objectives", [ONE, TWO, THREE, FOUR])
    def test_front_is_the_non_dominated_set_of_any_number_of_objectives(self, objectives: tuple[str, ...]) -> None:
        """The front is the set that the definition gives, for one to four objectives.

        Parameters
        ----------
        objectives : object
            Given by pytest.
        """
        objectives = objectives[: self.most_objectives]
        searcher = self.make(self.large(), objectives, 3)
        self.run(searcher, self.evaluations)
        archs, values = searcher.evaluated
        sign = np.array([o.sign for o in searcher.objectives])
        expected = {a.id for a, v in zip(archs, values, strict=True) if not any(dominated(v, w, sign) for w in values)}
        found = set(searcher.front().to_frame()["arch_id"])
        assert found <= expected
        best = {a.id: tuple(v) for a, v in zip(archs, values, strict=True)}
        assert {best[i] for i in found} == {best[i] for i in expected}  # equal values are listed once

    def test_same_seed_same_asks_and_another_seed_others(self) -> None:
        """Asks follow from the seed."""
        one, two, other = (self.run(self.make(self.large(), self.two, seed), self.evaluations) for seed in (4, 4, 5))
        assert one == two, "two searchers of the same seed ask differently: draw from self.rng only"
        assert one != other, "another seed gives the same asks: draw from self.rng"

    def test_resumes_bit_for_bit_through_json(self) -> None:
        """A state that went through JSON gives the same asks, also between ask and tell."""
        space = self.large()
        steady, broken = self.make(space, self.two, 6), self.make(space, self.two, 6)
        for n in (5, 9, 12, 6, 8):
            expected, archs = steady.ask(n), broken.ask(n)
            assert archs == expected, RESUME
            text = json.dumps(state_of(broken))  # stopped between ask and tell
            broken = self.make(space, self.two, 99)
            broken.load_state_dict(json.loads(text))
            values = values_of(space, archs, len(self.two))
            values[0, 0] = np.nan
            steady.tell(archs, values)
            broken.tell(archs, values)
        assert state_of(broken) == state_of(steady)
        assert np.array_equal(broken.evaluated[1], steady.evaluated[1], equal_nan=True)

    def test_refuses_the_state_of_another_space(self) -> None:
        """A state of another space is an error."""
        state = self.make(self.small(), self.two, 0).state_dict()
        with pytest.raises(HwsearchError):
            self.make(self.large(), self.two, 0).load_state_dict(state)

    def test_goes_on_after_failed_measurements(self) -> None:
        """Failed measurements do not end the search and are never on the front."""
        space = self.large()
        searcher = self.make(space, self.two, 7)
        failed: set[str] = set()
        for turn in range(4):
            archs = searcher.ask(self.evaluations // 4)
            values = values_of(space, archs, len(self.two))
            values[:: 1 if turn == 0 else 3] = np.nan  # the whole first batch, then every third
            failed |= {arch.id for arch in archs[:: 1 if turn == 0 else 3]}
            searcher.tell(archs, values)
        assert len(searcher.ask(5)) == 5
        front = searcher.front().to_frame()
        assert len(front) and not failed & set(front["arch_id"])

    def test_takes_arrays_lists_and_frames_alike(self) -> None:
        """Arrays, lists and DataFrames of values mean the same."""
        space = self.large()
        states = []
        for form in range(3):
            searcher = self.make(space, self.two, 8)
            archs = searcher.ask(6)
            values = values_of(space, archs, len(self.two))
            frame = pd.DataFrame(values, columns=[o.name for o in searcher.objectives])
            frame.insert(0, "arch_id", [arch.id for arch in archs])
            searcher.tell(archs, [values, values.tolist(), frame[::-1]][form])
            states.append(state_of(searcher))
        assert states[0] == states[1] == states[2]

    def test_front_meets_the_limits_as_soon_as_one_architecture_does(self) -> None:
        """As soon as one architecture meets the limits, all of the front do."""
        space = self.large()
        sample = values_of(space, space.sample(200, np.random.default_rng(0)), len(self.two))
        limit = float(f"{np.median(sample[:, -1]):.6g}")
        bound = f"latency_ms <= {limit:g}" if len(self.two) > 1 else f"accuracy >= {limit:g}"
        searcher = self.make(space, (*self.two[:-1], bound), 9)
        self.run(searcher, self.evaluations)
        sign = searcher.objectives[-1].sign
        assert (sign * searcher.evaluated[1][:, -1] <= sign * limit).any()
        assert (sign * searcher.front().values[:, -1] <= sign * limit).all()

    def test_tell_does_not_change_its_inputs_and_refuses_wrong_shapes(self) -> None:
        """`tell` leaves its inputs as they are, and refuses wrong ones without telling anything."""
        space = self.large()
        searcher = self.make(space, self.two, 10)
        archs = searcher.ask(4)
        values = values_of(space, archs, len(self.two))
        values[1, -1] = np.inf
        before = values.copy()
        searcher.tell(archs, values)
        assert np.array_equal(values, before)
        assert np.isnan(searcher.evaluated[1][1, -1])
        state = state_of(searcher)
        words, ragged = [["fast"] * values.shape[1]] * 4, [[1.0], [1.0, 2.0], [], [1.0]]
        for wrong in (values[:3], np.hstack([values] * 2), values[0], words, ragged):
            with pytest.raises(HwsearchError):
                searcher.tell(archs, wrong)
        for wrong_noise in (-values, values[:3], words):
            with pytest.raises(HwsearchError):
                searcher.tell(archs, values, wrong_noise)
        assert state_of(searcher) == state
        for n in (-1, 2.5, None, "three", np.nan):
            with pytest.raises(HwsearchError):
                searcher.ask(n)  # type: ignore[arg-type]

    @pytest.mark.parametrize("size", [1, 40])
    def test_asks_every_row_of_a_table_and_no_other(self, size: int) -> None:
        """On a table, its rows are asked and nothing else.

        Parameters
        ----------
        size : object
            Given by pytest.
        """
        space = self.table(size)
        searcher = self.make(space, self.two, 11)
        asked: list[Architecture] = []
        for n in (1, 7, 64, 3):  # the third batch is larger than what is left
            archs = searcher.ask(n)
            asked += archs
            if archs:
                searcher.tell(archs, values_of(space, archs, len(self.two)))
        assert len(asked) == space.cardinality
        assert set(asked) == set(space.enumerate())

    def test_bears_failures_constants_and_repeated_tells(self) -> None:
        """Failures, a constant objective and repeated tells together end nothing."""
        space, rng = self.large(), np.random.default_rng(12)
        searcher = self.make(space, self.two, 12)
        seen: set[Architecture] = set()
        for n in (7, 1, 20, 8):
            archs = searcher.ask(n)
            assert len(archs) == n and not seen & set(archs)
            seen |= set(archs)
            values = values_of(space, archs, len(self.two))
            values[:, -1] = 5.0
            values[rng.random(n) < 0.3] = np.nan
            searcher.tell(archs, values)
            searcher.tell(archs[:2], values[:2])
        assert len(searcher.evaluated[0]) == len(seen)

    def test_resumes_at_any_moment_whatever_the_objectives(self) -> None:
        """A resume is exact in the middle of a batch, too, with one objective and with several."""
        space, rng = self.table(60), np.random.default_rng(13)
        for objectives in dict.fromkeys((ONE, THREE[: self.most_objectives])):
            steady, broken = self.make(space, objectives, 14), self.make(space, objectives, 14)
            for n in (9, 1, 12, 5):
                archs = steady.ask(n)
                assert broken.ask(n) == archs, RESUME
                values = values_of(space, archs, len(objectives))
                half = int(rng.integers(0, n + 1))
                for part in (slice(None, half), slice(half, None)):  # some told, stopped, the others told
                    steady.tell(archs[part], values[part])
                    broken.tell(archs[part], values[part])
                    text = json.dumps(state_of(broken))
                    broken = self.make(space, objectives, 0)
                    broken.load_state_dict(json.loads(text))
            assert state_of(broken) == state_of(steady)

    # ------------------------------------------------------------------ bad input
    def test_goes_on_when_every_measurement_fails(self) -> None:
        """A search of which every measurement fails goes on."""
        space = self.large()
        searcher = self.make(space, self.two, 15)
        for n in (12, 12, 9):
            archs = searcher.ask(n)
            assert len(archs) == n
            searcher.tell(archs, np.full((n, len(self.two)), np.nan))
        assert len(searcher.front()) == 0

    def test_goes_on_when_all_objectives_are_constant(self) -> None:
        """A search whose objectives are all constant goes on."""
        space, rng = self.large(), np.random.default_rng(16)
        searcher = self.make(space, self.two, 16)
        for n in (12, 12, 9):
            archs = searcher.ask(n)
            assert len(archs) == n
            values = np.full((n, len(self.two)), 5.0)
            values[rng.random(n) < 0.3] = np.nan
            searcher.tell(archs, values)
        assert len(searcher.front()) == 1

    def test_goes_on_when_nothing_can_meet_the_limits(self) -> None:
        """Where nothing can meet the limits, the front is that of all, as if there were none."""
        space = self.large()
        searcher = self.make(space, ("accuracy >= 99.9", "latency_ms <= 0.01")[: len(self.two)], 17)
        self.run(searcher, self.evaluations)
        archs, values = searcher.evaluated
        sign = np.array([o.sign for o in searcher.objectives])
        expected = [a.id for a, v in zip(archs, values, strict=True) if not any(dominated(v, w, sign) for w in values)]
        assert set(searcher.front().to_frame()["arch_id"]) <= set(expected)

    def test_asks_the_only_architecture_of_a_space_once(self) -> None:
        """The only architecture of a space is asked once."""
        space = SearchSpace("conformance-one", [Choice("x", (3,)), Choice("y", (7,))])
        for fails in (False, True):
            searcher = self.make(space, self.two, 18)
            archs = searcher.ask(5)
            assert archs == list(space.enumerate())
            searcher.tell(archs, np.full((1, len(self.two)), np.nan if fails else 1.0))
            assert searcher.ask(5) == []
            assert len(searcher.front()) == (not fails)

    def test_of_what_is_told_twice_the_later_stays(self) -> None:
        """Of what is told twice, in a call or later, the later values stay."""
        space = self.large()
        searcher = self.make(space, self.two, 19)
        for turn in range(3):
            archs = searcher.ask(8)
            values = values_of(space, archs, len(self.two))
            searcher.tell([*archs, *archs[:3]], np.concatenate([values, values[:3] + 1.0]))  # twice in a call
            values[:3] += 1.0
            assert np.array_equal(searcher.values[8 * turn :], values)
            searcher.tell(archs[3:5], [[None] * len(self.two), values[4] - 1.0])  # and later again
            assert np.isnan(searcher.values[8 * turn + 3]).all()
            assert np.array_equal(searcher.values[8 * turn + 4], values[4] - 1.0)
        assert len(searcher.values) == 24

    def test_arrays_say_the_same_as_architectures_and_noise_is_kept(self) -> None:
        """`ask_array` and `tell_array` do what `ask` and `tell` do; noise is kept."""
        space, rng = self.large(), np.random.default_rng(20)
        one, two = (self.make(space, self.two, 20) for _ in range(2))
        noises = []
        for n in (9, 4, 12):
            archs, rows = one.ask(n), two.ask_array(n)
            assert space.from_array(rows) == archs
            values = values_of(space, archs, len(self.two))
            noise = rng.random(values.shape)
            noise[0] = np.nan
            noises.append(noise)
            one.tell(archs, values, noise)
            two.tell_array(rows, values, noise)
        assert state_of(one) == state_of(two)
        assert np.array_equal(one.noise, np.concatenate(noises), equal_nan=True)
        again = self.make(space, self.two, 0)
        again.load_state_dict(json.loads(json.dumps(state_of(one))))
        assert np.array_equal(again.noise, one.noise, equal_nan=True)
        assert np.array_equal(again.rows, one.rows)
