"""Measured values by architecture, as columns: a million take some tens of MiB, and what else is stored is read when asked for."""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any

import numpy as np
from typing_extensions import override

from hwsearch._typing import FloatArray, IntArray
from hwsearch.spaces import Architecture, SearchSpace
from hwsearch.store import Measurement, Store

#: measurements, or architectures, that are read together, and how many such blocks are kept
BLOCK, BLOCKS = 256, 8
#: by name of a column: what it is of a measurement
FIELDS: dict[str, Callable[[Measurement], Any]] = {
    **{name: attrgetter(name) for name in ("value", "low", "high", "spread")},
    "ratio_low": lambda m: m.details.get("ratio_low", m.low),
    "ratio_high": lambda m: m.details.get("ratio_high", m.high),
    "standard_error": lambda m: m.details["standard_error"],
}


class ScoreTable(Mapping[str, Measurement]):
    """Measurements of one kind by architecture id, oldest first; the numbers in memory, the rest in the store.

    Parameters
    ----------
    ids : sequence of str
        Architecture ids, oldest first, each once.
    columns : mapping of str to numpy.ndarray
        Shape (ids,), by names of `FIELDS`; NaN where there is none.
    fetch : callable
        Reads the measurements of some of the ids, by id.
    """

    def __init__(
        self,
        ids: Sequence[str],
        columns: Mapping[str, FloatArray],
        fetch: Callable[[Sequence[str]], Mapping[str, Measurement]],
    ) -> None:
        self._ids, self._columns, self._fetch = list(ids), columns, fetch
        self._place = {k: i for i, k in enumerate(self._ids)}
        self._blocks: OrderedDict[int, Mapping[str, Measurement]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._ids)

    def __iter__(self) -> Iterator[str]:
        return iter(self._ids)

    def __contains__(self, arch_id: object) -> bool:
        return arch_id in self._place

    def __getitem__(self, arch_id: str) -> Measurement:
        block = self._place[arch_id] // BLOCK
        if block not in self._blocks:
            self._blocks[block] = self._fetch(self._ids[block * BLOCK : (block + 1) * BLOCK])
            while len(self._blocks) > BLOCKS:
                self._blocks.popitem(last=False)
        return self._blocks[block][arch_id]

    def numbers(self, name: str, ids: Sequence[str]) -> FloatArray:
        """Return a column of some architectures.

        Parameters
        ----------
        name : str
            One of `FIELDS`.
        ids : sequence of str
            Architecture ids.

        Returns
        -------
        numpy.ndarray
            Shape (ids,): NaN for what has not been measured.
        """
        column = self._columns[name]
        if not len(column):
            return np.full(len(ids), np.nan)
        places = np.array([self._place.get(i, -1) for i in ids], dtype=np.int64)
        return np.where(places < 0, np.nan, column[places])


def numbers(found: Mapping[str, Measurement], name: str, ids: Sequence[str]) -> FloatArray:
    """Return one number of each of some architectures, without making a measurement of what a `ScoreTable` holds.

    Parameters
    ----------
    found : mapping of str to Measurement
        By architecture id.
    name : str
        One of `FIELDS`.
    ids : sequence of str
        Architecture ids.

    Returns
    -------
    numpy.ndarray
        Shape (ids,): NaN for what has not been measured, or has no such number.
    """
    if isinstance(found, ScoreTable):
        return found.numbers(name, ids)
    values = (FIELDS[name](found[i]) if i in found else None for i in ids)
    return np.array([np.nan if v is None else float(v) for v in values], dtype=np.float64)


class ArchitectureTable(Mapping[str, Architecture]):
    """The architectures of a store by id; each is read when it is asked for.

    Parameters
    ----------
    store : Store
        Where they are kept.
    space : SearchSpace
        To which they belong.
    """

    def __init__(self, store: Store, space: SearchSpace) -> None:
        self._store, self._space = store, space
        self._ids = list(map(sys.intern, store.architecture_ids(space)))  # as those of measurements are
        self._place = {k: i for i, k in enumerate(self._ids)}
        self._blocks: OrderedDict[int, dict[str, Architecture]] = OrderedDict()
        self._rows: IntArray | None = None

    def __len__(self) -> int:
        return len(self._ids)

    def __iter__(self) -> Iterator[str]:
        return iter(self._ids)

    @override
    def __contains__(self, arch_id: object) -> bool:
        return arch_id in self._place

    def __getitem__(self, arch_id: str) -> Architecture:
        block = self._place[arch_id] // BLOCK
        if block not in self._blocks:
            ids = self._ids[block * BLOCK : (block + 1) * BLOCK]
            self._blocks[block] = {a.id: a for a in self._store.architectures(self._space, ids)}
            while len(self._blocks) > BLOCKS:
                self._blocks.popitem(last=False)
        return self._blocks[block][arch_id]

    def encoded(self, ids: Sequence[str]) -> IntArray:
        """Encode architectures without keeping them.

        Parameters
        ----------
        ids : sequence of str
            Architecture ids.

        Returns
        -------
        numpy.ndarray
            Shape (ids, genes), as `SearchSpace.to_array` gives it.
        """
        if len(ids) <= BLOCK:
            return self._space.to_array([self[i] for i in ids])
        if self._rows is None:
            parts = [self._ids[k : k + 20 * BLOCK] for k in range(0, len(self._ids), 20 * BLOCK)]
            rows = (self._space.to_array(self._store.architectures(self._space, part)) for part in parts)
            self._rows = np.concatenate([r.astype(np.int16 if r.max(initial=0) < 2**15 else r.dtype) for r in rows])
        return self._rows[[self._place[i] for i in ids]].astype(np.int64)


def encoded(archs: Mapping[str, Architecture], space: SearchSpace, ids: Sequence[str]) -> IntArray:
    """Encode architectures of a mapping.

    Parameters
    ----------
    archs : mapping of str to Architecture
        By id.
    space : SearchSpace
        To which they belong.
    ids : sequence of str
        Which.

    Returns
    -------
    numpy.ndarray
        Shape (ids, genes).
    """
    return archs.encoded(ids) if isinstance(archs, ArchitectureTable) else space.to_array([archs[i] for i in ids])
