"""Read tables that other programs wrote as text: whatever separates their columns, and no guess where two readings are possible."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from latency_tables.errors import TableError
from latency_tables.reading import ReadingError, decode, unpack_gzip

#: what may stand between two columns
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
DECIMAL_COMMA = re.compile(r"\s*[+-]?\d+,\d+\s*")
THOUSANDS = re.compile(r"\s*[+-]?\d{1,3}(,\d{3})+\s*")
PLAIN_NUMBER = re.compile(r"\s*([+-]?\d+)?\s*")
#: values of a table of text; each takes many times the memory of its text
MOST_CELLS = 8_000_000


def read_delimited(path: Path, **options: Any) -> pd.DataFrame:
    """Read a table of text with a line of column names; comments before it, byte order marks and row numbers are left out.

    Parameters
    ----------
    path : pathlib.Path
        A .csv, .tsv or .txt file, also compressed (.gz). The separator is the one of comma, semicolon, tab and bar that
        stands between the names; decimal commas are read where it is not the comma.
    **options
        Of `pandas.read_csv`.

    Returns
    -------
    pandas.DataFrame
        The columns by their names.

    Raises
    ------
    TableError
        If the file cannot be read, is no such table, has names missing or twice, or rows of another length; and where
        its text can be read in two ways, with both of them.
    """
    text = _text(path)
    what = repr(str(path))
    lines = text.splitlines(keepends=True)
    skipped = 0
    while skipped < len(lines) and (not lines[skipped].strip() or lines[skipped].lstrip().startswith("#")):
        skipped += 1
    body = "".join(lines[skipped:])
    if not body:
        raise TableError(f"{what} is empty: a table needs a line of column names.")
    separator = _separator(lines[skipped], what)
    rows = _rows(body, separator, skipped, what)
    names, rows = [name.strip() for name in rows[0]], rows[1:]
    if not names[0]:
        if [row[0].strip() for row in rows] != [str(i) for i in range(len(rows))]:
            raise TableError(f"{what}: the first column has no name, and is not the numbers of the rows.")
        names, rows = names[1:], [row[1:] for row in rows]
    _check_names(names, what)
    decimal = "." if separator == "," else _decimal(names, rows, what)
    plain = io.StringIO()
    csv.writer(plain, delimiter=separator).writerows([names, *rows])
    plain.seek(0)
    try:
        return pd.read_csv(plain, sep=separator, decimal=decimal, float_precision="round_trip", **options)
    except (ValueError, OverflowError) as error:
        raise TableError(f"{what} is not a table: {error}") from error


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise TableError(f"cannot read {str(path)!r}: {error.strerror or error}.") from error
    if path.suffix == ".gz":
        try:
            data = unpack_gzip(data)
        except ReadingError as error:
            raise TableError(f"cannot read {str(path)!r}: it is {error}.") from error
    try:
        text = decode(data)
    except ReadingError as error:
        raise TableError(f"{str(path)!r} is {error}.") from error
    if "\0" in text:
        raise TableError(f"{str(path)!r} is not text: it holds a zero byte.")
    return text


def _separator(header: str, what: str) -> str:
    """Return what stands between the column names; a comma where there is one column."""
    outside = re.sub(r'"[^"]*"', "", header)
    there = [s for s in SEPARATORS if s in outside]
    if len(there) > 1:
        counts = " or ".join(f"{outside.count(s) + 1} by {SEPARATORS[s]}" for s in there)
        raise TableError(
            f"{what}: its first line can be read as columns in two ways: {counts}. Quote names that hold these signs."
        )
    if not there and len(outside.split()) > 1:
        raise TableError(
            f"{what}: {header.strip()!r} is one column, or several with blanks between. Separate columns by commas."
        )
    return there[0] if there else ","


def _rows(body: str, separator: str, skipped: int, what: str) -> list[list[str]]:
    reader = csv.reader(io.StringIO(body), delimiter=separator, strict=True, skipinitialspace=True)
    rows: list[list[str]] = []
    try:
        for row in reader:
            if not row:
                continue
            if rows and len(row) != len(rows[0]):
                raise TableError(
                    f"{what}, line {reader.line_num + skipped}: {len(row)} values for {len(rows[0])} columns."
                )
            rows.append(row)
            if len(rows) * len(row) > MOST_CELLS:
                raise TableError(
                    f"{what} has more than {MOST_CELLS} values: a table of that size belongs into a parquet file."
                )
    except csv.Error as error:
        raise TableError(f"{what}, line {reader.line_num + skipped}: {error}.") from error
    return rows


def _check_names(names: Sequence[str], what: str) -> None:
    if not names:
        raise TableError(f"{what} has no columns beside the numbers of its rows.")
    if missing := [i + 1 for i, name in enumerate(names) if not name]:
        raise TableError(f"{what}: column {missing[0]} has no name.")
    if twice := sorted({name for name in names if list(names).count(name) > 1}):
        raise TableError(f"{what}: the column name {twice[0]!r} stands there twice.")


def _decimal(names: Sequence[str], rows: Sequence[Sequence[str]], what: str) -> str:
    """Return the decimal sign of a table whose columns are not separated by commas."""
    commas = False
    for k, name in enumerate(names):
        values = [row[k] for row in rows]
        with_comma = [v for v in values if DECIMAL_COMMA.fullmatch(v) or THOUSANDS.fullmatch(v)]
        if not with_comma or not all(v in with_comma or PLAIN_NUMBER.fullmatch(v) for v in values):
            continue
        if all(THOUSANDS.fullmatch(v) for v in with_comma):
            told = with_comma[0].strip()
            raise TableError(
                f"{what}, column {name!r}: {told!r} may be {told.replace(',', '.')} or {told.replace(',', '')}. Write decimal points, and no commas."
            )
        commas = True
    return "," if commas else "."
