"""What can be wrong with a table."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

#: faults that a message shows; the rest are counted
SHOWN = 8


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong. row : from 0, None where it is not about one row; column : ``""`` likewise."""

    message: str
    row: int | None = None
    column: str = ""

    def __str__(self) -> str:
        row = f"row {self.row}" if self.row is not None else ""
        column = f"column {self.column!r}" if self.column else ""
        place = ", ".join(p for p in (row, column) if p)
        return f"{place}: {self.message}" if place else self.message


class TableError(ValueError):
    """A table or device is unknown, or a file does not agree with its description; `faults` says all that was found."""

    def __init__(self, message: str, faults: Iterable[Fault] = ()) -> None:
        self.faults = tuple(faults)
        lines = [f"  {f}" for f in self.faults[:SHOWN]]
        if len(self.faults) > SHOWN:
            lines.append(f"  and {len(self.faults) - SHOWN} more")
        super().__init__("\n".join([message, *lines]))


def nearest(word: str, names: Iterable[str]) -> str:
    """The name meant by `word`, or all names."""
    known = sorted(names)
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"Did you mean {close[0]!r}?" if close else f"Known: {', '.join(known) or 'none'}."
