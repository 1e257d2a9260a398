"""Samplers: the sandwich's roles and scales, and one sampler after another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace

import numpy as np
from pydantic import PrivateAttr
from typing_extensions import override

from hwsearch.training.parts.feedback import Seen
from hwsearch.training.parts.moment import Moment
from hwsearch.training.parts.sampler import After, OneSampler, SandwichSampler, UniformSampler
from hwsearch.training.strategies.uniform import Uniform

Start = Callable[..., SimpleNamespace]


class Counts(UniformSampler):
    """Counts its updates."""

    _updates: int = PrivateAttr(0)

    @override
    def update(self, seen: Sequence[Seen]) -> None:
        self._updates += 1

    @override
    def state_dict(self) -> dict[str, int]:
        return {"updates": self._updates}


def moment(step: int, **values: float) -> Moment:
    return Moment(step, 100, 10, 0.1, values=values)


def test_a_sandwich_teaches_from_the_largest_and_scales_the_others(start: Start) -> None:
    run = start(Uniform()).run
    sampler = SandwichSampler(random=2, weight=0.5, factor="epsilon")
    sampler.prepare(run)
    draws = sampler.sample(moment(0, epsilon=0.25), np.random.default_rng(3))
    assert [d.role for d in draws] == ["teacher"] + 3 * ["student"]
    assert [d.scale for d in draws] == [1.0] + 3 * [0.125]
    assert draws[0].arch == run.space.largest() and draws[1].arch == run.space.smallest()
    expected = run.space.sample(2, np.random.default_rng(3), distinct=False)
    assert [d.arch for d in draws[2:]] == expected


def test_one_sampler_follows_another_and_only_the_current_one_learns(start: Start) -> None:
    run = start(Uniform()).run
    sampler = After(share=0.3, before=OneSampler(which="smallest"), then=Counts(draws=3))
    sampler.prepare(run)
    rng = np.random.default_rng(0)
    for step, count in ((0, 1), (29, 1), (30, 3), (99, 3)):
        assert len(sampler.sample(moment(step), rng)) == count
        sampler.update([])
    assert sampler.state_dict() == {"then": {"updates": 2}}
