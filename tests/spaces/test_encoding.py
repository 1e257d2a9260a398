"""Features: one-hot and ordinal, as their names say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from hwsearch.spaces import SearchSpace
from tests.spaces.strategies import spaces


@settings(deadline=None)
@given(spaces())
@pytest.mark.parametrize("encoding", ["onehot", "ordinal"])
def test_encodings_tell_all_architectures_apart(encoding: str, space: SearchSpace) -> None:
    archs = list(space.enumerate())
    features = space.encode(archs, encoding)
    assert features.shape == (len(archs), len(space.feature_names(encoding)))
    assert len(np.unique(features, axis=0)) == len(archs)
    assert features.min() >= 0 and features.max() <= 1


@settings(deadline=None)
@given(spaces())
def test_onehot_columns_mean_what_their_names_say(space: SearchSpace) -> None:
    archs = list(space.enumerate())
    names = space.feature_names("onehot")
    for arch, row in zip(archs, space.encode(archs), strict=True):
        assert {n for n, v in zip(names, row, strict=True) if v} == {f"{k}={v}" for k, v in arch.items()}


@settings(deadline=None)
@given(spaces())
def test_ordinal_columns_grow_with_the_value(space: SearchSpace) -> None:
    archs = list(space.enumerate())
    for arch, row in zip(archs, space.encode(archs, "ordinal"), strict=True):
        for choice, x in zip(space.choices, row, strict=True):
            assert x == (
                (choice.values.index(arch[choice.name]) + 1) / len(choice.values) if choice.name in arch else 0
            )
