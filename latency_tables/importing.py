"""Tables from elsewhere: a CSV or parquet file and a description of what its columns are.

The description is TOML: ``space``, ``unit``, ``statistic``, ``protocol``, ``measured``, ``source``, ``licence``,
``note`` of the tables; ``[genes]`` maps genes to columns where the names differ; ``[devices.NAME]`` gives ``column``,
``hardware``, ``runtime``, ``batch``, and any of the former where one device differs. A pattern with ``*`` stands for
numbered names (``"ks[*]" = "ks*"``), and ``"column/key/*/0"`` looks into a column of JSON text. ``where`` keeps the
rows with these values; ``table`` names the table, else it is called as the space; ``share`` keeps the genes once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from latency_tables import tables, toml
from latency_tables.delimited import read_delimited
from latency_tables.errors import Fault, TableError, nearest
from latency_tables.spaces import TableSpace, load_space

UNITS = {"s": 1000.0, "ms": 1.0, "us": 1e-3, "µs": 1e-3, "ns": 1e-6}
#: of a table, and so may be given for all devices or for one
FACTS = ("statistic", "protocol", "measured", "source", "licence", "note")
DEVICE = ("hardware", "runtime", "batch")
KEYS = {"space", "unit", "genes", "devices", "where", "table", "share", *FACTS}


def import_file(path: Path, description: Mapping[str, Any] | Path, folder: Path) -> list[dict[str, Any]]:
    """Add the tables that a file holds to a folder.

    Nothing is written unless all of them are sound. Rows that repeat an architecture with the same latency are dropped.

    Parameters
    ----------
    path : Path
        A CSV or parquet file.
    description : mapping or Path
        What its columns are; see the module.
    folder : Path
        Of tables.

    Returns
    -------
    list of dict
        ``device``, ``table``, ``rows``, ``dropped`` of each table.

    Raises
    ------
    TableError
        Names every fault with its column and its row, from 0 among the rows that ``where`` keeps.
    """
    if isinstance(description, Path):
        description = toml.read(description)
    _check(description)
    space = load_space(description["space"], folder)
    frame = tables.read_frame(path) if path.suffix == ".parquet" else read_delimited(path)
    for column, value in description.get("where", {}).items():
        frame = frame[_column(frame, column) == value]
    frame = frame.reset_index(drop=True)
    genes, faults = space.typed(_genes(frame, space, description.get("genes", {})))
    if faults:
        raise TableError(f"{str(path)!r} does not fit space {space.name!r}:", faults)
    genes = space.canonical(genes)
    if faults := space.faults(genes):
        raise TableError(f"{str(path)!r} does not fit space {space.name!r}:", faults)
    ready = []
    for name, device in description["devices"].items():
        said = {**description, **device}
        latency = _column(frame, device["column"])
        kept = _rows(genes, latency, space, said["unit"], f"{str(path)!r}, device {name!r}", device["column"])
        facts = {k: said[k] for k in FACTS if k in said}
        about = {
            "name": name,
            "hardware": device["hardware"],
            "runtime": device.get("runtime", "not stated"),
            "unit": "ms",
        }
        if "batch" in device:
            about["batch"] = device["batch"]
        ready.append((about, kept, facts))
    table, share = description.get("table", space.name), bool(description.get("share", False))
    report = []
    for about, kept, facts in ready:
        tables.write(folder, about, table, kept, space, facts, share=share)
        report.append({"device": about["name"], "table": table, "rows": len(kept), "dropped": len(frame) - len(kept)})
    return report


def _check(description: Mapping[str, Any]) -> None:
    for key in description:
        if key not in KEYS:
            raise TableError(f"the description has an unknown key {key!r}. {nearest(key, KEYS)}")
    if "space" not in description:
        raise TableError("the description does not say the space.")
    if not description.get("devices"):
        raise TableError("the description names no device: add [devices.NAME] with column and hardware.")
    for name, device in description["devices"].items():
        allowed = {"column", "unit", *DEVICE, *FACTS}
        for key in device:
            if key not in allowed:
                raise TableError(f"device {name!r} has an unknown key {key!r}. {nearest(key, allowed)}")
        said = {**description, **device}
        needed = ("column", "hardware", "unit", *FACTS[:-1])
        missing = [k for k in needed if said.get(k) in (None, "")]
        if missing:
            raise TableError(
                f"device {name!r}: the description does not say {', '.join(missing)}. "
                "Nothing is assumed: write 'not stated by the source' where nobody knows; a unit must be known."
            )
        if said["unit"] not in UNITS:
            raise TableError(f"device {name!r}: unit {said['unit']!r} is not one of {', '.join(UNITS)}.")
        if said["measured"] not in tables.MEASURED:
            raise TableError(
                f"device {name!r}: measured = {said['measured']!r} is not one of {', '.join(map(repr, tables.MEASURED))}."
            )
        if not re.fullmatch(r"[\w.-]+", name) or name == "spaces":
            raise TableError(f"{name!r} cannot be a device's name: use letters, digits, dots and dashes.")


def _column(frame: pd.DataFrame, name: str) -> pd.Series[Any]:
    if name not in frame.columns:
        raise TableError(f"the file has no column {name!r}. {nearest(name, map(str, frame.columns))}")
    return frame[name]


def _genes(frame: pd.DataFrame, space: TableSpace, mapping: Mapping[str, str]) -> pd.DataFrame:
    columns = {}
    for name in space.names:
        source = _source(name, mapping)
        head, *keys = source.split("/")
        if keys and source not in frame.columns:
            columns[name] = pd.Series([_inside(t, keys) for t in _column(frame, head)], dtype=object)
        elif source in frame.columns:
            columns[name] = frame[source]
        else:
            raise TableError(
                f"gene {name!r}: the file has no column {source!r}. {nearest(source, map(str, frame.columns))}"
            )
    return pd.DataFrame(columns, index=frame.index)


def _source(gene: str, mapping: Mapping[str, str]) -> str:
    if gene in mapping:
        return mapping[gene]
    for pattern, source in mapping.items():
        before, star, after = pattern.partition("*")
        found = re.fullmatch(rf"{re.escape(before)}(\d+){re.escape(after)}", gene) if star else None
        if found:
            return source.replace("*", found[1])
    return gene


def _inside(text: Any, keys: list[str]) -> Any:
    try:
        value = json.loads(text)
        for key in keys:
            value = value[int(key)] if isinstance(value, list) else value[key]
        return value
    except (TypeError, ValueError, KeyError, IndexError):
        return None


def _rows(
    genes: pd.DataFrame, latency: pd.Series[Any], space: TableSpace, unit: str, what: str, column: str
) -> pd.DataFrame:
    """Read genes and latency in ms, without repeated rows."""
    frame = genes.assign(**{tables.LATENCY: latency.to_numpy()})
    faults = [Fault(f.message, f.row, column) for f in tables.latency_faults(frame)]
    if not faults and space.identifies:
        keys = genes.astype("string").fillna("").agg("|".join, axis=1) if genes.duplicated().any() else None
        if keys is not None:
            first = frame[tables.LATENCY].groupby(keys.to_numpy()).transform("first")
            rows = np.flatnonzero(first.to_numpy() != frame[tables.LATENCY].to_numpy())
            faults = [Fault("another latency for the architecture of an earlier row", int(i), column) for i in rows]
            frame = frame[~genes.duplicated()].reset_index(drop=True)
    if faults:
        raise TableError(f"{what}:", faults)
    if UNITS[unit] != 1.0:
        frame[tables.LATENCY] = frame[tables.LATENCY].astype("float64") * UNITS[unit]
    return frame
