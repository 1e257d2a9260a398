"""Reading, checking and writing tables: a folder of devices, each with its description and its files."""

from __future__ import annotations

import hashlib
import io
import tomllib
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TypedDict

import numpy as np
import pandas as pd

from latency_tables import toml
from latency_tables.errors import Fault, TableError, nearest
from latency_tables.parquet import read_parquet
from latency_tables.reading import unpack_gzip
from latency_tables.spaces import TableSpace, load_space
from latency_tables.toml import Document
from latency_tables.writing import (
    Recogniser,
    WritingError,
    anything,
    check_place,
    containing,
    own_folder,
    write_file,
)

FOLDER = Path(__file__).parent
LATENCY = "latency_ms"
#: further columns a table may have, and their types
EXTRA = {"low_ms": "float64", "high_ms": "float64", "repeats": "Int64", "measured_at": "string"}
#: recognises the files of genes
IS_PARQUET = containing(b"PAR1")
#: what a table's numbers may be
MEASURED = ("whole network", "sum of a block table", "model")
#: what each table's description says; `architectures` (a file of ``spaces/``) and `note` may be added
REQUIRED = ("file", "sha256", "rows", "space", "unit", "statistic", "protocol", "measured", "source", "licence")


class TableCheck(TypedDict):
    """Outcome of checking one table.

    Attributes
    ----------
    device : str
        The device's name.
    table : str or None
        The table's name; None where the device has no tables, or none that can be read.
    rows : int or None
        Number of rows; None where it cannot be read.
    fault : str or None
        What is wrong; None where the table is sound.
    """

    device: str
    table: str | None
    rows: int | None
    fault: str | None


def devices(folder: Path | None = None) -> list[str]:
    """List all devices that have tables.

    Parameters
    ----------
    folder : Path, optional
        By default the shipped tables.

    Returns
    -------
    list of str
        In alphabetical order.
    """
    return sorted(p.parent.name for p in (folder or FOLDER).glob("*/device.toml"))


def show(device: str, folder: Path | None = None) -> Document:
    """Read a device's description.

    Parameters
    ----------
    device : str
        Its name.
    folder : Path, optional
        By default the shipped tables.

    Returns
    -------
    dict
        Hardware, runtime, batch, and of each table what `REQUIRED` names.

    Raises
    ------
    TableError
        If there is no such device.
    """
    path = (folder or FOLDER) / device / "device.toml"
    if not path.is_file():
        raise TableError(f"there is no latency table of device {device!r}. {nearest(device, devices(folder))}")
    return toml.read(path)


def table_facts(device: str, table: str, folder: Path | None = None) -> Document:
    """Read what a device's description says of one table.

    Parameters
    ----------
    device, table : str
        Their names.
    folder : Path, optional
        By default the shipped tables.

    Returns
    -------
    dict
        What `REQUIRED` names, and more.

    Raises
    ------
    TableError
        For an unknown table, or a missing fact.
    """
    tables = show(device, folder).get("tables", {})
    if not isinstance(tables, dict) or not all(isinstance(facts, dict) for facts in tables.values()):
        raise TableError(f"device {device!r}: its description has no [tables.NAME].")
    if table not in tables:
        raise TableError(f"device {device!r} has no table {table!r}. {nearest(table, tables)}")
    facts: Document = tables[table]
    missing = [k for k in REQUIRED if k not in facts]
    if missing:
        raise TableError(f"table {table!r} of {device!r}: its description does not say {', '.join(missing)}.")
    texts = (
        "file",
        "sha256",
        "space",
        "unit",
        "measured",
        *(k for k in ("architectures", "architectures_sha256") if k in facts),
    )
    wrong = [k for k in texts if not isinstance(facts[k], str) or "\0" in facts[k]]
    if wrong or not isinstance(facts["rows"], int) or isinstance(facts["rows"], bool):
        raise TableError(
            f"table {table!r} of {device!r}: its description says {wrong[0] if wrong else 'rows'} in another type."
        )
    if facts["unit"] != "ms" or facts["measured"] not in MEASURED:
        raise TableError(
            f"table {table!r} of {device!r}: unit is {facts['unit']!r} and measured {facts['measured']!r}; "
            f"a table is in 'ms', and measured is one of {', '.join(map(repr, MEASURED))}."
        )
    return facts


