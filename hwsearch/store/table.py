"""Measurements as a table: a frame in memory, or a CSV file."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

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


def write_csv(frame: pd.DataFrame, path: str | Path) -> None:
    """Write a frame to a CSV file whole or not at all.

    Parameters
    ----------
    frame : pandas.DataFrame
        With columns ``genes`` and ``details``, whose dicts become JSON text; missing values become empty fields.
    path : str or Path
        The file.

    Raises
    ------
    StoreError
        If it cannot be written.
    """
    path = Path(path)
    frame = frame.copy()
    for name in ("genes", "details"):
        frame[name] = [json.dumps(v) if isinstance(v, dict) else "" for v in frame[name]]
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        part = Path(name)
        try:
            with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
                frame.to_csv(file, index=False, lineterminator="\n")
                file.flush()
                os.fsync(file.fileno())
            umask = os.umask(0)
            os.umask(umask)
            part.chmod(0o666 & ~umask)  # mkstemp makes files that only their owner can read
            part.replace(path)
        except BaseException:
            part.unlink()
            raise
    except OSError as error:
        raise StoreError(
            f"{str(path)!r} cannot be written: {error.strerror}.", hint="Check the folder and the free space."
        ) from error
