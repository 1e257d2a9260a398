"""A growing set of rows of indices: small in memory, with vectorised adding and finding."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hwsearch._typing import BoolArray, IntArray

#: 2^64 over the golden ratio: spreads keys over the high bits (Knuth, The Art of Computer Programming 3, 6.4)
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
#: the least number of slots of a table
_LEAST = 16
#: genes times the square of the largest entry, below which products with 32 bits are exact in floats
_EXACT = 1 << 20
#: how many rows are looked up at once, for the sake of memory
_BLOCK = 1 << 16


@lru_cache(maxsize=64)
def _factors(genes: int) -> IntArray:
    """Draw odd numbers (2, genes), the same in every run."""
    return np.random.default_rng(0x5EED).integers(-(2**62), 2**62, size=(2, genes)) | 1


def row_keys(rows: NDArray[np.signedinteger]) -> IntArray:
    """Hash rows to 64-bit keys.

    Parameters
    ----------
    rows : ndarray of signed int, shape (n, genes)
        Rows of any signed integer type.

    Returns
    -------
    ndarray of int, shape (n,)
        One key a row, the same in every run; two different rows share one with a probability of about 2^-64.
    """
    factors = _factors(rows.shape[1])
    top = max(-int(rows.min()), int(rows.max())) if rows.size else 0
    if rows.shape[1] * top**2 < _EXACT:
        return _keys_of_small(rows)
    rows = np.asarray(rows, dtype=np.int64)
    with np.errstate(over="ignore"):
        return np.asarray((rows @ factors[0]) ^ ((rows * rows) @ factors[1]), dtype=np.int64)


@lru_cache(maxsize=64)
def _halves(genes: int) -> NDArray[np.float64]:
    """Cut the factors into their lower and their upper 32 bits (2, genes, 2)."""
    factors = _factors(genes).view(np.uint64)
    return np.stack([factors & np.uint64(0xFFFFFFFF), factors >> np.uint64(32)], axis=2).astype(np.float64)


def _keys_of_small(rows: NDArray[np.signedinteger]) -> IntArray:
    """Hash rows of small numbers as `row_keys` does: by products of floats, which are faster, and exact below 2^53."""
    values = rows.astype(np.float64)
    one, two = _halves(rows.shape[1])
    a, b = (values @ one).astype(np.int64), (values**2 @ two).astype(np.int64)
    with np.errstate(over="ignore"):
        return np.asarray((a[:, 0] + (a[:, 1] << 32)) ^ (b[:, 0] + (b[:, 1] << 32)), dtype=np.int64)


def distinct(rows: IntArray) -> IntArray:
    """Drop repeated rows.

    Parameters
    ----------
    rows : ndarray of int, shape (n, genes)
        Rows.

    Returns
    -------
    ndarray of int, shape (at most n, genes)
        Each row once, in the order of their first occurrence.
    """
    return rows[_distinct(rows, row_keys(rows))[0]]


def with_room(array: NDArray, used: int, more: int) -> NDArray:
    """Get an array with room for more entries; amortised O(more).

    Parameters
    ----------
    array : ndarray
        The array so far.
    used : int
        How many of its entries along the first axis are in use.
    more : int
        How many entries are to follow.

    Returns
    -------
    ndarray
        `array` itself if it has room, else a longer copy of its first `used` entries; the rest is uninitialised.
    """
    if used + more <= len(array):
        return array
    longer = np.empty((max(used + more, len(array) * 3 // 2), *array.shape[1:]), dtype=array.dtype)
    longer[:used] = array[:used]
    return longer


def smallest_integer(top: int) -> np.dtype:
    """Get the smallest signed integer type that holds -1 and a number.

    Parameters
    ----------
    top : int
        The largest number to hold.

    Returns
    -------
    numpy.dtype
        int8, int16, int32 or int64.
    """
    return next(np.dtype(t) for t in (np.int8, np.int16, np.int32, np.int64) if top <= np.iinfo(t).max)


def blocks(rows: NDArray) -> list[NDArray]:
    """Cut rows into blocks that bound the memory of vectorised work.

    Parameters
    ----------
    rows : ndarray, shape (n, ...)
        Rows.

    Returns
    -------
    list of ndarray
        Views of at most 65,536 rows each, at least one.
    """
    return [rows[k : k + _BLOCK] for k in range(0, max(len(rows), 1), _BLOCK)]


def unique_rows(rows: IntArray) -> IntArray:
    """Drop repeated rows and sort the others, as ``np.unique(rows, axis=0)`` does, in a fifth of its time.

    Parameters
    ----------
    rows : ndarray of int, shape (n, genes)
        Rows.

    Returns
    -------
    ndarray of int, shape (at most n, genes)
        Each row once, in lexicographic order.

    Examples
    --------
    >>> unique_rows(np.array([[1, 0], [0, 2], [1, 0]])).tolist()
    [[0, 2], [1, 0]]
    """
    ordered = rows[np.lexsort(rows.T[::-1])]
    new = np.ones(len(ordered), dtype=bool)
    new[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    return ordered[new]


class RowSet:
    """Distinct rows (n, genes), such as a space's canonical index arrays, in the order in which they were added.

    Rows are kept in the smallest integers that hold them. They are found by a hash table with open addressing on
    64-bit keys, and compared on a hit. Adding and finding are O(1) a row and vectorised. Memory: a byte a gene where
    genes have up to 128 values, and 16 to 32 bytes a row.

    Parameters
    ----------
    sizes : ndarray of int, shape (genes,)
        How many values each gene has; entries of rows are -1 .. size - 1.

    Examples
    --------
    >>> import numpy as np
    >>> from hwsearch.spaces.rows import RowSet
    >>> kept = RowSet(np.array([3, 2]))
    >>> kept.add(np.array([[0, 1], [2, -1], [0, 1]]))
    array([0, 1, 0])
    >>> kept.has(np.array([[2, -1], [1, 1]]))
    array([ True, False])
    """

    def __init__(self, sizes: IntArray) -> None:
        self._rows = np.empty((0, len(sizes)), dtype=smallest_integer(int(np.max(sizes)) - 1))
        self._keys = np.empty(0, dtype=np.int64)
        self._live = np.empty(0, dtype=bool)
        self._slots = np.full(_LEAST, -1, dtype=np.int64)
        self._count = 0  # rows, dead ones included
        self._dead = 0

    def __len__(self) -> int:
        return self._count - self._dead

    @property
    def dtype(self) -> np.dtype:
        """The integer type in which the rows are kept."""
        return self._rows.dtype

    @property
    def rows(self) -> NDArray[np.signedinteger]:
        """The rows, shape ``(n, genes)``, in the order of adding, of type `dtype`; a read-only view."""
        if self._dead:
            self._pack()
        view = self._rows[: self._count]
        view.flags.writeable = False
        return view

    def find(self, rows: IntArray) -> IntArray:
        """Find rows.

        Parameters
        ----------
        rows : ndarray of int, shape (n, genes)
            Rows to look up.

        Returns
        -------
        ndarray of int, shape (n,)
            Their positions in the set's `rows`, -1 where the set does not have one.
        """
        if self._dead:
            self._pack()
        return np.concatenate([self._find(part, row_keys(part)) for part in blocks(rows)])

    def has(self, rows: IntArray) -> BoolArray:
        """Tell which rows the set has.

        Parameters
        ----------
        rows : ndarray of int, shape (n, genes)
            Rows to look up.

        Returns
        -------
        ndarray of bool, shape (n,)
            True where the set has the row.
        """
        return np.concatenate([self._find(part, row_keys(part)) for part in blocks(rows)]) >= 0

    def add(self, rows: IntArray) -> IntArray:
        """Add the rows that the set does not have.

        Parameters
        ----------
        rows : ndarray of int, shape (n, genes)
            Rows to add.

        Returns
        -------
        ndarray of int, shape (n,)
            The position of every row; equal rows have one position.
        """
        if self._dead:
            self._pack()
        if len(rows) > _BLOCK:
            return np.concatenate([self.add(part) for part in blocks(rows)])
        keys = row_keys(rows)
        found = self._find(rows, keys)
        new = np.flatnonzero(found < 0)
        if not len(new):
            return found
        first, inverse = _distinct(rows[new], keys[new])
        found[new] = self._count + inverse
        self._append(rows[new[first]], keys[new[first]])
        return found

    def discard(self, rows: IntArray) -> None:
        """Remove the rows that the set has; the positions of the others change.

        Parameters
        ----------
        rows : ndarray of int, shape (n, genes)
            Rows to remove; those that the set does not have are ignored.
        """
        found = np.concatenate([self._find(part, row_keys(part)) for part in blocks(rows)])
        self._live[found[found >= 0]] = False
        self._dead = self._count - int(np.count_nonzero(self._live[: self._count]))
        if 2 * self._dead > self._count:
            self._pack()

    # ------------------------------------------------------------------ the table
    def _home(self, keys: IntArray) -> IntArray:
        """Find where in the table the search for a key begins: its mixed high bits."""
        shift = np.uint64(64 - (len(self._slots).bit_length() - 1))
        with np.errstate(over="ignore"):
            return np.asarray(((keys.view(np.uint64) * _GOLDEN) >> shift).astype(np.int64))

    def _find(self, rows: IntArray, keys: IntArray) -> IntArray:
        found = np.full(len(rows), -1, dtype=np.int64)
        left, slot, mask = np.arange(len(rows)), self._home(keys), len(self._slots) - 1
        while len(left):
            at = self._slots[slot]
            taken = at >= 0
            left, slot, at = left[taken], slot[taken], at[taken]
            same = (self._keys[at] == keys[left]) & self._live[at]
            same[same] = (self._rows[at[same]] == rows[left[same]]).all(axis=1)
            found[left[same]] = at[same]
            left, slot = left[~same], (slot[~same] + 1) & mask
        return found

    def _append(self, rows: NDArray[np.signedinteger], keys: IntArray) -> None:
        """Add rows that are distinct and not there."""
        count, more = self._count, len(rows)
        self._rows = with_room(self._rows, count, more)
        self._keys = with_room(self._keys, count, more)
        self._live = with_room(self._live, count, more)
        self._rows[count : count + more] = rows
        self._keys[count : count + more] = keys
        self._live[count : count + more] = True
        self._count += more
        if 2 * self._count > len(self._slots):
            self._slots = np.full(1 << (2 * self._count - 1).bit_length(), -1, dtype=np.int64)
            self._place(np.arange(self._count))
        else:
            self._place(np.arange(count, self._count))

    def _place(self, positions: IntArray) -> None:
        slot, mask = self._home(self._keys[positions]), len(self._slots) - 1
        while len(positions):
            free = self._slots[slot] < 0
            self._slots[slot[free]] = positions[free]  # where two want one slot, one of them has it then
            outside = self._slots[slot] != positions
            positions, slot = positions[outside], (slot[outside] + 1) & mask

    def _pack(self) -> None:
        """Drop the rows that were discarded and build the hash table anew."""
        live = self._live[: self._count]
        rows, keys = self._rows[: self._count][live], self._keys[: self._count][live]
        self._count = self._dead = 0
        self._slots = np.full(_LEAST, -1, dtype=np.int64)
        self._rows, self._keys, self._live = self._rows[:0], self._keys[:0], self._live[:0]
        self._append(rows, keys)


def _distinct(rows: IntArray, keys: IntArray) -> tuple[IntArray, IntArray]:
    """Find where each distinct row (n, genes) is first, in ascending order, and which of these each row equals (n,)."""
    place, found = pd.factorize(keys)  # numbers in the order of appearance
    first = np.empty(len(found), dtype=np.int64)
    first[place[::-1]] = np.arange(len(rows))[::-1]
    if (rows == rows[first[place]]).all():
        return first, place
    _, first, place = np.unique(rows, axis=0, return_index=True, return_inverse=True)  # two rows share a key
    order = np.argsort(first)
    return first[order], np.argsort(order)[place.reshape(-1)]