def load(device: str, table: str, folder: Path | None = None) -> pd.DataFrame:
    """Load one table.

    Parameters
    ----------
    device, table : str
        Their names.
    folder : Path, optional
        By default the shipped tables.

    Returns
    -------
    pandas.DataFrame
        A row a network: a column a gene (nullable; empty where the gene is not there) and ``latency_ms``.

    Raises
    ------
    TableError
        When the files are not those of the description, or hold what the space does not allow.
    """
    facts = table_facts(device, table, folder)
    space = load_space(facts["space"], folder)
    what = f"table {table!r} of {device!r}"
    home = folder or FOLDER
    files = [(home / device / facts["file"], facts["sha256"])]
    if "architectures" in facts:
        files.append((home / "spaces" / facts["architectures"], facts.get("architectures_sha256", "")))
    for path, sha256 in files:
        _check_content(path, sha256, what)
    return _typed(tuple(files), space, facts["rows"], what).copy()


@lru_cache(maxsize=16)
def _typed(files: tuple[tuple[Path, str], ...], space: TableSpace, rows: int, what: str) -> pd.DataFrame:
    """Read and check a table, once for each content of its files; the caller takes a copy."""
    frame = read_frame(files[0][0])
    for path, _ in files[1:]:
        shared = read_frame(path)
        if len(shared) != len(frame):
            raise TableError(f"{what} has {len(frame)} latencies for {len(shared)} architectures.")
        frame = pd.concat([shared, frame], axis=1)
    if len(frame) != rows:
        raise TableError(f"{what} has {len(frame)} rows, its description says {rows}.")
    return checked(frame, space, what)


def checked(frame: pd.DataFrame, space: TableSpace, what: str) -> pd.DataFrame:
    """Bring a frame to its types and check it.

    Parameters
    ----------
    frame : pandas.DataFrame
        As read from a file.
    space : TableSpace
        To which it belongs.
    what : str
        Named in errors.

    Returns
    -------
    pandas.DataFrame
        Typed.

    Raises
    ------
    TableError
        With every fault that was found.
    """
    genes, faults = space.typed(frame)
    strange = [c for c in frame.columns if c not in {*space.names, LATENCY, *EXTRA}]
    faults += [Fault(f"not a column of space {space.name!r}", column=c) for c in strange]
    faults += latency_faults(frame)
    if not faults:
        faults = space.faults(genes)
    if not faults and space.identifies:
        twice = np.flatnonzero(genes.duplicated())
        faults = [Fault("the same architecture as an earlier row", int(i)) for i in twice]
    if faults:
        raise TableError(f"{what} is not a table of space {space.name!r}:", faults)
    further = [c for c in EXTRA if c in frame.columns]
    return pd.concat(
        [genes, frame[[LATENCY]].astype("float64"), frame[further].astype({c: EXTRA[c] for c in further})], axis=1
    )


