"""Measurements as a table: a frame in memory, or a CSV file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from hwsearch._files import anything, new_content
from hwsearch.errors import StoreError

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


def to_frame(rows: Iterable[Sequence[Any]]) -> pd.DataFrame:
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


def write_csv(frames: Iterable[pd.DataFrame], path: str | Path) -> None:
    """Write frames, one below the other, to a CSV file whole or not at all.

    Parameters
    ----------
    frames : iterable of pandas.DataFrame
        Of the same columns, with ``genes`` and ``details``, whose dicts become JSON text; missing values become empty fields. At
        least one.
    path : str or Path
        The file.

    Raises
    ------
    StoreError
        If it cannot be written.
    OutputError
        If there is a link or a folder.
    """
    try:
        with new_content(Path(path), anything) as file:
            for k, frame in enumerate(frames):
                texts = {
                    name: [json.dumps(v) if isinstance(v, dict) else "" for v in frame[name]]
                    for name in ("genes", "details")
                }
                file.write(frame.assign(**texts).to_csv(index=False, header=k == 0, lineterminator="\n").encode())
    except OSError as error:
        raise StoreError(
            f"{str(path)!r} cannot be written: {error.strerror}.", hint="Check the folder and the free space."
        ) from error
