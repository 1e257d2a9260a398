"""One gene of a search space: a name, its values, and when it matters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hwsearch.errors import SpaceError

Value = int | float | str


@dataclass(frozen=True)
class When:
    """The condition under which a gene is active: the gene `name` is active and has one of `values`."""

    name: str
    values: tuple[Value, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", tuple(self.values))


@dataclass(frozen=True)
class Choice:
    """An ordered, named set of discrete values.

    name : the field's name for the gene, e.g. ``ks[3]``
    values : at least one value; for an ordinal choice sorted from the cheapest to the dearest
    when : the condition under which the gene is active; None means always
    ordinal : whether the order of `values` means size
    """

    name: str
    values: tuple[Value, ...]
    when: When | None = None
    ordinal: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", tuple(self.values))
        if not self.values:
            raise SpaceError(f"choice {self.name!r} has no values.")
        if len(set(self.values)) != len(self.values):
            raise SpaceError(f"choice {self.name!r} lists a value twice: {self.values}.")
        numbers = [v for v in self.values if isinstance(v, (int, float))]
        if self.ordinal and len(numbers) == len(self.values) and numbers != sorted(numbers):
            raise SpaceError(
                f"choice {self.name!r}: the values {self.values} are not in ascending order.",
                hint="Sort them, or say ordinal=False.",
            )

    def to_dict(self) -> dict[str, Any]:
        data: dict[str, Any] = {"name": self.name, "values": list(self.values)}
        if self.when is not None:
            data["when"] = {"name": self.when.name, "values": list(self.when.values)}
        if not self.ordinal:
            data["ordinal"] = False
        return data

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Choice:
        when = data.get("when")
        return cls(
            name=data["name"],
            values=tuple(data["values"]),
            when=When(when["name"], tuple(when["values"])) if when else None,
            ordinal=bool(data.get("ordinal", True)),
        )
