"""Keep what a searcher was told, in growing arrays."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hwsearch._json import JsonObject
from hwsearch._typing import BoolArray, FloatArray, IntArray
from hwsearch.spaces.rows import RowSet, with_room


class Archive:
    """Distinct rows (n, genes) with a row of values (n, m) and of their noise (n, m) each; amortised O(1) a row.

    `rows`, `values` and `noise` are read-only views that cost nothing and do not change, whatever is put later.
    Memory, for genes of up to 128 values: a byte a gene and 40 + 16 m bytes a row; 8 bytes a gene more once `rows` is used.

    Parameters
    ----------
    sizes : ndarray (genes,)
        How many values each gene has.
    columns : int
        Number m of objectives.

    Examples
    --------
    >>> archive = Archive(np.array([3, 2]), 1)
    >>> archive.put(np.array([[0, 1], [2, 0]]), np.array([[70.0], [60.0]]), np.full((2, 1), np.nan)).tolist()
    [0, 1]
    >>> archive.find(np.array([[2, 0], [1, 1]])).tolist()
    [1, -1]
    """

    def __init__(self, sizes: IntArray, columns: int) -> None:
        self._set = RowSet(sizes)
        self._wide = np.empty((0, len(sizes)), dtype=np.int64)
        self._widened = 0
        self._values, self._noise = _Floats(columns), _Floats(columns)

    def __len__(self) -> int:
        return len(self._set)

    def has(self, rows: IntArray) -> BoolArray:
        """Tell which rows are there.

        Parameters
        ----------
        rows : ndarray (n, genes)
            Canonical rows.

        Returns
        -------
        ndarray of bool (n,)
        """
        return self._set.has(rows)

    def find(self, rows: IntArray) -> IntArray:
        """Find the positions of rows.

        Parameters
        ----------
        rows : ndarray (n, genes)
            Canonical rows.

        Returns
        -------
        ndarray of int (n,)
            Positions in `rows`, `values` and `noise`; -1 for rows that are not there.
        """
        return self._set.find(rows)

    def put(self, rows: IntArray, values: FloatArray, noise: FloatArray) -> IntArray:
        """Add rows, or replace what was put for them; of equal rows the last one's values stay.

        Parameters
        ----------
        rows : ndarray (n, genes)
            Canonical rows.
        values, noise : ndarray (n, m)
            NaN where unknown.

        Returns
        -------
        ndarray of int (n,)
            The rows' positions.
        """
        positions = self._set.add(rows)
        self._values.put(positions, values, len(self._set))
        self._noise.put(positions, noise, len(self._set))
        return positions

    @property
    def compact_rows(self) -> NDArray[np.signedinteger]:
        """All rows (n, genes) as in `rows`, in the smallest integers that hold them."""
        return self._set.rows

    @property
    def rows(self) -> IntArray:
        """All rows (n, genes), in the order in which they were first put, as 64-bit integers."""
        if self._widened < len(self):
            self._wide = with_room(self._wide, self._widened, len(self) - self._widened)
            self._wide[self._widened : len(self)] = self._set.rows[self._widened :]
            self._widened = len(self)
        return _shown(self._wide[: self._widened])

    def rows_at(self, positions: Sequence[int] | IntArray | slice) -> IntArray:
        """Copy some of the rows.

        Parameters
        ----------
        positions : array-like of int (k,) or slice
            Positions in `rows`.

        Returns
        -------
        ndarray (k, genes)
        """
        return self._set.rows[positions].astype(np.int64)

    @property
    def values(self) -> FloatArray:
        """Values (n, m), in the order of the rows; NaN where a measurement failed."""
        return self._values.shown

    @property
    def noise(self) -> FloatArray:
        """Standard deviations of the values (n, m), in their units; NaN where unknown."""
        return self._noise.shown


class _Floats:
    """A growing array (n, columns) whose views stay as they are."""

    def __init__(self, columns: int) -> None:
        self._data = np.empty((0, columns))
        self._count = 0
        self._seen = False  # whether there may be a view of the data

    @property
    def shown(self) -> FloatArray:
        self._seen = True
        return _shown(self._data[: self._count])

    def put(self, positions: IntArray, block: FloatArray, count: int) -> None:
        """Set the rows at `positions`, the new ones included; there are `count` then."""
        room = with_room(self._data, self._count, count - self._count)
        if room is self._data and self._seen and (positions < self._count).any():
            room = room.copy()
        self._seen &= room is self._data
        self._data, self._count = room, count
        self._data[positions] = block


def _shown(view: NDArray) -> NDArray:
    view.flags.writeable = False
    return view


# ---------------------------------------------------------------------- arrays in JSON
def packed(array: NDArray) -> JsonObject:
    """Write a number array as JSON-able data, exact to the bit.

    Parameters
    ----------
    array : ndarray
        Of any shape.

    Returns
    -------
    dict
        ``dtype``, ``shape``, and ``data`` in base64.

    Examples
    --------
    >>> unpacked(packed(np.array([[0.1, 0.2]]))).tolist()
    [[0.1, 0.2]]
    """
    data = base64.b64encode(array.tobytes()).decode()
    return {"dtype": array.dtype.str, "shape": list(array.shape), "data": data}


def unpacked(data: JsonObject) -> NDArray:
    """Read the array that `packed` was given.

    Parameters
    ----------
    data : mapping
        What `packed` returned.

    Returns
    -------
    ndarray
        Equal to the original, and read-only.

    Raises
    ------
    KeyError, TypeError, ValueError
        For anything else.
    """
    dtype = np.dtype(data["dtype"])
    if dtype.kind not in "if":
        raise ValueError(f"{dtype} is not a number type.")
    return np.frombuffer(base64.b64decode(data["data"], validate=True), dtype=dtype).reshape(data["shape"])
