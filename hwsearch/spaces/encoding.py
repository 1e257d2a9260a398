"""Architectures as feature vectors for predictors."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from hwsearch._typing import FloatArray, IntArray
from hwsearch.errors import SpaceError, nearest
from hwsearch.spaces.architecture import Architecture
from hwsearch.spaces.indexed import IndexedSpace

ENCODINGS = ("onehot", "ordinal")
#: an ordinal gene with at least so many values, all floats, is a range
RANGE = 8


class EncodingMixin(IndexedSpace):
    """One-hot and ordinal features of architectures; inactive genes are zero in both."""

    @cached_property
    def columns(self) -> tuple[IntArray, IntArray]:
        """Gene and value index of each column of the one-hot encoding, two arrays of shape ``(columns,)``."""
        return (
            np.repeat(np.arange(len(self.sizes)), self.sizes),
            np.concatenate([np.arange(size) for size in self.sizes]),
        )

    @cached_property
    def ranges(self) -> IntArray:
        """Columns of the genes that are ranges of numbers: ordinal, of at least `RANGE` values, all of type float."""
        return np.array(
            [
                i
                for i, c in enumerate(self.choices)
                if c.ordinal and len(c.values) >= RANGE and all(isinstance(v, float) for v in c.values)
            ],
            dtype=np.int64,
        )

    def range_places(self, rows: IntArray) -> FloatArray:
        """Compute where the values of `ranges` lie in them, for models that are to be smooth in these.

        Parameters
        ----------
        rows : ndarray of int, shape (n, genes)
            Canonical rows.

        Returns
        -------
        ndarray of float, shape (n, ranges)
            0 at the first value, 1 at the last; a half where the gene is inactive.

        Examples
        --------
        >>> from hwsearch.spaces import Choice, SearchSpace
        >>> space = SearchSpace("toy", [Choice("layers", (1, 2)), Choice.between("lr", 1e-4, 1.0, 9, log=True)])
        >>> space.range_places(space.to_array([space.smallest()])).tolist()
        [[0.0]]
        """
        some = rows[:, self.ranges]
        return np.where(some >= 0, some / (self.sizes[self.ranges] - 1), 0.5)

    def feature_names(self, encoding: str = "onehot") -> list[str]:
        """Name the columns of `encode`.

        Parameters
        ----------
        encoding : {"onehot", "ordinal"}
            The encoding.

        Returns
        -------
        list of str
            ``gene=value`` a column (one-hot), or the genes' names (ordinal).

        Raises
        ------
        SpaceError
            If the encoding is not one of these.

        Examples
        --------
        >>> from hwsearch.spaces import Choice, SearchSpace
        >>> SearchSpace("toy", [Choice("depth", (1, 2)), Choice("width", (8, 16))]).feature_names()
        ['depth=1', 'depth=2', 'width=8', 'width=16']
        """
        if encoding == "ordinal":
            return list(self.names)
        if encoding == "onehot":
            return [f"{c.name}={v}" for c in self.choices for v in c.values]
        raise SpaceError(f"unknown encoding {encoding!r}.", hint=nearest(encoding, ENCODINGS))

    def encode_array(self, rows: IntArray, encoding: str = "onehot") -> FloatArray:
        """Encode rows as features in [0, 1].

        Parameters
        ----------
        rows : ndarray of int, shape (n, genes)
            Value indices; inactive genes may hold anything.
        encoding : {"onehot", "ordinal"}
            One column a value, or one column a gene with (index + 1) / number of values.

        Returns
        -------
        ndarray of float, shape (n, columns)
            The features; inactive genes are zero.

        Raises
        ------
        SpaceError
            If the encoding is not one of these.
        """
        rows = self.canonical(rows)
        if encoding == "ordinal":
            return (rows + 1) / self.sizes
        self.feature_names(encoding)  # raises the error that names an unknown one
        gene, value = self.columns
        return (rows[:, gene] == value).astype(np.float64)

    def encode(self, archs: Sequence[Architecture], encoding: str = "onehot") -> FloatArray:
        """Encode architectures as features in [0, 1]; see `encode_array`.

        Parameters
        ----------
        archs : sequence of Architecture
            Architectures of this space.
        encoding : {"onehot", "ordinal"}
            The encoding.

        Returns
        -------
        ndarray of float, shape (n, columns)
            The features; columns as in `feature_names`.
        """
        return self.encode_array(self.to_array(archs), encoding)
