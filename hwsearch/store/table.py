"""Measurements as a table: a frame in memory, or a CSV file."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path

import pandas as pd

from hwsearch._files import anything, new_content
from hwsearch.errors import StoreError

#: rows of a CSV file that are written together
TOGETHER = 1000
#: the columns of a frame, in order (no blobs), and their types
DTYPES = {
    "arch_id": "object",
    "metric": "object",
    "subject": "object",
    "protocol": "object",
    "purpose": "object",
    "supernet": "object",
    "value": "float64",
    "unit": "object",
    "spread": "float64",
    "low": "float64",
    "high": "float64",
    "repeats": "int64",
    "failure": "object",
    "details": "object",
    "started_at": "object",
    "ended_at": "object",
    "run": "Int64",
    "key": "object",
}


def to_frame(rows: Iterable[Sequence[object]]) -> pd.DataFrame:
    """Make a frame of rows.

    Parameters
    ----------
    rows : iterable of sequence
        Shape (n, columns of `DTYPES`), in that order.

    Returns
    -------
    pandas.DataFrame
        With the types of `DTYPES`; a failed measurement has value NaN.
    """
    columns = list(zip(*rows, strict=True)) or [()] * len(DTYPES)
    data = {
        name: pd.Series(list(column), dtype=dtype)
        for (name, dtype), column in zip(DTYPES.items(), columns, strict=True)
    }
    return pd.DataFrame(data)


def write_csv(names: Sequence[str], rows: Iterable[Sequence[object]], path: str | Path) -> int:
    """Write rows to a CSV file whole or not at all; a part of them is in memory at a time.

    Parameters
    ----------
    names : sequence of str
        Names of the columns.
    rows : iterable of sequence
        Texts, numbers, and None for an empty field.
    path : str or Path
        The file.

    Returns
    -------
    int
        Number of rows.

    Raises
    ------
    StoreError
        If it cannot be written.
    OutputError
        If there is a link or a folder.
    """
    number, source = 0, iter(rows)
    try:
        with new_content(Path(path), anything) as file:
            part: list[Sequence[object]] = [names]
            while part:
                text = io.StringIO(newline="")
                csv.writer(text, lineterminator="\n").writerows(part)
                file.write(text.getvalue().encode())
                part = list(islice(source, TOGETHER))
                number += len(part)
    except OSError as error:
        raise StoreError(
            f"{str(path)!r} cannot be written: {error.strerror}.", hint="Check the folder and the free space."
        ) from error
    return number
