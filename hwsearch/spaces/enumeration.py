"""The size of a space, its ends, and all of its architectures where they are few."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hwsearch._typing import IntArray
from hwsearch.errors import SpaceError
from hwsearch.spaces.architecture import Architecture
from hwsearch.spaces.indexed import IndexedSpace

#: the largest space that is enumerated unless a caller says otherwise
MAX_ENUMERATED = 1_000_000


class EnumerationMixin(IndexedSpace):
    """Counting and listing of the architectures of a space."""

    @property
    def cardinality(self) -> int:
        """The exact number of distinct networks (canonical forms), counted without enumerating them."""
        return self.conditions.count()

    def _refuse_above(self, limit: int) -> None:
        if self.cardinality > limit:
            raise SpaceError(f"space {self.name!r} has {self.cardinality:.3g} architectures, more than {limit:,}.")

    def enumerate_array(self, limit: int = MAX_ENUMERATED) -> IntArray:
        """List every canonical row once, in the order of `enumerate`.

        Parameters
        ----------
        limit : int
            The largest number of architectures to list.

        Returns
        -------
        ndarray of int, shape (cardinality, genes)
            The rows.

        Raises
        ------
        SpaceError
            If the space has more than `limit` architectures.
        """
        self._refuse_above(limit)
        return self.conditions.enumerate()

    def enumerate(self, limit: int = MAX_ENUMERATED) -> Iterator[Architecture]:
        """List every architecture once, in lexicographic order of the value indices.

        Parameters
        ----------
        limit : int
            The largest number of architectures to list.

        Yields
        ------
        Architecture
            The next architecture.

        Raises
        ------
        SpaceError
            If the space has more than `limit` architectures.
        """
        self._refuse_above(limit)

        def walk(i: int, row: list[int]) -> Iterator[list[int]]:
            if i == len(self.choices):
                yield row
                return
            for j in range(len(self.choices[i].values)) if self.conditions.is_active(i, row) else (-1,):
                yield from walk(i + 1, [*row, j])

        for row in walk(0, []):
            yield from self.from_array(np.array([row], dtype=np.int64))

    def smallest(self) -> Architecture:
        """Get the architecture with every gene at its first value.

        Returns
        -------
        Architecture
            The smallest subnet, where values are sorted from the cheapest to the dearest.
        """
        return self.from_array(np.zeros((1, len(self.choices)), dtype=np.int64))[0]

    def largest(self) -> Architecture:
        """Get the architecture with every gene at its last value.

        Returns
        -------
        Architecture
            The largest subnet, where values are sorted from the cheapest to the dearest.
        """
        return self.from_array((self.sizes - 1)[None, :])[0]
