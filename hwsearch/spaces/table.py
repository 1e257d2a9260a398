"""A search space that is a finite table: only listed architectures exist."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hwsearch._typing import IntArray
from hwsearch.errors import SpaceError
from hwsearch.spaces.architecture import Architecture
from hwsearch.spaces.choice import Choice, Value
from hwsearch.spaces.rows import distinct
from hwsearch.spaces.sampling import Cost, spread_over_cost
from hwsearch.spaces.space import SearchSpace

if TYPE_CHECKING:
    import pandas as pd

#: how many similarities are held at once while rows are projected
BLOCK = 1 << 24


class TableSpace(SearchSpace):
    """A finite list of architectures over `choices`; sampling and variation give rows of the list and no others.

    rows : (N, genes) value indices; made canonical, repeated ones are dropped, the order stays

    A proposal of the product space (a mutation, a crossover) is projected onto the listed row that differs from it
    in the fewest genes, ties at random, in O(N) a proposal. The smallest and the largest row are those with
    the least and the greatest sum of the ordinal encoding, the first of equals.

    Raises SpaceError when there is no row, or a row holds no index of a value.
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
        """A table of gene dicts.

        Without `choices`, each gene's values are those that occur: numbers ascending and ordinal, texts sorted and
        not ordinal; then every architecture must have every gene. Raises SpaceError or `UnknownArchitectureGene`,
        with the row's number, for what does not fit.
        """
        listed = [dict(genes) for genes in architectures]
        if not listed:
            raise SpaceError(f"space {name!r}: the table has no architectures.")
        product = SearchSpace(name, _observed(name, listed) if choices is None else choices)
        archs = [product.architecture(genes, source=f"row {k}") for k, genes in enumerate(listed)]
        return cls(name, product.choices, product.to_array(archs))

    @classmethod
    def from_frame(cls, name: str, frame: pd.DataFrame, choices: Iterable[Choice] | None = None) -> TableSpace:
        """A table whose columns are genes, one architecture a row; empty cells are genes that do not matter."""
        records = [
            {str(k): v.item() if hasattr(v, "item") else v for k, v in row.items() if v is not None and v == v}
            for row in frame.astype(object).to_dict("records")
        ]
        return cls.of(name, records, choices)

    # ------------------------------------------------------------------ membership
    def contains_array(self, rows: IntArray) -> NDArray[np.bool_]:
        return self.positions(rows) >= 0

    def positions(self, rows: IntArray) -> IntArray:
        """The places (n,) of rows (n, genes) in `table`; -1 where the table has no such row."""
        return np.array([self._place.get(row.tobytes(), -1) for row in self.canonical(rows)], dtype=np.int64)

    def from_array(self, rows: IntArray) -> list[Architecture]:
        """As for any space; raises SpaceError for a row that the table does not have."""
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
    def cardinality(self) -> int:
        """The number of rows."""
        return len(self.table)

    def enumerate_array(self, limit: int = 1_000_000) -> IntArray:
        self._refuse_above(limit)
        return self.table.copy()

    def enumerate(self, limit: int = 1_000_000) -> Iterator[Architecture]:
        """Every architecture once, in the table's order; refuses tables of more than `limit`."""
        self._refuse_above(limit)
        yield from super().from_array(self.table)

    def smallest(self) -> Architecture:
        """The row with the least ordinal sum."""
        return super().from_array(self._ends()[:1])[0]

    def largest(self) -> Architecture:
        """The row with the greatest ordinal sum."""
        return super().from_array(self._ends()[1:])[0]

    def _ends(self) -> IntArray:
        return self.table[[int(np.argmin(self._size)), int(np.argmax(self._size))]]

    # ------------------------------------------------------------------ sampling
    def sample_array(self, n: int, rng: np.random.Generator) -> IntArray:
        """n rows, each drawn uniformly from the table."""
        return self.table[rng.integers(0, len(self.table), size=n)]

    def sample_balanced_array(self, n: int, rng: np.random.Generator, cost: Cost, *, oversample: int = 30) -> IntArray:
        """n rows (fewer if the table has fewer) spread evenly over the log of `cost`; smallest and largest first.

        Above max(oversample n, 100,000) rows, the cost of a uniform share of the table is computed only.
        """
        few = max(oversample * n, 100_000)
        pool = self.table
        if len(pool) > few:
            pool = np.concatenate([self._ends(), pool[np.sort(rng.choice(len(pool), few, replace=False))]])
            pool = np.unique(pool, axis=0)
        return spread_over_cost(pool, self._ends(), n, rng, cost)

    # ------------------------------------------------------------------ variation
    def project(self, rows: IntArray, rng: np.random.Generator, *, other_than: IntArray | None = None) -> IntArray:
        """The listed rows nearest to rows (n, genes) by number of differing genes; ties at random.

        other_than : (n, genes) rows that must not be the answer, where the table has more than one row
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
        """One column for each value of a gene and one for its inactivity, so that products count equal genes."""
        width = self.sizes + 1
        offsets = np.concatenate([[0], np.cumsum(width)[:-1]])
        out = np.zeros((len(rows), int(width.sum())), dtype=np.float32)
        np.put_along_axis(out, rows + 1 + offsets, 1.0, axis=1)
        return out

    def mutate_array(self, rows: IntArray, rng: np.random.Generator, rate: float | None = None) -> IntArray:
        """Mutated as in the product space, then projected; never the row itself unless it is the only one."""
        rows = self.canonical(rows)
        return self.project(super().mutate_array(rows, rng, rate), rng, other_than=rows)

    def crossover_array(self, a: IntArray, b: IntArray, rng: np.random.Generator) -> IntArray:
        """Crossed as in the product space, then projected."""
        return self.project(super().crossover_array(a, b, rng), rng)

    def neighbours_array(self, row: IntArray) -> IntArray:
        """The rows that differ from row (genes,) in as few genes as any other row does, in the table's order."""
        shared = (self._marked(self.canonical(row[None, :])) @ self._marks)[0]
        shared[shared > len(self.choices) - 0.5] = -1.0
        best = shared.max()
        return self.table[np.flatnonzero(shared == best)] if best >= 0 else self.table[:0]

    # ------------------------------------------------------------------ JSON
    def to_dict(self) -> dict[str, Any]:
        return {**super().to_dict(), "table": self.table.tolist()}


def _observed(name: str, listed: list[dict[str, Value]]) -> list[Choice]:
    """A choice a gene, with the values that occur."""
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
        found.append(Choice(gene, tuple(sorted(values, key=float if numeric else str)), ordinal=numeric))
    return found
