"""Draws from a chain."""

from __future__ import annotations

import numpy as np

from hwsearch.training.strategies.sorted_net import SortedNet


def test_a_chain_is_drawn_from_its_members(start) -> None:
    case = start(SortedNet(length=4, draws=200))
    draws = case.recipe.sampler.sample(case.recipe.schedule.at(0), np.random.default_rng(0))
    assert {d.arch for d in draws} == set(case.run.space.chain(4, case.net.macs_array))
    assert {d.name for d in draws} == {f"chain-{k}" for k in range(4)}
