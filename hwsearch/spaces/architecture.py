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
    encodings of the same network are the same architecture. Made by `SearchSpace.architecture`.
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
        """The value of gene `name` as an int (kernel sizes, depths, resolutions)."""
        return int(self[name])

    @cached_property
    def id(self) -> str:
        """Twelve hex digits, the same on every machine and in every version: a hash of space and values."""
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
        return dict(self._items)
