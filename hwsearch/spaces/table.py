"""A search space that is a finite table: only listed architectures exist."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from hwsearch._typing import BoolArray, IntArray
from hwsearch.errors import SpaceError
from hwsearch.spaces.architecture import Architecture
from hwsearch.spaces.choice import Choice, Value
from hwsearch.spaces.enumeration import MAX_ENUMERATED
from hwsearch.spaces.rows import distinct, unique_rows
from hwsearch.spaces.sampling import Cost, spread_over_cost
from hwsearch.spaces.space import SearchSpace

if TYPE_CHECKING:
    import pandas as pd

#: how many similarities are held at once while rows are projected
BLOCK = 1 << 24


class TableSpace(SearchSpace):
    """A finite list of architectures over some choices; sampling and variation give listed rows and no others.

    A proposal of the product space (a mutation, a crossover) is projected onto the listed row that differs from it
    in the fewest genes, ties at random, in O(N) a proposal. The smallest and the largest row are those with
    the least and the greatest sum of the ordinal encoding, the first of equals.

    Parameters
    ----------
    name : str
        Name of the space; part of the id of every architecture.
    choices : iterable of Choice
        The genes in order.
    rows : ndarray of int, shape (N, genes)
        Value indices of the listed architectures; they are made canonical, and repeated ones are dropped.

    Attributes
    ----------
    table : ndarray of int, shape (at most N, genes)
        The listed rows, canonical, each once, in the order given; read-only.

    Raises
    ------
    SpaceError
        If there is no row, or a row holds no index of a value in an active gene.

    Examples
    --------
    >>> from hwsearch.spaces import TableSpace
    >>> space = TableSpace.of("pareto", [{"depth": 1, "width": 16}, {"depth": 2, "width": 8}])
    >>> space.cardinality
    2
    >>> dict(space.smallest())
    {'depth': 1, 'width': 16}
    """

    def __init__(self, name: str, choices: Iterable[Choice], rows: IntArray) -> None:
        super().__init__(name, choices)
        table = np.asarray(rows, dtype=np.int64)
        if table.ndim != 2 or table.shape[1] != len(self.choices) or not len(table):
            raise SpaceError(
                f"space {name!r}: a table of shape {np.shape(rows)} is not rows of {len(self.choices)} genes.",
                hint="Give at least one row, with one value index for each choice.",
            )
        table = self.canonical(table)
        self.check_rows(table)
        table = distinct(table)
        table.flags.writeable = False
        self.table: IntArray = table
        self._place = {row.tobytes(): k for k, row in enumerate(table)}
        self._size = super().encode_array(table, "ordinal").sum(axis=1)
        self._marks = self._marked(table).T.copy()

    # ------------------------------------------------------------------ ways in
    @classmethod
    def of(
        cls, name: str, architectures: Iterable[Mapping[str, Value]], choices: Iterable[Choice] | None = None
    ) -> TableSpace:
        """Make a table of architectures given as mappings of genes to values.

        Parameters
        ----------
        name : str
            Name of the space.
        architectures : iterable of mapping
            The architectures to list, at least one.
        choices : iterable of Choice, optional
            The genes. Without it each gene's values are those that occur (numbers ascending and ordinal, texts
            sorted and not ordinal), and every architecture must have every gene.

        Returns
        -------
        TableSpace
            The space.

        Raises
        ------
        SpaceError
            If there is no architecture, or one has no value for a gene; the message names the row.
        UnknownArchitectureGene
            If an architecture has a gene or a value that is not one of `choices`; the message names the row.
        """
        listed = [dict(genes) for genes in architectures]
        if not listed:
            raise SpaceError(f"space {name!r}: the table has no architectures.")
        product = SearchSpace(name, _observed(name, listed) if choices is None else choices)
        archs = [product.architecture(genes, source=f"row {k}") for k, genes in enumerate(listed)]
        return cls(name, product.choices, product.to_array(archs))

    @classmethod
    def from_frame(cls, name: str, frame: pd.DataFrame, choices: Iterable[Choice] | None = None) -> TableSpace:
        """Make a table of a data frame with one architecture a row and one gene a column.

        Parameters
        ----------
        name : str
            Name of the space.
        frame : pandas.DataFrame
            The architectures; empty cells are genes that do not matter.
        choices : iterable of Choice, optional
            The genes; see `of`.

        Returns
        -------
        TableSpace
            The space.

        Raises
        ------
        SpaceError
            If a row is not an architecture; see `of`.
        """
        records = [
            {str(k): v.item() if hasattr(v, "item") else v for k, v in row.items() if v is not None and v == v}
            for row in frame.astype(object).to_dict("records")
        ]
        return cls.of(name, records, choices)

    # ------------------------------------------------------------------ membership
    @override
    def contains_array(self, rows: IntArray) -> BoolArray:
        return self.positions(rows) >= 0

    def positions(self, rows: IntArray) -> IntArray:
        """Find rows in the table.

        Parameters
        ----------
        rows : ndarray of int, shape (n, genes)
            Value indices; inactive genes may hold anything.

        Returns
        -------
        ndarray of int, shape (n,)
            Their positions in `table`, -1 where it has no such row.
        """
        return np.array([self._place.get(row.tobytes(), -1) for row in self.canonical(rows)], dtype=np.int64)

    @override
    def from_array(self, rows: IntArray) -> list[Architecture]:
        archs = super().from_array(rows)
        absent = np.flatnonzero(~self.contains_array(rows))
        if len(absent):
            raise SpaceError(
                f"space {self.name!r} is a table of {len(self.table):,} architectures without {archs[absent[0]]!r}.",
                hint="`project` gives the nearest listed rows.",
            )
        return archs

    # ------------------------------------------------------------------ size and enumeration
    @property
    @override
    def cardinality(self) -> int:
        return len(self.table)

    @override
    def enumerate_array(self, limit: int = MAX_ENUMERATED) -> IntArray:
        self._refuse_above(limit)
        return self.table.copy()

    @override
    def enumerate(self, limit: int = MAX_ENUMERATED) -> Iterator[Architecture]:
        self._refuse_above(limit)
        yield from super().from_array(self.table)

    @override
    def smallest(self) -> Architecture:
        return super().from_array(self._ends()[:1])[0]

    @override
    def largest(self) -> Architecture:
        return super().from_array(self._ends()[1:])[0]

    def _ends(self) -> IntArray:
        return self.table[[int(np.argmin(self._size)), int(np.argmax(self._size))]]

    # ------------------------------------------------------------------ sampling
    @override
    def sample_array(self, n: int, rng: np.random.Generator) -> IntArray:
        return self.table[rng.integers(0, len(self.table), size=n)]

    @override
    def sample_balanced_array(self, n: int, rng: np.random.Generator, cost: Cost, *, oversample: int = 30) -> IntArray:
        # of a large table the costs of a uniform share only are computed
        few = max(oversample * n, 100_000)
        pool = self.table
        if len(pool) > few:
            pool = np.concatenate([self._ends(), pool[np.sort(rng.choice(len(pool), few, replace=False))]])
            pool = unique_rows(pool)
        return spread_over_cost(pool, self._ends(), n, rng, cost)

    # ------------------------------------------------------------------ variation
    def project(self, rows: IntArray, rng: np.random.Generator, *, other_than: IntArray | None = None) -> IntArray:
        """Find the listed rows that differ from the given ones in the fewest genes.

        Parameters
        ----------
        rows : ndarray of int, shape (n, genes)
            Rows of the product of all choices.
        rng : numpy.random.Generator
            Source of randomness; ties are broken at random.
        other_than : ndarray of int, shape (n, genes), optional
            Rows that must not be the answer, unless the table has one row only.

        Returns
        -------
        ndarray of int, shape (n, genes)
            Listed rows.
        """
        wanted = self.canonical(rows)
        barred = np.full(len(wanted), -1) if other_than is None else self.positions(other_than)
        places = self.positions(wanted)
        places[places == barred] = -1
        far = np.flatnonzero(places < 0)
        step = max(1, BLOCK // len(self.table))
        for start in range(0, len(far), step):
            some = far[start : start + step]
            shared = self._marked(wanted[some]) @ self._marks
            shared += rng.random(shared.shape, dtype=np.float32) * 0.5
            held = np.flatnonzero(barred[some] >= 0) if len(self.table) > 1 else np.empty(0, dtype=np.int64)
            shared[held, barred[some[held]]] = -1.0
            places[some] = shared.argmax(axis=1)
        return self.table[places]

    def _marked(self, rows: IntArray) -> NDArray[np.float32]:
        """Encode rows with a column for each value of a gene and one for its inactivity; products count equal genes."""
        width = self.sizes + 1
        offsets = np.concatenate([[0], np.cumsum(width)[:-1]])
        out = np.zeros((len(rows), int(width.sum())), dtype=np.float32)
        np.put_along_axis(out, rows + 1 + offsets, 1.0, axis=1)
        return out

    @override
    def mutate_array(self, rows: IntArray, rng: np.random.Generator, rate: float | None = None) -> IntArray:
        # as in the product space, then projected; never the row itself unless it is the only one
        rows = self.canonical(rows)
        return self.project(super().mutate_array(rows, rng, rate), rng, other_than=rows)

    @override
    def crossover_array(self, a: IntArray, b: IntArray, rng: np.random.Generator) -> IntArray:
        return self.project(super().crossover_array(a, b, rng), rng)

    @override
    def breed_array(
        self, a: IntArray, b: IntArray, rng: np.random.Generator, crossover: float = 1.0, rate: float | None = None
    ) -> IntArray:
        crossed = self.crossover_array(a, b, rng)
        single = rng.random(len(a)) >= crossover
        crossed[single] = a[single]
        return self.mutate_array(crossed, rng, rate)

    def neighbours_array(self, row: IntArray) -> IntArray:
        """List the rows that differ from one row in as few genes as any other listed row does.

        Parameters
        ----------
        row : ndarray of int, shape (genes,)
            A canonical row.

        Returns
        -------
        ndarray of int, shape (n, genes)
            Listed rows, in the table's order.
        """
        shared = (self._marked(self.canonical(row[None, :])) @ self._marks)[0]
        shared[shared > len(self.choices) - 0.5] = -1.0
        best = shared.max()
        return self.table[np.flatnonzero(shared == best)] if best >= 0 else self.table[:0]

    # ------------------------------------------------------------------ JSON
    @override
    def to_dict(self) -> dict[str, Any]:
        return {**super().to_dict(), "table": self.table.tolist()}


def _observed(name: str, listed: list[dict[str, Value]]) -> list[Choice]:
    """Make a choice of every gene, with the values that occur."""
    genes = list(dict.fromkeys(gene for arch in listed for gene in arch))
    for k, arch in enumerate(listed):
        missing = [gene for gene in genes if gene not in arch]
        if missing:
            raise SpaceError(
                f"space {name!r}: row {k} has no {missing[0]!r}, which other rows have.",
                hint="Give `choices` that say when a gene is active.",
            )
    found = []
    for gene in genes:
        values = {arch[gene] for arch in listed}
        numeric = all(isinstance(v, (int, float)) for v in values)
        found.append(Choice(gene, tuple(sorted(values, key=None if numeric else str)), ordinal=numeric))
    return found
