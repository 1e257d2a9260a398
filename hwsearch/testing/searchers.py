"""Conformance of search tactics: subclass, say how yours is made, and let pytest run it.

from hwsearch.testing import SearcherConformance

class TestMine(SearcherConformance):
    def make(self, space, objectives, seed):
        return MySearcher(space, objectives, seed)
"""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from hwsearch.errors import HwsearchError
from hwsearch.search.base import Searcher
from hwsearch.spaces import Architecture, Choice, SearchSpace, TableSpace, When

FloatArray = NDArray[np.float64]
FOUR = ("max accuracy", "min latency_ms", "min params", "min macs")
ONE, TWO, THREE = FOUR[:1], FOUR[:2], FOUR[:3]


def small_space() -> SearchSpace:
    """A conditional space of 84 architectures."""
    return SearchSpace(
        "conformance-small",
        [
            Choice("d", (1, 2)),
            Choice("k0", (3, 5, 7)),
            Choice("k1", (3, 5, 7), when=When("d", (2,))),
            Choice("act", ("relu", "swish"), ordinal=False),
            Choice("e1", (2, 4), when=When("d", (2,))),
            Choice("r", (16, 20)),
        ],
    )


def large_space() -> SearchSpace:
    """A conditional space in the manner of OFA MobileNetV3: three stages of two to three layers."""
    choices = []
    for stage in range(3):
        choices.append(Choice(f"d{stage}", (2, 3)))
        for layer in range(3):
            when = When(f"d{stage}", (3,)) if layer == 2 else None
            choices.append(Choice(f"k{stage}{layer}", (3, 5, 7), when=when))
            choices.append(Choice(f"e{stage}{layer}", (3, 4, 6), when=when))
    return SearchSpace("conformance-large", choices)


def table_space(n: int = 40) -> TableSpace:
    """A table of n uniform architectures of the large space."""
    space = large_space()
    rows = space.sample_array(n, np.random.default_rng(n))
    return TableSpace(f"conformance-table-{n}", space.choices, rows)


def values_of(space: SearchSpace, archs: Sequence[Architecture], objectives: int) -> FloatArray:
    """Accuracy in percent, latency in ms, parameters, MACs: (n, objectives), smooth functions with a trade-off."""
    size = space.encode(archs, "ordinal")
    weight = np.cos(np.arange(size.shape[1])) ** 2 + 0.2
    accuracy = 60 + 30 * (1 - np.exp(-3 * (size * weight).sum(axis=1) / weight.sum()))
    latency = 1 + (size**2 * weight[::-1]).sum(axis=1)
    params = 1e6 * (1 + size.sum(axis=1))
    macs = 1e6 * (1 + (size * weight).sum(axis=1) ** 1.5)
    return np.stack([accuracy, latency, params, macs], axis=1)[:, :objectives]


def dominated(a: FloatArray, b: FloatArray, sign: FloatArray) -> bool:
    """Whether b dominates a, by the definition."""
    return bool((b * sign <= a * sign).all() and (b * sign < a * sign).any())


