"""An architecture: one immutable, canonical point of a search space."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import cached_property

from hwsearch.errors import UnknownArchitectureGene, nearest
from hwsearch.spaces.choice import Value


class Architecture(Mapping[str, Value]):
    """An immutable, hashable assignment of values to the *active* genes of a space.

    Genes that do not matter (the kernel size of a layer that depth has cut) are absent, so two
    encodings of the same network are the same architecture. Usually made by `SearchSpace.architecture`, which
    checks the genes.

    Parameters
    ----------
    space_name : str
        Name of the space; two spaces never share an architecture.
    items : mapping of str to int, float or str
        The active genes and their values.

    Examples
    --------
    >>> from hwsearch.spaces import Choice, SearchSpace
    >>> space = SearchSpace("toy", [Choice("depth", (1, 2)), Choice("width", (8, 16))])
    >>> arch = space.architecture({"depth": 2, "width": 8})
    >>> arch["depth"], arch.id
    (2, '81bce4595294')
    >>> arch == space.largest()
    False
    """

    __slots__ = ("__dict__", "_items", "space_name")

    def __init__(self, space_name: str, items: Mapping[str, Value]) -> None:
        self.space_name = space_name
        self._items = dict(items)

    def __getitem__(self, name: str) -> Value:
        try:
            return self._items[name]
        except KeyError:
            raise UnknownArchitectureGene(
                f"gene {name!r} is not active in architecture {self.id} of space {self.space_name!r}.",
                hint=nearest(name, self._items),
            ) from None

    def __contains__(self, name: object) -> bool:
        return name in self._items

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def integer(self, name: str) -> int:
        """Get the value of a gene as an int (kernel sizes, depths, resolutions).

        Parameters
        ----------
        name : str
            Name of an active gene.

        Returns
        -------
        int
            Its value.

        Raises
        ------
        UnknownArchitectureGene
            If the gene is not active in this architecture, or not of its space.
        """
        return int(self[name])

    @cached_property
    def id(self) -> str:
        """The stable id: twelve hex digits of a hash of space and values, the same on every machine and in every version."""
        text = json.dumps([self.space_name, self._items], sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def __hash__(self) -> int:
        return hash(self.id)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Architecture):
            return NotImplemented
        return self.space_name == other.space_name and self._items == other._items

    def __repr__(self) -> str:
        genes = " ".join(f"{k}={v}" for k, v in self._items.items())
        return f"Architecture({self.id}: {genes})"

    def to_dict(self) -> dict[str, Value]:
        """Copy the active genes into a dict.

        Returns
        -------
        dict of str to int, float or str
            Values by gene, in the order of the space; `SearchSpace.architecture` makes an equal architecture of it.
        """
        return dict(self._items)
