"""Measured latencies as data: one folder a device, with a description and one table a search space.

>>> table = load("v100-b64", "ofa-mobilenetv3")
>>> len(table), "latency_ms" in table.columns
(5000, True)
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pandas as pd

__all__ = ["TableError", "devices", "load", "show"]

FOLDER = Path(__file__).parent


class TableError(ValueError):
    """A table or device is unknown, or a file does not agree with its description."""


def devices(folder: Path | None = None) -> list[str]:
    """Names of all devices that have tables."""
    return sorted(p.parent.name for p in (folder or FOLDER).glob("*/device.toml"))


def show(device: str, folder: Path | None = None) -> dict[str, Any]:
    """A device's description: hardware, batch, unit, and of each table the source, licence and protocol."""
    path = (folder or FOLDER) / device / "device.toml"
    if not path.is_file():
        raise TableError(f"there is no latency table of device {device!r}. Known: {', '.join(devices(folder))}.")
    with path.open("rb") as stream:
        return tomllib.load(stream)


def load(device: str, table: str, folder: Path | None = None) -> pd.DataFrame:
    """One table: a column a gene (empty where the gene is inactive) and ``latency_ms``, one row an architecture.

    Raises `TableError` when the file does not hold what its description says.
    """
    tables = show(device, folder).get("tables", {})
    if table not in tables:
        raise TableError(f"device {device!r} has no table {table!r}. Known: {', '.join(sorted(tables))}.")
    facts = tables[table]
    frame = pd.read_csv((folder or FOLDER) / device / facts["file"])
    if "latency_ms" not in frame.columns:
        raise TableError(f"table {table!r} of {device!r} has no column 'latency_ms'.")
    if len(frame) != facts["rows"]:
        raise TableError(f"table {table!r} of {device!r} has {len(frame)} rows, its description says {facts['rows']}.")
    bad = ~(frame["latency_ms"] > 0)
    if bad.any():
        raise TableError(f"table {table!r} of {device!r}: row {int(bad.to_numpy().argmax())} has no positive latency.")
    genes = frame.columns.drop("latency_ms")
    frame[genes] = frame[genes].astype("Int64")
    return frame
