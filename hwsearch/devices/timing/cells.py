"""A table of which most places are empty, kept as its filled cells: rows are processes or periods, columns candidates."""

from __future__ import annotations

from typing import NamedTuple, Self

import numpy as np

from hwsearch._typing import BoolArray, FloatArray, IntArray

#: rounds in which shifts of rows and means of columns improve each other
ROUNDS = 5
#: places of a table up to which it is filled for a product of matrices
FEW = 1 << 18
#: rows up to which these are multiplied, whatever the columns
SIDE = 512


class Cells(NamedTuple):
    """The filled cells of a table, row by row, and within a row by column.

    Attributes
    ----------
    row, column : numpy.ndarray
        Shape (cells,): where each is.
    value : numpy.ndarray
        Shape (cells,).
    shape : tuple of int
        Rows and columns of the table.
    """

    row: IntArray
    column: IntArray
    value: FloatArray
    shape: tuple[int, int]

    @classmethod
    def of(cls, table: FloatArray) -> Self:
        """Take the places of a table that are not NaN.

        Parameters
        ----------
        table : numpy.ndarray
            Shape (rows, columns).

        Returns
        -------
        Cells
            The same table.

        Examples
        --------
        >>> Cells.of(np.array([[1.0, np.nan], [2.0, 3.0]])).row_counts.tolist()
        [1, 2]
        """
        row, column = np.nonzero(~np.isnan(table))
        return cls(row, column, table[row, column], (table.shape[0], table.shape[1]))

    @property
    def row_counts(self) -> IntArray:
        """Cells of each row, (rows,)."""
        return np.bincount(self.row, minlength=self.shape[0])

    @property
    def column_counts(self) -> IntArray:
        """Cells of each column, (columns,)."""
        return np.bincount(self.column, minlength=self.shape[1])

    def filled(self, value: FloatArray) -> Cells:
        """Return a table with the same cells and other values.

        Parameters
        ----------
        value : numpy.ndarray
            Shape (cells,).

        Returns
        -------
        Cells
            With these values.
        """
        return self._replace(value=value)

    def column_sums(self) -> FloatArray:
        """Add up each column.

        Returns
        -------
        numpy.ndarray
            Shape (columns,): 0 where a column is empty.
        """
        return np.asarray(np.bincount(self.column, weights=self.value, minlength=self.shape[1]), dtype=np.float64)

    def column_means(self) -> FloatArray:
        """Average each column.

        Returns
        -------
        numpy.ndarray
            Shape (columns,): NaN where a column is empty.
        """
        count = self.column_counts
        return np.where(count > 0, self.column_sums() / np.maximum(count, 1), np.nan)

    def row_medians(self) -> FloatArray:
        """Take the median of each row.

        Returns
        -------
        numpy.ndarray
            Shape (rows,): NaN where a row is empty.
        """
        count = self.row_counts
        ordered = self.value[np.lexsort((self.value, self.row))]
        first, there = np.cumsum(count) - count, count > 0
        out = np.full(self.shape[0], np.nan)
        low, high = (first + (count - 1) // 2)[there], (first + count // 2)[there]
        out[there] = np.where(low == high, ordered[low], (ordered[low] + ordered[high]) / 2)
        return out

    def joined_rows(self, labels: IntArray) -> Cells:
        """Average rows of one label into one.

        Parameters
        ----------
        labels : numpy.ndarray
            Shape (rows,): the new row of each, ascending from 0.

        Returns
        -------
        Cells
            A row a label.
        """
        rows = int(labels[-1]) + 1 if len(labels) else 0
        places, cell = np.unique(labels[self.row] * self.shape[1] + self.column, return_inverse=True)
        total = np.bincount(cell, weights=self.value, minlength=len(places))
        count = np.maximum(np.bincount(cell, minlength=len(places)), 1)
        row, column = np.divmod(places, max(self.shape[1], 1))
        return Cells(row, column, np.asarray(total / count, dtype=np.float64), (rows, self.shape[1]))

    def tied_rows(self) -> IntArray:
        """Find the sets of rows that share columns, directly or through others.

        Returns
        -------
        numpy.ndarray
            Shape (rows,): the number of each row's set, from 0.
        """
        from scipy.sparse import csr_array  # late: a measuring process needs none of it
        from scipy.sparse.csgraph import connected_components

        n = sum(self.shape)  # rows and columns are the nodes, and cells tie them
        graph = csr_array((np.ones(len(self.row), dtype=np.int8), (self.row, self.shape[0] + self.column)), (n, n))
        return np.asarray(connected_components(graph, directed=False)[1][: self.shape[0]], dtype=np.int64)

    def row_shifts(self, there: BoolArray) -> FloatArray:
        """Estimate by how much each row makes all its cells differ.

        Parameters
        ----------
        there : numpy.ndarray
            Shape (rows,): rows that are believed; the others are taken as they are.

        Returns
        -------
        numpy.ndarray
            Shape (rows,); mean 0 over the believed rows that are tied together by columns which they share.
        """
        shift = np.zeros(self.shape[0])
        if there.sum() < 2:
            return shift
        tied = self.tied_rows()
        believed = np.flatnonzero(there)
        by_set = believed[np.argsort(tied[believed], kind="stable")]
        sets = np.split(by_set, np.flatnonzero(np.diff(tied[by_set])) + 1)
        for _ in range(ROUNDS):
            means = self.filled(self.value - shift[self.row]).column_means()
            shift[there] = self.filled(self.value - means[self.column]).row_medians()[there]
            for rows in sets:
                shift[rows] -= shift[rows].mean()
        return shift

    def movements(self) -> float:
        """Count the independent movements that the columns show: (trace S)² / trace S² of their products.

        Returns
        -------
        float
            At least 1; 1 where all is 0.
        """
        if self.shape[0] * self.shape[1] <= FEW:
            table = np.zeros(self.shape)
            table[self.row, self.column] = self.value
            gram = (
                table @ table.T if self.shape[0] <= self.shape[1] else table.T @ table
            )  # the smaller; both tell the same
            trace, squares = float(np.trace(gram)), float((gram**2).sum())
        else:
            from scipy.sparse import csr_array

            sparse = csr_array((self.value, (self.row, self.column)), self.shape)
            products = sparse @ sparse.T if self.shape[0] <= self.shape[1] else sparse.T @ sparse
            trace, squares = float((self.value**2).sum()), float((products.data**2).sum())
        return max(1.0, trace**2 / squares) if squares > 0 else 1.0
