"""Kernel on the architectures of a search space, as rows of value indices."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hwsearch._typing import FloatArray, IntArray
from hwsearch.spaces import SearchSpace
from hwsearch.spaces.rows import smallest_integer
from predictors.kernel import Kernel
from predictors.kernel_parts import Features
from predictors.schema import FACT, GENE, SOURCE, Blocks, Column


class SpaceKernel(Kernel):
    """A `predictors.kernel.Kernel` on the rows of a search space: genes, what is known, and predictions of earlier campaigns.

    Parameters
    ----------
    space : SearchSpace
        Of the architectures.
    sample : ndarray (n, genes)
        Rows by which features are centred and parts brought to unit variance.
    known : callable, optional
        Rows (n, genes) to (n, columns): what is known of architectures without measuring, such as costs, predictions
        of other devices, facts of the space. The block ``fact``.
    warm_start : callable, optional
        The same, predicted from earlier campaigns, whose weight is found for itself. The block ``source``.

    Attributes
    ----------
    space : SearchSpace
        As given.

    Examples
    --------
    >>> from hwsearch.spaces import Choice, SearchSpace
    >>> space = SearchSpace("chain", [Choice(f"w[{i}]", (1, 2, 3)) for i in range(3)])
    >>> SpaceKernel(space, space.enumerate_array()).names[:3]
    ['values', 'trends', 'counts']
    """

    def __init__(
        self,
        space: SearchSpace,
        sample: IntArray,
        known: Callable[[IntArray], FloatArray] | None = None,
        warm_start: Callable[[IntArray], FloatArray] | None = None,
    ) -> None:
        self.space = space
        self._describe = {block: f for block, f in ((FACT, known), (SOURCE, warm_start)) if f is not None}
        blocks = self.blocks(sample)
        told = [Column(f"{block}[{i}]", block) for block in self._describe for i in range(blocks[block].shape[1])]
        super().__init__(space.schema(told), blocks)

    def blocks(self, rows: IntArray) -> Blocks:
        """Encode rows as blocks of columns, without the way over one matrix.

        Parameters
        ----------
        rows : ndarray (n, genes)
            Canonical rows.

        Returns
        -------
        dict
            Block name to columns (n, k), as `predictors.schema.Schema.split` returns them.
        """
        gene, value = self.space.columns
        small = smallest_integer(int(self.space.sizes.max()))  # a wide matrix is gathered
        blocks: Blocks = {GENE: rows.astype(small)[:, gene] == value.astype(small)}
        for block, describe in self._describe.items():
            blocks[block] = np.asarray(describe(rows), dtype=np.float64).reshape(len(rows), -1)
        return blocks

    def row_features(self, rows: IntArray, precision: type[np.floating] = np.float64) -> Features:
        """Compute the features of rows.

        Parameters
        ----------
        rows : ndarray (n, genes)
            Canonical rows.
        precision : type
            Floating-point type of the features.

        Returns
        -------
        dict
            As of `predictors.kernel.Kernel.features`.
        """
        return self.features(self.blocks(rows), precision)
