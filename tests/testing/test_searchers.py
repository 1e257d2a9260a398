"""The suite of tactics passes for a sound one, and each fault of a tactic fails the promise that it breaks."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from hwsearch.errors import HwsearchError
from hwsearch.searchers import Searcher
from hwsearch.searchers.capabilities import Capabilities
from hwsearch.searchers.random import RandomSearcher
from hwsearch.spaces import Architecture, SearchSpace
from hwsearch.testing import SearcherConformance
from hwsearch.testing.searchers import state_of
from hwsearch.testing.toy_spaces import TWO, large_space


def suite(cls: type[Searcher]) -> SearcherConformance:
    class Suite(SearcherConformance):
        evaluations = 16

        def make(self, space: SearchSpace, objectives: Sequence[str], seed: int) -> Searcher:
            return cls(space, objectives, seed)

    return Suite()


class Shy(RandomSearcher):
    """Gives one less than it is asked for."""

    def ask(self, n: int) -> list[Architecture]:
        return super().ask(n)[: max(n - 1, 0)]


class Repeats(RandomSearcher):
    """Forgets what it has asked."""

    def ask(self, n: int) -> list[Architecture]:
        found = super().ask(n)
        self._pending = type(self._pending)(self.space.sizes)
        return found


class Same(RandomSearcher):
    """Has one seed for all."""

    def __init__(self, space: SearchSpace, objectives: Any, seed: int = 0, **options: Any) -> None:
        super().__init__(space, objectives, 0, **options)


class Unseeded(RandomSearcher):
    """Draws from the clock."""

    def _propose(self, n: int) -> Any:
        return self.space.sample_array(n, np.random.default_rng())


class Forgetful(RandomSearcher):
    """Begins its randomness anew after a resume."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)
        self.rng = np.random.default_rng(7)


class Optimist(RandomSearcher):
    """Takes failures for zeros."""

    def tell(self, archs: Any, values: Any, noise: Any = None) -> None:
        super().tell(archs, np.nan_to_num(np.array(values, dtype=float)), noise)


class Spoils(RandomSearcher):
    """Changes what it is told."""

    def tell(self, archs: Any, values: Any, noise: Any = None) -> None:
        super().tell(archs, values, noise)
        if isinstance(values, np.ndarray):
            values[:] = 0.0


class Stubborn(RandomSearcher):
    """Keeps the first of what is told twice."""

    def tell(self, archs: Any, values: Any, noise: Any = None) -> None:
        known = set(self.evaluated[0])
        new = [i for i, a in enumerate(archs) if a not in known]
        super().tell([archs[i] for i in new], [values[i] for i in new], noise)


class Silent(RandomSearcher):
    """Loses the noise."""

    def tell_array(self, rows: Any, values: Any, noise: Any = None) -> None:
        super().tell_array(rows, values)


class Boastful(RandomSearcher):
    """Names an option that it does not have."""

    capabilities = Capabilities(cost=True, warm_start=True)


class Breaks(RandomSearcher):
    """Cannot go on where nothing was measured."""

    def _propose(self, n: int) -> Any:
        if len(self.values) and np.isnan(self.values).all():
            raise ZeroDivisionError
        return super()._propose(n)


PROMISES = {name: f for name, f in vars(SearcherConformance).items() if name.startswith("test_")}
ALONE = [name for name, f in PROMISES.items() if len(inspect.signature(f).parameters) == 1]


@pytest.mark.parametrize("name", ALONE)
def test_a_sound_tactic_passes(name: str) -> None:
    getattr(suite(RandomSearcher), name)()


@pytest.mark.parametrize(
    ("cls", "promise"),
    [
        (Shy, "test_asks_exactly_n_new_architectures_of_the_space"),
        (Repeats, "test_never_repeats_what_is_pending_or_was_told_unasked"),
        (Same, "test_same_seed_same_asks_and_another_seed_others"),
        (Unseeded, "test_same_seed_same_asks_and_another_seed_others"),
        (Forgetful, "test_resumes_bit_for_bit_through_json"),
        (Forgetful, "test_resumes_at_any_moment_whatever_the_objectives"),
        (Optimist, "test_goes_on_after_failed_measurements"),
        (Spoils, "test_tell_does_not_change_its_inputs_and_refuses_wrong_shapes"),
        (Stubborn, "test_of_what_is_told_twice_the_later_stays"),
        (Silent, "test_arrays_say_the_same_as_architectures_and_noise_is_kept"),
        (Boastful, "test_takes_the_options_that_its_capabilities_name"),
        (Breaks, "test_goes_on_when_every_measurement_fails"),
    ],
)
def test_a_fault_breaks_its_promise(cls: type[Searcher], promise: str) -> None:
    with pytest.raises((AssertionError, HwsearchError, ZeroDivisionError, IndexError)):
        getattr(suite(cls), promise)()


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ([1], "_extra_state must return a dict"),
        ({"seen": {1, 2}}, r"_extra_state\(\)\['seen'\] is set and cannot be written as JSON"),
        ({"best": float("nan")}, r"_extra_state\(\)\['best'\] is float and cannot be written as JSON"),
    ],
)
def test_a_state_that_is_no_json_is_named(extra: Any, words: str) -> None:
    class Mine(RandomSearcher):
        def _extra_state(self) -> Any:
            return extra

    with pytest.raises((AssertionError, pytest.fail.Exception), match=words):
        state_of(Mine(large_space(), TWO))
