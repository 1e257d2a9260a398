"""A search space: ordered, named, conditional, discrete choices."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsearch._typing import FloatArray, IntArray
from hwsearch.errors import SpaceError, UnknownArchitectureGene, nearest
from hwsearch.spaces.architecture import Architecture
from hwsearch.spaces.choice import Choice, Value
from hwsearch.spaces.rows import RowSet, distinct

#: maps an index array (n, genes) to a cost an architecture (n,)
Cost = Callable[[IntArray], FloatArray]


class SearchSpace:
    """An ordered set of `Choice`s, some active only under a condition on an earlier one.

    Architectures also have an array form for vectorised work: an int64 array of shape
    (n, genes) that holds, for each gene, the index of its value, or -1 where the gene is inactive.
    """

    #: rows (n, genes) to facts (n, columns) of architectures that are known without measuring; None: nothing is
    describe_array: Callable[[IntArray], FloatArray] | None = None

    def __init__(self, name: str, choices: Iterable[Choice]) -> None:
        self.name = name
        self.choices: tuple[Choice, ...] = tuple(choices)
        self.names: tuple[str, ...] = tuple(c.name for c in self.choices)
        self._position = {n: i for i, n in enumerate(self.names)}
        if not self.choices:
            raise SpaceError(f"space {name!r} has no choices.")
        if len(self._position) != len(self.choices):
            twice = sorted({n for n in self.names if self.names.count(n) > 1})
            raise SpaceError(f"space {name!r} names a choice twice: {', '.join(twice)}.")
        # for each gene: the index of each value
        self._places = {c.name: {v: j for j, v in enumerate(c.values)} for c in self.choices}
        self.sizes: IntArray = np.array([len(c.values) for c in self.choices], dtype=np.int64)
        # for each gene: the column of its parent (-1: none) and which parent indices switch it on
        self._parent = np.full(len(self.choices), -1, dtype=np.int64)
        self._on: list[NDArray[np.bool_] | None] = [None] * len(self.choices)
        self._children: list[list[int]] = [[] for _ in self.choices]
        for i, choice in enumerate(self.choices):
            if choice.when is not None:
                self._link(i, choice)
        self._levels = list(self._by_depth())
        #: (gene, value) of each column of the one-hot encoding, (columns,) each
        self.columns = (
            np.repeat(np.arange(len(self.sizes)), self.sizes),
            np.concatenate([np.arange(size) for size in self.sizes]),
        )

    def _link(self, i: int, choice: Choice) -> None:
        assert choice.when is not None
        parent = self._position.get(choice.when.name, len(self.choices))
        if parent >= i:
            raise SpaceError(
                f"space {self.name!r}: {choice.name!r} depends on {choice.when.name!r}, which is not an earlier choice."
            )
        unknown = set(choice.when.values) - set(self.choices[parent].values)
        if unknown:
            raise SpaceError(
                f"space {self.name!r}: {choice.name!r} waits for {choice.when.name}={sorted(map(str, unknown))}, "
                f"which is not one of {self.choices[parent].values}."
            )
        self._parent[i] = parent
        self._on[i] = np.array([v in choice.when.values for v in self.choices[parent].values])
        self._children[parent].append(i)

    def _by_depth(self) -> Iterator[tuple[IntArray, IntArray, IntArray, NDArray[np.bool_]]]:
        """Conditional genes whose parents have no condition, then those whose parents were among these, and so on.

        Each time (genes (k,), parents (k,), offsets (k,), switches): entry offset + v of the flat switches says whether
        the parent's value v, or -1, switches the gene on.
        """
        depth = np.zeros(len(self.choices), dtype=np.int64)
        for i in np.flatnonzero(self._parent >= 0):
            depth[i] = depth[self._parent[i]] + 1
        for level in range(1, int(depth.max()) + 1):
            genes = np.flatnonzero(depth == level)
            parents = self._parent[genes]
            width = int(self.sizes[parents].max()) + 1  # the last column stays off: it is what -1 finds
            switches = np.zeros((len(genes), width), dtype=bool)
            for row, gene in zip(switches, genes, strict=True):
                on = self._on[gene]
                assert on is not None
                row[: len(on)] = on
            yield genes, parents, np.arange(len(genes)) * width, switches.ravel()

    # ------------------------------------------------------------------ architectures and arrays
    def architecture(self, genes: Mapping[str, Value], *, source: str | None = None) -> Architecture:
        """The canonical architecture with these genes; values of inactive genes are checked, then dropped.

        Raises `UnknownArchitectureGene` for an unknown name or value and `SpaceError` for a missing
        active gene; `source` (a file and line, say) is named in the message.
        """
        place = f" ({source})" if source else ""
        for name, value in genes.items():
            if name not in self._position:
                raise UnknownArchitectureGene(
                    f"{name!r} is not a gene of space {self.name!r}{place}.", hint=nearest(name, self.names)
                )
            if value not in self.choices[self._position[name]].values:
                values = self.choices[self._position[name]].values
                raise UnknownArchitectureGene(
                    f"'{name}={value}' is not one of {values} in space {self.name!r}{place}.",
                    hint=nearest(str(value), map(str, values)),
                )
        row = np.zeros((1, len(self.choices)), dtype=np.int64)
        for i, choice in enumerate(self.choices):
            if choice.name in genes:
                row[0, i] = choice.values.index(genes[choice.name])
        row = self.canonical(row)
        missing = [n for i, n in enumerate(self.names) if row[0, i] >= 0 and n not in genes]
        if missing:
            raise SpaceError(
                f"space {self.name!r}: no value for {', '.join(missing[:8])}{' …' if len(missing) > 8 else ''}{place}."
            )
        return self.from_array(row)[0]

    def canonical(self, rows: IntArray) -> IntArray:
        """Set inactive genes to -1. rows: (n, genes) of value indices; idempotent; the input is not changed."""
        rows = np.array(rows, dtype=np.int64, copy=True)
        for genes, parents, offsets, switches in self._levels:
            on = _switched(switches, rows[:, parents] + offsets)
            rows[:, genes] = np.where(on, rows[:, genes], -1)
        return rows

    def to_array(self, archs: Iterable[Architecture]) -> IntArray:
        """The array form (n, genes) of architectures of this space."""
        inactive = [-1] * len(self.choices)
        rows = []
        for arch in archs:
            if arch.space_name != self.name:
                raise SpaceError(f"architecture {arch.id} belongs to space {arch.space_name!r}, not to {self.name!r}.")
            row = inactive.copy()
            for name, value in arch.to_dict().items():  # a dict is faster than the mapping
                place = self._places.get(name, {}).get(value)
                if place is None:
                    self.architecture(arch)  # raises the error that says which gene it is
                else:
                    row[self._position[name]] = place
            rows.append(row)
        return np.array(rows, dtype=np.int64).reshape(-1, len(self.choices))

    def from_array(self, rows: IntArray) -> list[Architecture]:
        """Architectures of an array (n, genes); inactive genes may hold anything.

        Raises `SpaceError` where an active gene holds no index of a value.
        """
        archs = []
        rows = self.canonical(rows)
        self._check_rows(rows)
        genes = [(c.name, c.values) for c in self.choices]
        for row in rows.tolist():
            items = {name: values[j] for (name, values), j in zip(genes, row, strict=True) if j >= 0}
            archs.append(Architecture(self.name, items))
        return archs

    def _misplaced(self, rows: IntArray) -> NDArray[np.bool_]:
        """Where canonical rows (n, genes) hold no index of a value although the gene is active."""
        wrong = (rows >= self.sizes) | (rows < 0)
        for genes, parents, offsets, switches in self._levels:
            wrong[:, genes] &= (rows[:, genes] >= 0) | _switched(switches, rows[:, parents] + offsets)
        return wrong

    def _check_rows(self, rows: IntArray, start: int = 0) -> None:
        """Raises SpaceError where canonical rows (n, genes) hold no index of a value; it counts the rows from `start`."""
        wrong = np.argwhere(self._misplaced(rows))
        if len(wrong):
            k, i = wrong[0]
            raise SpaceError(
                f"space {self.name!r}: row {start + k} holds no index of a value of gene {self.names[i]!r}: {rows[k, i]}."
            )

    def contains_array(self, rows: IntArray) -> NDArray[np.bool_]:
        """Which rows (n, genes) are architectures of this space (n,); inactive genes may hold anything."""
        return np.asarray(~self._misplaced(self.canonical(rows)).any(axis=1))

    def __contains__(self, arch: object) -> bool:
        if not isinstance(arch, Architecture) or arch.space_name != self.name:
            return False
        try:
            return self.architecture(arch.to_dict()) == arch
        except SpaceError:
            return False

    # ------------------------------------------------------------------ size and enumeration
    def _count(self, i: int) -> list[int]:
        """Number of distinct completions below gene i, for each of its values."""
        counts = [1] * len(self.choices[i].values)
        for child in self._children[i]:
            on, below = self._on[child], sum(self._count(child))
            assert on is not None
            counts = [count * below if on[j] else count for j, count in enumerate(counts)]
        return counts

    @property
    def cardinality(self) -> int:
        """The exact number of distinct networks (canonical forms)."""
        return math.prod(sum(self._count(i)) for i in range(len(self.choices)) if self._parent[i] < 0)

    def _refuse_above(self, limit: int) -> None:
        if self.cardinality > limit:
            raise SpaceError(f"space {self.name!r} has {self.cardinality:.3g} architectures, more than {limit:,}.")

    def enumerate_array(self, limit: int = 1_000_000) -> IntArray:
        """Every canonical row once, in the order of `enumerate`, as an array (cardinality, genes)."""
        self._refuse_above(limit)
        rows = np.empty((1, 0), dtype=np.int64)
        for i, on in enumerate(self._on):
            parent = rows[:, self._parent[i]] if on is not None else np.zeros(len(rows), dtype=np.int64)
            active = np.ones(len(rows), dtype=bool) if on is None else (parent >= 0) & on[np.maximum(parent, 0)]
            times = np.where(active, self.sizes[i], 1)
            ends = np.cumsum(times)
            value = np.arange(ends[-1]) - np.repeat(ends - times, times)
            value[~np.repeat(active, times)] = -1
            rows = np.column_stack([np.repeat(rows, times, axis=0), value])
        return rows

    def enumerate(self, limit: int = 1_000_000) -> Iterator[Architecture]:
        """Every architecture once, in lexicographic order; refuses spaces of more than `limit`."""
        self._refuse_above(limit)

        def walk(i: int, row: list[int]) -> Iterator[list[int]]:
            if i == len(self.choices):
                yield row
                return
            on = self._on[i]
            parent = row[self._parent[i]] if on is not None else 0
            active = on is None or (parent >= 0 and bool(on[parent]))
            for j in range(len(self.choices[i].values)) if active else (-1,):
                yield from walk(i + 1, [*row, j])

        for row in walk(0, []):
            yield from self.from_array(np.array([row], dtype=np.int64))

    def smallest(self) -> Architecture:
        """Every gene at its first value."""
        return self.from_array(np.zeros((1, len(self.choices)), dtype=np.int64))[0]

    def largest(self) -> Architecture:
        """Every gene at its last value."""
        return self.from_array((self.sizes - 1)[None, :])[0]

    # ------------------------------------------------------------------ sampling
    def sample_array(self, n: int, rng: np.random.Generator) -> IntArray:
        """n canonical rows, each gene drawn uniformly and independently (the field's usual sampling)."""
        return self.canonical(rng.integers(0, self.sizes, size=(n, len(self.choices))))

    def sample(
        self, n: int, rng: np.random.Generator, *, distinct: bool = True, exclude: Iterable[Architecture] = ()
    ) -> list[Architecture]:
        """n architectures, genes uniform; distinct and outside `exclude` as far as the space reaches."""
        return self._collect(n, lambda m: self.sample_array(m, rng), distinct, exclude)

    def sample_balanced_array(self, n: int, rng: np.random.Generator, cost: Cost, *, oversample: int = 30) -> IntArray:
        """n rows spread evenly over `cost` between the smallest and the largest subnet, both included.

        Uniform genes pile up in the middle of the cost range (a sum of many independent terms).
        Here the genes of each candidate are drawn with a tilt between all-smallest and all-largest,
        the range of log cost is cut into n bins, and one candidate is taken from each bin.
        """
        ends = np.stack([np.zeros_like(self.sizes), self.sizes - 1])
        if n <= 2:
            return self.canonical(ends[:n])
        pool_size = max(oversample * n, 1000)
        tilt = rng.beta(0.6, 0.6, size=(pool_size, 1))
        pool = self.canonical(rng.binomial(np.broadcast_to(self.sizes - 1, (pool_size, len(self.sizes))), tilt))
        pool = np.unique(np.concatenate([self.canonical(ends), pool]), axis=0)
        return self._spread(pool, self.canonical(ends), n, rng, cost)

    @staticmethod
    def _spread(pool: IntArray, ends: IntArray, n: int, rng: np.random.Generator, cost: Cost) -> IntArray:
        """The ends first, then rows of the pool, one a bin of log cost; the pool holds the ends, and each row once."""
        if n <= 2:
            return ends[:n]
        value = np.log(np.maximum(np.asarray(cost(pool), dtype=np.float64), 1e-12))
        goals = np.linspace(value.min(), value.max(), n)
        noise = rng.uniform(-0.5, 0.5, size=n) * (goals[1] - goals[0])
        # the ends by name: others may cost the same, and a measured cost need not be monotone
        taken = list(dict.fromkeys(int(np.flatnonzero((pool == e).all(axis=1))[0]) for e in ends))
        free = np.ones(len(pool), dtype=bool)
        free[taken] = False
        for g in rng.permutation(np.arange(1, n - 1)):
            gap = np.where(free, np.abs(value - (goals[g] + noise[g])), np.inf)
            k = int(np.argmin(gap))
            if not np.isfinite(gap[k]):
                break
            free[k] = False
            taken.append(k)
        return pool[np.array(taken)]

    def sample_balanced(
        self, n: int, rng: np.random.Generator, cost: Cost, *, exclude: Iterable[Architecture] = ()
    ) -> list[Architecture]:
        """As `sample_balanced_array`, as distinct architectures outside `exclude`, extremes first."""
        return self._collect(n, lambda m: self.sample_balanced_array(m, rng, cost), True, exclude)

    def _collect(
        self, n: int, draw: Callable[[int], IntArray], distinct: bool, exclude: Iterable[Architecture]
    ) -> list[Architecture]:
        if not distinct:
            return self.from_array(draw(n))
        seen = RowSet(self.sizes)
        seen.add(self.to_array(exclude))
        return self.from_array(self.collect_array(n, draw, seen.has))

    def collect_array(
        self, n: int, draw: Callable[[int], IntArray], known: Callable[[IntArray], NDArray[np.bool_]]
    ) -> IntArray:
        """n distinct rows that are not known, in the order in which they are drawn; fewer where there are no more.

        draw : a number to so many rows; known : canonical rows (k, genes) to which of them are excluded (k,)
        """
        found = RowSet(self.sizes)
        for attempt in range(20):
            rows = self.canonical(draw(max(n - len(found), 8) if attempt else n))
            found.add(rows[~known(rows)])
            if len(found) >= n:
                break
        else:
            if self.cardinality <= 200_000:  # a nearly exhausted space: take what is left
                rows = self.enumerate_array()
                found.add(rows[~known(rows)])
        return found.rows[:n].astype(np.int64)

    # ------------------------------------------------------------------ variation
    def mutate_array(self, rows: IntArray, rng: np.random.Generator, rate: float | None = None) -> IntArray:
        """Redraw each gene with probability `rate` (default 1/genes); at least one active gene changes.

        rows: (n, genes), canonical or not. Genes that a mutation switches on get a uniform value.
        """
        rows = self.canonical(rows)
        active = rows >= 0
        changeable = active & (self.sizes > 1)
        chance = np.where(changeable, rng.random(rows.shape, dtype=np.float32), 2.0)
        flips = chance < (1.0 / rows.shape[1] if rate is None else rate)
        idle = np.flatnonzero(~flips.any(axis=1) & changeable.any(axis=1))
        flips[idle, np.argmin(chance[idle], axis=1)] = True
        # a new value of a gene that was off, or how far one that flips moves on
        drawn = _below(self.sizes - active, rng)
        moved = rows + 1 + drawn
        moved = np.where(moved >= self.sizes, moved - self.sizes, moved)
        return self.canonical(np.where(active, np.where(flips, moved, rows), drawn))

    def mutate(self, arch: Architecture, rng: np.random.Generator, rate: float | None = None) -> Architecture:
        """An architecture that differs from `arch` in at least one active gene."""
        return self.from_array(self.mutate_array(self.to_array([arch]), rng, rate))[0]

    def crossover_array(self, a: IntArray, b: IntArray, rng: np.random.Generator) -> IntArray:
        """Uniform crossover on canonical forms: a gene inactive in one parent is taken from the other.

        a, b: (n, genes). Genes inactive in both parents but active in the child get a uniform value.
        """
        a, b = self.canonical(a), self.canonical(b)
        child = np.where(rng.random(a.shape, dtype=np.float32) < 0.5, a, b)
        child = np.where(child < 0, np.maximum(a, b), child)
        drawn = _below(np.broadcast_to(self.sizes, a.shape), rng)
        return self.canonical(np.where(child < 0, drawn, child))

    def crossover(self, a: Architecture, b: Architecture, rng: np.random.Generator) -> Architecture:
        rows = self.to_array([a, b])
        return self.from_array(self.crossover_array(rows[:1], rows[1:], rng))[0]

    def neighbours(self, arch: Architecture) -> list[Architecture]:
        """All architectures at distance 1: exactly one gene that is active in both differs.

        Where the change switches genes on, they take together their first, middle or last values.
        """
        return self.from_array(self.neighbours_array(self.to_array([arch])[0]))

    def neighbours_array(self, row: IntArray) -> IntArray:
        """As `neighbours`, of one canonical row (genes,), as rows (n, genes)."""
        gene, value = self.columns
        real = (row[gene] >= 0) & (row[gene] != value)
        gene, value = gene[real], value[real]
        fills = np.stack([np.zeros_like(self.sizes), (self.sizes - 1) // 2, self.sizes - 1])
        new = np.tile(np.where(row < 0, fills, row), (len(gene), 1))
        new[np.arange(len(new)), np.repeat(gene, 3)] = np.repeat(value, 3)
        new = self.canonical(new)
        return distinct(new)

    def project(self, rows: IntArray, rng: np.random.Generator) -> IntArray:
        """The rows of this space nearest to rows (n, genes): here their canonical form; see `TableSpace`."""
        return self.canonical(rows)

    def distance(self, a: Architecture, b: Architecture) -> int:
        """Number of genes active in both architectures whose values differ."""
        x, y = self.to_array([a, b])
        return int(((x >= 0) & (y >= 0) & (x != y)).sum())

    # ------------------------------------------------------------------ encodings
    def feature_names(self, encoding: str = "onehot") -> list[str]:
        """Names of the columns of `encode`."""
        if encoding == "ordinal":
            return list(self.names)
        if encoding == "onehot":
            return [f"{c.name}={v}" for c in self.choices for v in c.values]
        raise SpaceError(f"unknown encoding {encoding!r}.", hint=nearest(encoding, ["onehot", "ordinal"]))

    def encode_array(self, rows: IntArray, encoding: str = "onehot") -> FloatArray:
        """Features (n, columns) of rows (n, genes): inactive genes are zero in both encodings.

        onehot : one column a value; ordinal : one column a gene, (index + 1) / number of values
        """
        rows = self.canonical(rows)
        if encoding == "ordinal":
            return (rows + 1) / self.sizes
        self.feature_names(encoding)  # raises the error that names an unknown one
        gene, value = self.columns
        return (rows[:, gene] == value).astype(np.float64)

    def encode(self, archs: Sequence[Architecture], encoding: str = "onehot") -> FloatArray:
        """Features (n, columns) of architectures; columns as in `feature_names`."""
        return self.encode_array(self.to_array(archs), encoding)

    # ------------------------------------------------------------------ JSON
    def to_dict(self) -> dict[str, Any]:
        return {"name": self.name, "choices": [c.to_dict() for c in self.choices]}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> SearchSpace:
        """The space that `to_dict` described; one with a table is a `TableSpace`."""
        try:
            choices = [Choice.from_dict(c) for c in data["choices"]]
            if "table" in data:
                from hwsearch.spaces.table import TableSpace

                return TableSpace(data["name"], choices, np.array(data["table"], dtype=np.int64))
            return cls(data["name"], choices)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise SpaceError(f"this is not a search space: {error!r} is missing or of the wrong kind.") from error

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), indent=1)

    @classmethod
    def from_json(cls, text: str) -> SearchSpace:
        try:
            return cls.from_dict(json.loads(text))
        except json.JSONDecodeError as error:
            raise SpaceError(f"this is not JSON: {error}.") from error

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SearchSpace) and self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash((self.name, self.choices))

    def __repr__(self) -> str:
        return f"SearchSpace({self.name!r}, {len(self.choices)} genes, {self.cardinality:.3g} architectures)"


def _switched(switches: NDArray[np.bool_], entries: IntArray) -> NDArray[np.bool_]:
    """The switches at these entries; what is no index finds any, and is named by `_misplaced`."""
    return np.take(switches, entries, mode="wrap")


def _below(ends: IntArray, rng: np.random.Generator) -> IntArray:
    """Uniform integers from 0 to ends - 1; 0 where an end is 0. Ends are below 2^22, so that none rounds up to its end."""
    return np.asarray((rng.random(ends.shape, dtype=np.float32) * ends.astype(np.float32)).astype(np.int64))
