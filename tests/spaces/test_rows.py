"""The set of rows against a dict of tuples; keys that collide on purpose."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hwsearch.spaces import rows as module
from hwsearch.spaces.rows import RowSet, _factors, row_keys

SIZES = np.array([3, 2, 4])
ROW = st.tuples(st.integers(-1, 2), st.integers(-1, 1), st.integers(-1, 3))
STEP = st.tuples(st.sampled_from(["add", "discard", "find"]), st.lists(ROW, max_size=12))


def array(rows: list[tuple[int, ...]]) -> NDArray[np.int64]:
    return np.array(rows, dtype=np.int64).reshape(-1, len(SIZES))


def check(steps: list[tuple[str, list[tuple[int, ...]]]]) -> None:
    ours, plain = RowSet(SIZES), dict[tuple[int, ...], None]()
    for what, rows in steps:
        if what == "add":
            positions = ours.add(array(rows))
            plain.update(dict.fromkeys(rows))
            assert positions.tolist() == [[*plain].index(row) for row in rows]
        elif what == "discard":
            ours.discard(array(rows))
            for row in rows:
                plain.pop(row, None)
        else:
            assert ours.has(array(rows)).tolist() == [row in plain for row in rows]
            assert ours.find(array(rows)).tolist() == [[*plain].index(r) if r in plain else -1 for r in rows]
        assert len(ours) == len(plain)
    assert ours.rows.tolist() == [list(row) for row in plain]


@settings(deadline=None)
@given(st.lists(STEP, max_size=30))
def test_it_is_an_ordered_set(steps: list[tuple[str, list[tuple[int, ...]]]]) -> None:
    check(steps)


@settings(max_examples=40, deadline=None)
@given(st.lists(STEP, max_size=15), st.integers(1, 4))
def test_rows_that_share_a_key_are_told_apart(steps: list[tuple[str, list[tuple[int, ...]]]], keys: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "row_keys", lambda rows: np.asarray(rows.sum(axis=1) % keys, dtype=np.int64))
        check(steps)


def test_many_rows_at_once_and_in_parts_are_the_same() -> None:
    rng = np.random.default_rng(0)
    sizes = np.full(10, 4)
    rows = rng.integers(-1, 4, size=(150_000, 10))
    rows[70_000:80_000] = rows[:10_000]
    once, parts = RowSet(sizes), RowSet(sizes)
    positions = once.add(rows)
    assert np.array_equal(positions, np.concatenate([parts.add(rows[k : k + 777]) for k in range(0, len(rows), 777)]))
    assert len(once) == len(np.unique(rows, axis=0))
    assert np.array_equal(once.rows[positions], rows) and np.array_equal(once.rows, parts.rows)
    fresh = rng.integers(-1, 4, size=(1000, 10))
    known = set(map(tuple, rows.tolist()))
    assert once.has(fresh).tolist() == [tuple(row) in known for row in fresh.tolist()]


@pytest.mark.parametrize(("size", "dtype"), [(2, "int8"), (128, "int8"), (129, "int16"), (70_000, "int32")])
def test_rows_are_kept_in_the_smallest_integers_and_do_not_wrap(size: int, dtype: str) -> None:
    rows = np.array([[-1, 0], [size - 1, 1], [0, 0]])
    kept = RowSet(np.array([size, 2]))
    kept.add(rows)
    assert kept.rows.dtype == dtype and kept.rows.tolist() == rows.tolist()
    wrapped = rows + [[2 ** (8 * kept.dtype.itemsize), 0]] * 3
    assert not kept.has(wrapped).any()
    assert np.array_equal(row_keys(kept.rows), row_keys(rows))


def test_the_rows_shown_cannot_be_changed_and_do_not_change() -> None:
    kept = RowSet(SIZES)
    kept.add(array([(0, 0, 0), (1, 1, 1)]))
    shown = kept.rows
    with pytest.raises(ValueError, match="read-only"):
        shown[0, 0] = 2
    kept.add(array([(2, 1, 3)] + [(i % 3, i % 2, i % 4) for i in range(12)]))
    assert shown.tolist() == [[0, 0, 0], [1, 1, 1]]


@pytest.mark.parametrize("genes", [1, 7, 45, 400])
@pytest.mark.parametrize("top", [3, 100, 1 << 12, 1 << 40])
def test_keys_are_the_same_whether_by_integers_or_by_floats(genes, top) -> None:
    """Small numbers are hashed another way than large ones; the formula is written out here."""
    rows = np.random.default_rng(genes).integers(-1, top, size=(200, genes))
    one, two = _factors(genes)
    with np.errstate(over="ignore"):
        expected = (rows @ one) ^ ((rows * rows) @ two)
    assert (row_keys(rows) == expected).all()
    for small in (np.int8, np.int16):
        if top <= np.iinfo(small).max:
            assert (row_keys(rows.astype(small)) == expected).all()
