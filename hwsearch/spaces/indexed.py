"""The two forms of an architecture, names with values and rows of indices, and the way between them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from hwsearch._typing import BoolArray, IntArray
from hwsearch.errors import SpaceError, UnknownArchitectureGene, nearest
from hwsearch.spaces.architecture import Architecture
from hwsearch.spaces.choice import Choice, Value
from hwsearch.spaces.conditions import Conditions


class IndexedSpace:
    """Named choices, and architectures over them in both forms.

    The base of `SearchSpace`. For vectorised work architectures have an array form: an int64 array of shape
    ``(n, genes)`` that holds, for each gene, the index of its value, or -1 where the gene is inactive.

    Parameters
    ----------
    name : str
        Name of the space; part of the id of every architecture.
    choices : iterable of Choice
        The genes in order, at least one; a condition may refer to an earlier gene only.

    Attributes
    ----------
    name : str
        As given.
    choices : tuple of Choice
        The genes in order.
    names : tuple of str
        The genes' names.
    sizes : ndarray of int, shape (genes,)
        How many values each gene has.
    conditions : Conditions
        Which gene depends on which.

    Raises
    ------
    SpaceError
        If there is no choice, two have one name, or a condition does not refer to a value of an earlier choice.
    """

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
        self.conditions = Conditions(name, self.choices)

    def architecture(self, genes: Mapping[str, Value], *, source: str | None = None) -> Architecture:
        """Make the canonical architecture with these genes.

        Parameters
        ----------
        genes : mapping of str to int, float or str
            A value for every active gene; values of inactive genes are checked, then dropped.
        source : str, optional
            Where the genes come from (a file and line, say), named in messages.

        Returns
        -------
        Architecture
            The architecture, without its inactive genes.

        Raises
        ------
        UnknownArchitectureGene
            If a gene or a value is not one of this space.
        SpaceError
            If an active gene has no value.

        Examples
        --------
        >>> from hwsearch.spaces import Choice, SearchSpace, When
        >>> space = SearchSpace("toy", [Choice("depth", (1, 2)), Choice("ks[1]", (3, 5), When("depth", (2,)))])
        >>> space.architecture({"depth": 1, "ks[1]": 5})
        Architecture(8a463c782d92: depth=1)
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
        """Set inactive genes to -1, so that equal networks have equal rows.

        Parameters
        ----------
        rows : ndarray of int, shape (n, genes)
            Value indices; inactive genes may hold anything. The array is not changed.

        Returns
        -------
        ndarray of int, shape (n, genes)
            The canonical rows. Applying the function again changes nothing.
        """
        return self.conditions.canonical(np.asarray(rows, dtype=np.int64))

    def check_space(self, arch: Architecture) -> None:
        """Check that an architecture was made for this space, by the space's name; its genes are not looked at.

        Parameters
        ----------
        arch : Architecture
            Of any space.

        Raises
        ------
        SpaceError
            If it belongs to another space.
        """
        if arch.space_name != self.name:
            raise SpaceError(f"architecture {arch.id} belongs to space {arch.space_name!r}, not to {self.name!r}.")

    def to_array(self, archs: Iterable[Architecture]) -> IntArray:
        """Convert architectures to their array form.

        Parameters
        ----------
        archs : iterable of Architecture
            Architectures of this space.

        Returns
        -------
        ndarray of int, shape (n, genes)
            Canonical rows of value indices, -1 where a gene is inactive.

        Raises
        ------
        SpaceError
            If an architecture belongs to another space.
        UnknownArchitectureGene
            If an architecture has a gene or a value that this space does not have.
        """
        inactive = [-1] * len(self.choices)
        rows = []
        for arch in archs:
            self.check_space(arch)
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
        """Convert rows of value indices to architectures.

        Parameters
        ----------
        rows : ndarray of int, shape (n, genes)
            Value indices; inactive genes may hold anything.

        Returns
        -------
        list of Architecture
            One architecture a row, in order.

        Raises
        ------
        SpaceError
            If an active gene holds no index of a value.
        """
        archs = []
        rows = self.canonical(rows)
        self.check_rows(rows)
        genes = [(c.name, c.values) for c in self.choices]
        for row in rows.tolist():
            items = {name: values[j] for (name, values), j in zip(genes, row, strict=True) if j >= 0}
            archs.append(Architecture(self.name, items))
        return archs

    def check_rows(self, rows: IntArray, start: int = 0) -> None:
        """Check that every active gene of canonical rows holds an index of a value.

        Parameters
        ----------
        rows : ndarray of int, shape (n, genes)
            Canonical rows.
        start : int
            Number of the first row, for the message.

        Raises
        ------
        SpaceError
            For the first entry that is no index; it names the row, the gene and the entry.
        """
        wrong = np.argwhere(self.conditions.misplaced(rows))
        if len(wrong):
            k, i = wrong[0]
            raise SpaceError(
                f"space {self.name!r}: row {start + k} holds no index of a value of gene {self.names[i]!r}: {rows[k, i]}."
            )

    def contains_array(self, rows: IntArray) -> BoolArray:
        """Tell which rows are architectures of this space.

        Parameters
        ----------
        rows : ndarray of int, shape (n, genes)
            Value indices; inactive genes may hold anything.

        Returns
        -------
        ndarray of bool, shape (n,)
            Whether each row holds an index of a value in every active gene.
        """
        return np.asarray(~self.conditions.misplaced(self.canonical(rows)).any(axis=1))

    def __contains__(self, arch: object) -> bool:
        if not isinstance(arch, Architecture) or arch.space_name != self.name:
            return False
        try:
            return self.architecture(arch.to_dict()) == arch
        except SpaceError:
            return False
