"""Spaces and their architectures survive JSON."""

from __future__ import annotations

import json

from hypothesis import given, settings

from hwsearch.spaces import SearchSpace, from_json
from tests.spaces.strategies import spaces


@settings(deadline=None)
@given(spaces())
def test_a_space_survives_json(space: SearchSpace) -> None:
    again = from_json(space.to_json())
    assert again == space and hash(again) == hash(space)
    assert again.cardinality == space.cardinality
    assert list(again.enumerate()) == list(space.enumerate())


@settings(deadline=None)
@given(spaces())
def test_architectures_survive_json(space: SearchSpace) -> None:
    for arch in space.enumerate():
        again = space.architecture(json.loads(json.dumps(arch.to_dict())))
        assert again == arch and again.id == arch.id and hash(again) == hash(arch)
