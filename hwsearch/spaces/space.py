"""A search space: ordered, named, conditional, discrete choices."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from hwsearch._typing import FloatArray, IntArray
from hwsearch.spaces.chains import ChainMixin
from hwsearch.spaces.variation import VariationMixin
from predictors.schema import GENE, Column, Schema, kind_and_place


class SearchSpace(ChainMixin, VariationMixin):
    """An ordered set of `Choice`s, some active only under a condition on an earlier one.

    Architectures have two forms: `Architecture`, a mapping of the active genes to their values, and, for
    vectorised work, a row of an int64 array of shape ``(n, genes)`` that holds the index of each gene's value, or
    -1 where the gene is inactive. Methods that end in ``_array`` take and give rows.

    Parameters
    ----------
    name : str
        Name of the space; part of the id of every architecture.
    choices : iterable of Choice
        The genes in order, at least one; a condition may refer to an earlier gene only.

    Attributes
    ----------
    describe_array : callable or None
        Maps rows ``(n, genes)`` to facts ``(n, columns)`` that are known of architectures without measuring; None
        where there are none.

    Raises
    ------
    SpaceError
        If there is no choice, two have one name, or a condition does not refer to a value of an earlier choice.

    Examples
    --------
    >>> from hwsearch.spaces import Choice, SearchSpace, When
    >>> space = SearchSpace(
    ...     "toy",
    ...     [Choice("depth", (1, 2)), Choice("ks[0]", (3, 5)), Choice("ks[1]", (3, 5), When("depth", (2,)))],
    ... )
    >>> space
    SearchSpace('toy', 3 genes, 6 architectures)
    >>> dict(space.largest())
    {'depth': 2, 'ks[0]': 5, 'ks[1]': 5}
    >>> space.to_array([space.smallest()])
    array([[ 0,  0, -1]])
    """

    describe_array: Callable[[IntArray], FloatArray] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Describe the space by values that JSON knows.

        Returns
        -------
        dict
            ``name`` and ``choices``; `hwsearch.spaces.from_dict` makes an equal space of it.
        """
        return {"name": self.name, "choices": [c.to_dict() for c in self.choices]}

    def to_json(self) -> str:
        """Describe the space as JSON text.

        Returns
        -------
        str
            The text; `hwsearch.spaces.from_json` makes an equal space of it, `hwsearch.spaces.load` of a file of it.
        """
        return json.dumps(self.to_dict(), indent=1)

    def schema(self, others: Iterable[Column] = ()) -> Schema:
        """Describe the columns of the one-hot encoding, for predictors.

        Parameters
        ----------
        others : iterable of Column
            Columns that follow those of the genes, such as facts.

        Returns
        -------
        Schema
            One column a value of each gene, named as in `feature_names`, then the others.

        Examples
        --------
        >>> from hwsearch.spaces import Choice, SearchSpace
        >>> SearchSpace("toy", [Choice("ks[0]", (3, 5)), Choice("ks[1]", (3, 5))]).schema().columns[2]
        Column(name='ks[1]=3', block='gene', kind='ks', place=1, value=3, ordinal=True, optional=False)
        """
        off = self.canonical(np.zeros((1, len(self.choices)), dtype=np.int64))[0] < 0
        columns = []
        for choice, optional in zip(self.choices, off.tolist(), strict=True):
            kind, place = kind_and_place(choice.name, choice.values)
            columns += [
                Column(f"{choice.name}={v}", GENE, kind, place, v, choice.ordinal, optional) for v in choice.values
            ]
        return Schema((*columns, *others))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SearchSpace) and self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash((self.name, self.choices))

    def __repr__(self) -> str:
        return f"SearchSpace({self.name!r}, {len(self.choices)} genes, {self.cardinality:.3g} architectures)"
