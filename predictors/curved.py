"""Weighted sums of a kernel's curved parts between many rows and the measured ones, computed together."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from predictors._typing import FloatArray, IntArray
from predictors.kernel import Kernel
from predictors.kernel_parts import Features, rows_of

#: the block of one-hot genes; the kernels on it follow from how many genes two rows share
GENES = "genes"
#: spaces with more genes would need tables that no cache holds
MOST_GENES = 400


class CurvedSums:
    """Sums of curved kernels with measured rows, for several processes on one kernel.

    Two rows of one-hot genes have an inner product and a distance that are whole numbers: how many genes they share, and
    how many are active in either. All kernels on them are therefore looked up in one table, in the precision of the
    features; in place of a matrix an exponential and a pass for each part there is one product and one look-up a process.

    Parameters
    ----------
    kernel : Kernel
        Its curved parts are summed.
    measured : dict
        Block name to features (n, columns) of the measured rows.
    weights : sequence of ndarray (curved parts,) or None
        Of each process, on kernels that are not scaled; None: nothing is summed.

    Examples
    --------
    >>> from predictors.schema import Schema
    >>> schema = Schema.from_names([f"w[{i}]={v}" for i in range(3) for v in (1, 2)])
    >>> X = np.array([[1, 0, 1, 0, 0, 1], [0, 1, 1, 0, 1, 0], [0, 1, 0, 1, 1, 0]])
    >>> kernel = Kernel(schema, schema.split(X))
    >>> rows = kernel.features(schema.split(X))
    >>> weights = np.ones(len(kernel.curved))
    >>> (sums,) = CurvedSums(kernel, rows, [weights])(rows)
    >>> bool(np.allclose(sums, kernel.curves(rows, rows).sum(axis=0)))
    True
    """

    def __init__(self, kernel: Kernel, measured: Features, weights: Sequence[FloatArray | None]) -> None:
        self._weights = list(weights)
        self._genes = len(kernel.schema.genes)
        names = [part.block for part in kernel.curved]
        tabled = GENES in names and 0 < self._genes <= MOST_GENES
        self._others = [k for k, name in enumerate(names) if not (tabled and name == GENES)]
        self._kernel = kernel.with_curved(self._others)
        self._measured = measured
        self._tables: list[FloatArray | None] = []
        if tabled:
            at = [k for k, name in enumerate(names) if name == GENES]
            self._there, self._active = self._counted(measured)
            values = kernel.with_curved(at).shared_curves(self._genes)  # (parts, genes + 1, 2 genes + 1)
            kind = measured[GENES].dtype
            self._tables = [
                None if w is None else np.tensordot(w[at].astype(np.float64), values, 1).ravel().astype(kind)
                for w in self._weights
            ]

    def _counted(self, features: Features) -> tuple[FloatArray, FloatArray]:
        """Compute the genes as zeros and ones, and how many are active, (n, columns) and (n,)."""
        onehot = np.rint(features[GENES] * math.sqrt(self._genes))
        return onehot, onehot.sum(axis=1)

    def _places(self, features: Features) -> IntArray:
        """Compute the place (k, n) in the tables of each row with each measured one."""
        active = features[GENES].sum(axis=1) * features[GENES].dtype.type(math.sqrt(self._genes))
        step = (2 * self._genes - 1) * math.sqrt(self._genes)
        places = features[GENES] @ (self._there * self._there.dtype.type(step)).T
        places += (self._active + self._active.dtype.type(0.5))[None, :]  # a half, so that cutting off rounds
        places += active[:, None]
        return np.asarray(places.astype(np.intp))

    def _curve(self, features: Features, k: int) -> FloatArray:
        """Compute one of the other kernels (k, n); of one that decays with the squared distance, the exponent is one product."""
        part = self._kernel.curved[k]
        x, y = features[part.block], self._measured[part.block]
        if part.kind != "rbf":
            return self._kernel.with_curved([k]).curves(features, self._measured)[0]
        ones = np.ones((len(x), 1), dtype=x.dtype)
        left = np.concatenate([x, (x**2).sum(axis=1, keepdims=True), ones], axis=1)
        right = np.concatenate([-2.0 * y, np.ones((len(y), 1)), (y**2).sum(axis=1, keepdims=True)], axis=1)
        exponent = left @ (right * (-1.0 / part.scale)).astype(x.dtype).T
        np.minimum(exponent, 0.0, out=exponent)
        return np.exp(exponent, out=exponent)

    def __call__(self, features: Features) -> list[FloatArray | None]:
        """Sum the kernels.

        Parameters
        ----------
        features : dict
            Block name to features (k, columns), in the precision of the measured ones.

        Returns
        -------
        list of ndarray (k, n) or None
            One a process.
        """
        out: list[FloatArray | None] = [None] * len(self._weights)
        if self._tables:
            places = self._places(features)
            out = [None if table is None else table.take(places) for table in self._tables]
        if not self._others and self._tables:
            return out
        curves = [self._curve(features, k) for k in range(len(self._others))]
        for j, weights in enumerate(self._weights):
            if weights is None:
                continue
            total = out[j]
            if total is None:
                total = np.zeros(
                    (rows_of(features), rows_of(self._measured)), dtype=next(iter(features.values())).dtype
                )
            for k, curve in zip(self._others, curves, strict=True):
                if weights[k]:
                    total += curve * weights[k]
            out[j] = total
        return out