def latency_faults(frame: pd.DataFrame) -> list[Fault]:
    """Find rows whose latency is not a positive, finite number.

    Parameters
    ----------
    frame : pandas.DataFrame
        With column ``latency_ms``.

    Returns
    -------
    list of Fault
        One a row.
    """
    if LATENCY not in frame.columns:
        return [Fault("missing", column=LATENCY)]
    values = pd.to_numeric(frame[LATENCY], errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    wrong = np.flatnonzero(~((values > 0) & np.isfinite(values)))
    return [Fault(f"{frame[LATENCY].iloc[i]} is not a positive latency", int(i), LATENCY) for i in wrong]


def verify(folder: Path | None = None, device: str | None = None) -> list[TableCheck]:
    """Check every table of a folder, or of one device.

    Parameters
    ----------
    folder : Path, optional
        By default the shipped tables.
    device : str, optional
        By default all.

    Returns
    -------
    list of dict
        ``device``, ``table``, ``rows``, ``fault`` of each; fault is None where it is sound.

    Raises
    ------
    TableError
        If there are no tables, or no such device.
    """
    if device is None and not devices(folder):
        raise TableError(f"there are no tables in {str(folder or FOLDER)!r}.")
    found: list[TableCheck] = []
    for name in [device] if device else devices(folder):
        try:
            tables = show(name, folder).get("tables", {})
        except TableError as error:
            if device:
                raise
            found.append({"device": name, "table": None, "rows": None, "fault": str(error)})
            continue
        if not tables:
            found.append({"device": name, "table": None, "rows": None, "fault": "it has no tables"})
        for table in tables:
            try:
                found.append({"device": name, "table": table, "rows": len(load(name, table, folder)), "fault": None})
            except TableError as error:
                found.append({"device": name, "table": table, "rows": None, "fault": str(error)})
    return found


def write(
    folder: Path,
    device: Mapping[str, object],
    table: str,
    frame: pd.DataFrame,
    space: TableSpace,
    facts: Mapping[str, object],
    *,
    share: bool = False,
) -> Document:
    """Add a table to a folder; a table of that name is replaced.

    Parameters
    ----------
    folder : Path
        Of tables.
    device : mapping
        Its description, with ``name``; it must agree with the one that is there.
    table : str
        Its name.
    frame : pandas.DataFrame
        Typed rows as `checked` returns them; ``latency_ms`` may be float32.
    space : TableSpace
        To which they belong.
    facts : mapping
        Statistic, protocol, measured, source, licence, note.
    share : bool
        Keep the genes once, in ``spaces/``, for all tables with these very rows.

    Returns
    -------
    dict
        The table's facts as written.

    Raises
    ------
    TableError
        If another device or space of that name is there, or a link, or a file that is no table of the device.
    """
    try:
        return _write_table(folder, device, table, frame, space, facts, share)
    except WritingError as error:
        raise TableError(str(error)) from error


def _write_table(
    folder: Path,
    device: Mapping[str, object],
    table: str,
    frame: pd.DataFrame,
    space: TableSpace,
    facts: Mapping[str, object],
    share: bool,
) -> Document:
    home, spaces, name = folder / str(device["name"]), folder / "spaces", f"{table}.parquet"
    description, declared = home / "device.toml", spaces / f"{space.name}.toml"
    for place in (description, declared):
        check_place(place, anything)  # what it says is compared below
    described = show(str(device["name"]), folder) if description.is_file() else {}
    listed = anything if table in described.get("tables", {}) else containing()
    check_place(home / name, listed)
    if share:
        check_place(spaces / name, IS_PARQUET)
    device = tomllib.loads(toml.dumps(device))  # as it will be read
    for key, value in device.items():
        if key != "tables" and described.get(key, value) != value:
            raise TableError(
                f"device {device['name']!r} has {key} = {described[key]!r} in {str(home)!r}, not {value!r}: "
                "another device needs another name."
            )
    for place in (spaces, home):
        own_folder(place)
    if not declared.is_file():
        write_file(declared, toml.dumps(space.to_dict()).encode(), anything)
    elif load_space(space.name, folder).genes != space.genes:
        raise TableError(f"{str(declared)!r} declares another space of that name: give another folder.")
    written: Document = {"file": name, "rows": len(frame), "space": space.name, "unit": "ms", **facts}
    if share:
        genes = _narrow(frame[space.names])
        written |= {"architectures": name, "architectures_sha256": _write_parquet(spaces / name, genes, IS_PARQUET)}
        frame = frame.drop(columns=space.names)
    written["sha256"] = _write_parquet(home / name, frame, listed)
    tables = {**described.get("tables", {}), table: written}
    document = {**described, **device, "tables": dict(sorted(tables.items()))}
    write_file(description, toml.dumps(document).encode(), anything)
    return written


def _narrow(genes: pd.DataFrame) -> pd.DataFrame:
    """Return genes with one-byte integers where these are enough."""
    return genes.astype({c: "Int8" if genes[c].max() < 128 else "Int16" for c in genes if genes[c].dtype == "Int64"})


def _write_parquet(path: Path, frame: pd.DataFrame, ours: Recogniser) -> str:
    """Write a parquet file; returns its sha256."""
    data: bytes = frame.to_parquet(index=False, compression="zstd")
    write_file(path, data, ours)
    return hashlib.sha256(data).hexdigest()


def digest(path: Path) -> str:
    """Digest a file.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    str
        Its sha256 in hex digits.
    """
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _check_content(path: Path, sha256: str, what: str) -> None:
    try:
        there = path.is_file()
    except OSError:  # a name that is too long
        there = False
    if not there:
        raise TableError(f"{what}: its file {str(path)[:200]!r} is missing.")
    if digest(path) != sha256:
        raise TableError(f"{what}: {str(path)!r} is cut or was changed: its sha256 is not the one in the description.")


def read_frame(path: Path, columns: Iterable[str] | None = None) -> pd.DataFrame:
    """Read a CSV (also .csv.gz) or parquet file.

    Parameters
    ----------
    path : Path
        The file.
    columns : iterable of str, optional
        Of parquet; by default all.

    Returns
    -------
    pandas.DataFrame
        As it is in the file.

    Raises
    ------
    TableError
        When it cannot be read.
    """
    try:
        if path.suffix == ".parquet":
            return read_parquet(path, list(columns) if columns else None)
        text = unpack_gzip(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        return pd.read_csv(io.BytesIO(text), float_precision="round_trip")
    except OSError as error:
        raise TableError(f"cannot read {str(path)!r}: {error.strerror or error}.") from error
    except (ValueError, OverflowError) as error:  # pandas' own kinds derive from ValueError
        raise TableError(f"{str(path)!r} is not a whole CSV or parquet file: {error}") from error
