"""What was told, against a dict; views that do not change; arrays through JSON."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hwsearch.searchers.archive import Archive, packed, unpacked

SIZES = np.array([3, 4])
ENTRY = st.tuples(st.tuples(st.integers(0, 2), st.integers(-1, 3)), st.tuples(st.floats(), st.floats()))


@settings(deadline=None)
@given(st.lists(st.lists(ENTRY, min_size=1, max_size=6), max_size=12))
def test_it_is_a_dict_and_what_it_showed_stays(calls: list) -> None:
    ours, plain = Archive(SIZES, 2), dict[tuple[int, int], tuple[float, float]]()
    shown: list[tuple[NDArray, NDArray]] = []
    for call in calls:
        plain.update(call)  # the later of equal keys, as a dict has it
        values = np.array([v for _, v in call])
        positions = ours.put(np.array([row for row, _ in call]), values, -values)
        assert positions.tolist() == [[*plain].index(row) for row, _ in call]
        for view, copy in shown:
            assert np.array_equal(view, copy, equal_nan=True)
        for view in (ours.values, ours.noise, ours.rows):
            shown.append((view, view.copy()))
        assert ours.rows.tolist() == [list(row) for row in plain]
        assert np.array_equal(ours.values, np.array([*plain.values()]), equal_nan=True)
        assert np.array_equal(ours.noise, -ours.values, equal_nan=True)
    assert len(ours) == len(plain)


def test_views_are_read_only_and_cost_no_copy() -> None:
    archive = Archive(SIZES, 1)
    archive.put(np.array([[0, 0], [1, 2]]), np.ones((2, 1)), np.ones((2, 1)))
    for name in ("rows", "values", "noise", "compact_rows"):
        view = getattr(archive, name)
        assert np.shares_memory(view, getattr(archive, name))
        with pytest.raises(ValueError, match="read-only"):
            view[0] = 0
    assert archive.rows.dtype == np.int64 and archive.compact_rows.dtype == np.int8
    taken = archive.rows_at([1])
    assert taken.dtype == np.int64 and taken.tolist() == [[1, 2]]


@pytest.mark.parametrize("dtype", ["int8", "int64", "float64"])
@pytest.mark.parametrize("shape", [(0, 3), (4, 2)])
def test_arrays_pass_through_json_bit_for_bit(dtype: str, shape: tuple[int, int]) -> None:
    array = (np.random.default_rng(0).normal(size=shape) * 100).astype(dtype)
    if dtype == "float64" and array.size:
        array[0] = [np.nan, -0.0]
    again = unpacked(json.loads(json.dumps(packed(array), allow_nan=False)))
    assert again.dtype == array.dtype and again.shape == array.shape and again.tobytes() == array.tobytes()


@pytest.mark.parametrize(
    "wrong", [{}, {"dtype": "O"}, {"dtype": "<f8", "shape": [3], "data": "AAAA"}, {"dtype": "<f8", "data": "?"}, []]
)
def test_what_is_no_packed_array_is_refused(wrong: dict) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        unpacked(wrong)
