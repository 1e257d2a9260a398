"""The computed costs of architectures, kept in the store: whoever reads a campaign needs no network to know them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

import numpy as np

from hwsearch._typing import FloatArray, IntArray
from hwsearch.errors import StoreError
from hwsearch.spaces import Architecture, SearchSpace
from hwsearch.store import Store


class CostTable:
    """Cost features of the architectures that were measured with one supernet, in the state of a store.

    Parameters
    ----------
    store : Store
        Where they are kept; a document holds what one call of `add` brought.
    weights : str
        Digest of the supernet.
    """

    def __init__(self, store: Store, weights: str) -> None:
        self._store, self._name = store, f"costs:{weights}"
        self._names: list[str] = []
        self._place: dict[str, int] = {}
        self._values = np.zeros((0, 0))
        self._read = 0

    def add(
        self, space: SearchSpace, archs: Sequence[Architecture], features: Callable[[IntArray], dict[str, FloatArray]]
    ) -> None:
        """Keep the costs of architectures; those that are kept already are left out.

        Parameters
        ----------
        space : SearchSpace
            Of the architectures.
        archs : sequence of Architecture
            What is about to be measured.
        features : callable
            Maps rows ``(n, genes)`` to features ``(n,)`` by name, as `hwsearch.supernets.base.Supernet.cost_features`.
        """
        self._refresh()
        new = [a for a in dict.fromkeys(archs) if a.id not in self._place]
        if not new:
            return
        found = features(space.to_array(new))
        values = np.stack([np.asarray(v, dtype=np.float64) for v in found.values()], axis=1)
        if np.isfinite(values).all():  # else whoever reads them builds the network, and is told what is wrong
            document = {"names": list(found), "ids": [a.id for a in new], "values": values.tolist()}
            self._store.put_state(self._name, document)

    def find(self, ids: Sequence[str]) -> dict[str, FloatArray] | None:
        """Find the costs of architectures.

        Parameters
        ----------
        ids : sequence of str
            Architecture ids.

        Returns
        -------
        dict of str to FloatArray, or None
            (n,) features by name, in the order in which the supernet gave them; None where one is not kept.

        Raises
        ------
        StoreError
            If what is kept is damaged.
        """
        self._refresh()
        if not all(i in self._place for i in ids):
            return None
        table = self._values[[self._place[i] for i in ids]].reshape(len(ids), len(self._names))
        return {name: table[:, k] for k, name in enumerate(self._names)}

    def _refresh(self) -> None:
        """Read the documents that were written since the last call, by this process or another."""
        while (document := self._store.get_state(self._name, self._read + 1)) is not None:
            try:
                names, ids, values = document["names"], document["ids"], document["values"]
                rows = {sys.intern(str(i)): [float(v) for v in row] for i, row in zip(ids, values, strict=True)}
                whole = all(len(row) == len(names) for row in rows.values()) and (
                    not self._names or self._names == names
                )
                table = np.array(list(rows.values()), dtype=np.float64).reshape(len(rows), len(names))
            except (KeyError, TypeError, ValueError) as error:
                raise self._damaged() from error
            if not whole:
                raise self._damaged()
            self._names = [str(n) for n in names]
            first = len(self._values)
            self._values = np.concatenate([self._values, table]) if self._read else table
            self._place |= {i: first + k for k, i in enumerate(rows)}
            self._read += 1

    def _damaged(self) -> StoreError:
        return StoreError(
            f"the document {self._name!r} in the store is damaged.", hint="Restore the store from a copy of it."
        )