class SearcherConformance:
    """What `Searcher` promises, as tests; each method is one promise."""

    #: how many architectures the tests that need a running search measure
    evaluations: int = 40

    @abstractmethod
    def make(self, space: SearchSpace, objectives: Sequence[str], seed: int) -> Searcher:
        """A fresh searcher."""

    def run(self, searcher: Searcher, evaluations: int, batch: int = 8) -> list[str]:
        """Ask and tell until so many are measured; the ids in the order of the asks."""
        ids: list[str] = []
        while len(ids) < evaluations:
            archs = searcher.ask(min(batch, evaluations - len(ids)))
            searcher.tell(archs, values_of(searcher.space, archs, len(searcher.objectives)))
            ids += [arch.id for arch in archs]
        return ids

    def test_asks_exactly_n_new_architectures_of_the_space(self) -> None:
        space = large_space()
        searcher = self.make(space, TWO, 0)
        seen: set[Architecture] = set()
        for n in (1, 7, 16, 0, 3, 13):
            archs = searcher.ask(n)
            assert len(archs) == n == len(set(archs))
            assert all(arch in space for arch in archs)
            assert not seen & set(archs)
            seen |= set(archs)
            searcher.tell(archs, values_of(space, archs, 2))
        assert set(searcher.evaluated[0]) == seen

    def test_never_repeats_what_is_pending_or_was_told_unasked(self) -> None:
        space = small_space()
        searcher = self.make(space, TWO, 1)
        warm = space.sample(30, np.random.default_rng(5))
        searcher.tell(warm, values_of(space, warm, 2))
        asked = [arch for _ in range(4) for arch in searcher.ask(10)]  # nothing told in between
        assert len(set(asked)) == 40
        assert not set(asked) & set(warm)

    def test_exhausts_a_small_space_and_then_asks_nothing(self) -> None:
        space = small_space()
        searcher = self.make(space, TWO, 2)
        ids = []
        for _ in range(20):
            archs = searcher.ask(11)
            ids += [arch.id for arch in archs]
            if archs:
                searcher.tell(archs, values_of(space, archs, 2))
        assert sorted(ids) == sorted(arch.id for arch in space.enumerate())
        assert searcher.ask(5) == []

    @pytest.mark.parametrize("objectives", [ONE, TWO, THREE, FOUR])
    def test_front_is_the_non_dominated_set_of_any_number_of_objectives(self, objectives: tuple[str, ...]) -> None:
        searcher = self.make(large_space(), objectives, 3)
        self.run(searcher, self.evaluations)
        archs, values = searcher.evaluated
        sign = np.array([o.sign for o in searcher.objectives])
        expected = {a.id for a, v in zip(archs, values, strict=True) if not any(dominated(v, w, sign) for w in values)}
        found = set(searcher.front().to_frame()["arch_id"])
        assert found <= expected
        best = {a.id: tuple(v) for a, v in zip(archs, values, strict=True)}
        assert {best[i] for i in found} == {best[i] for i in expected}  # equal values are listed once

    def test_same_seed_same_asks_and_another_seed_others(self) -> None:
        one, two, other = (self.run(self.make(large_space(), TWO, seed), self.evaluations) for seed in (4, 4, 5))
        assert one == two
        assert one != other

    def test_resumes_bit_for_bit_through_json(self) -> None:
        space = large_space()
        steady, broken = self.make(space, TWO, 6), self.make(space, TWO, 6)
        for n in (5, 9, 12, 6, 8):
            expected, archs = steady.ask(n), broken.ask(n)
            assert archs == expected
            text = json.dumps(broken.state_dict(), allow_nan=False)  # stopped between ask and tell
            broken = self.make(space, TWO, 99)
            broken.load_state_dict(json.loads(text))
            values = values_of(space, archs, 2)
            values[0, 0] = np.nan
            steady.tell(archs, values)
            broken.tell(archs, values)
        assert broken.state_dict() == steady.state_dict()
        assert np.array_equal(broken.evaluated[1], steady.evaluated[1], equal_nan=True)

    def test_refuses_the_state_of_another_space(self) -> None:
        state = self.make(small_space(), TWO, 0).state_dict()
        with pytest.raises(HwsearchError):
            self.make(large_space(), TWO, 0).load_state_dict(state)

    def test_goes_on_after_failed_measurements(self) -> None:
        space = large_space()
        searcher = self.make(space, TWO, 7)
        failed: set[str] = set()
        for turn in range(4):
            archs = searcher.ask(self.evaluations // 4)
            values = values_of(space, archs, 2)
            values[:: 1 if turn == 0 else 3] = np.nan  # the whole first batch, then every third
            failed |= {arch.id for arch in archs[:: 1 if turn == 0 else 3]}
            searcher.tell(archs, values)
        assert len(searcher.ask(5)) == 5
        front = searcher.front().to_frame()
        assert len(front) and not failed & set(front["arch_id"])

    def test_takes_arrays_lists_and_frames_alike(self) -> None:
        space = large_space()
        states = []
        for form in range(3):
            searcher = self.make(space, TWO, 8)
            archs = searcher.ask(6)
            values = values_of(space, archs, 2)
            frame = pd.DataFrame(values, columns=[o.name for o in searcher.objectives])
            frame.insert(0, "arch_id", [arch.id for arch in archs])
            searcher.tell(archs, [values, values.tolist(), frame[::-1]][form])
            states.append(searcher.state_dict())
        assert states[0] == states[1] == states[2]

    def test_front_meets_the_limits_as_soon_as_one_architecture_does(self) -> None:
        space = large_space()
        middle = float(np.median(values_of(space, space.sample(200, np.random.default_rng(0)), 2)[:, 1]))
        searcher = self.make(space, ("max accuracy", f"latency_ms <= {middle:.6g}"), 9)
        self.run(searcher, self.evaluations)
        told = searcher.evaluated[1]
        assert (told[:, 1] <= float(f"{middle:.6g}")).any()
        assert (searcher.front().to_frame()["latency_ms"] <= float(f"{middle:.6g}")).all()

    def test_tell_does_not_change_its_inputs_and_refuses_wrong_shapes(self) -> None:
        space = large_space()
        searcher = self.make(space, TWO, 10)
        archs = searcher.ask(4)
        values = values_of(space, archs, 2)
        values[1, 1] = np.inf
        before = values.copy()
        searcher.tell(archs, values)
        assert np.array_equal(values, before)
        assert np.isnan(searcher.evaluated[1][1, 1])
        for wrong in (values[:3], values[:, :1], values[:, 0]):
            with pytest.raises(HwsearchError):
                searcher.tell(archs, wrong)

    @pytest.mark.parametrize("size", [1, 40])
    def test_asks_every_row_of_a_table_and_no_other(self, size: int) -> None:
        space = table_space(size)
        searcher = self.make(space, TWO, 11)
        asked: list[Architecture] = []
        for n in (1, 7, 64, 3):  # the third batch is larger than what is left
            archs = searcher.ask(n)
            asked += archs
            if archs:
                searcher.tell(archs, values_of(space, archs, 2))
        assert len(asked) == space.cardinality
        assert set(asked) == set(space.enumerate())

    def test_bears_failures_constants_and_repeated_tells(self) -> None:
        space, rng = large_space(), np.random.default_rng(12)
        searcher = self.make(space, TWO, 12)
        seen: set[Architecture] = set()
        for n in (7, 1, 20, 8):
            archs = searcher.ask(n)
            assert len(archs) == n and not seen & set(archs)
            seen |= set(archs)
            values = values_of(space, archs, 2)
            values[:, 1] = 5.0
            values[rng.random(n) < 0.3] = np.nan
            searcher.tell(archs, values)
            searcher.tell(archs[:2], values[:2])
        assert len(searcher.evaluated[0]) == len(seen)

    def test_resumes_at_any_moment_whatever_the_objectives(self) -> None:
        space, rng = table_space(60), np.random.default_rng(13)
        for objectives in (ONE, THREE):
            steady, broken = self.make(space, objectives, 14), self.make(space, objectives, 14)
            for n in (9, 1, 12, 5):
                archs = steady.ask(n)
                assert broken.ask(n) == archs
                values = values_of(space, archs, len(objectives))
                half = int(rng.integers(0, n + 1))
                for part in (slice(None, half), slice(half, None)):  # some told, stopped, the others told
                    steady.tell(archs[part], values[part])
                    broken.tell(archs[part], values[part])
                    text = json.dumps(broken.state_dict(), allow_nan=False)
                    broken = self.make(space, objectives, 0)
                    broken.load_state_dict(json.loads(text))
            assert broken.state_dict() == steady.state_dict()
