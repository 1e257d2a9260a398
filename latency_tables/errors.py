"""Errors of latency tables."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

#: faults that a message shows; the rest are counted
SHOWN = 8


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with a table.

    Attributes
    ----------
    message : str
        What is wrong.
    row : int or None
        From 0; None where it is not about one row.
    column : str
        ``""`` where it is not about one column.

    Examples
    --------
    >>> str(Fault("missing", column="ks[0]"))
    "column 'ks[0]': missing"
    """

    message: str
    row: int | None = None
    column: str = ""

    def __str__(self) -> str:
        row = f"row {self.row}" if self.row is not None else ""
        column = f"column {self.column!r}" if self.column else ""
        place = ", ".join(p for p in (row, column) if p)
        return f"{place}: {self.message}" if place else self.message


class TableError(ValueError):
    """A table or device is unknown, or a file does not agree with its description.

    Parameters
    ----------
    message : str
        What is wrong.
    faults : iterable of Fault
        All that was found; the first `SHOWN` are in the text.
    """

    def __init__(self, message: str, faults: Iterable[Fault] = ()) -> None:
        self.faults = tuple(faults)
        lines = [f"  {f}" for f in self.faults[:SHOWN]]
        if len(self.faults) > SHOWN:
            lines.append(f"  and {len(self.faults) - SHOWN} more")
        super().__init__("\n".join([message, *lines]))


def nearest(word: str, names: Iterable[str]) -> str:
    """Say which name may be meant.

    Parameters
    ----------
    word : str
        As it was given.
    names : iterable of str
        Known names.

    Returns
    -------
    str
        A sentence with the nearest name, or with all names.

    Examples
    --------
    >>> nearest("v10", ["v100", "pixel3"])
    "Did you mean 'v100'?"
    """
    known = sorted(names)
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"Did you mean {close[0]!r}?" if close else f"Known: {', '.join(known) or 'none'}."
