"""Descriptions are TOML: read with typed errors, written so that they read back equal."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli_w

from latency_tables.errors import TableError
from latency_tables.reading import ReadingError, decode, parse_toml

#: a document, or a table in one, whose values are looked at by whoever knows its keys
Document = dict[str, Any]


def read(path: Path) -> Document:
    """Read a TOML document.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    dict
        The document.

    Raises
    ------
    TableError
        If the file cannot be read or is not TOML.
    """
    try:
        return parse_toml(decode(path.read_bytes()))
    except OSError as error:
        raise TableError(f"cannot read {str(path)!r}: {error.strerror}.") from error
    except ReadingError as error:
        raise TableError(f"{str(path)!r} is not TOML: {error}.") from error


def dumps(document: Mapping[str, object]) -> str:
    """Write a document as TOML.

    Parameters
    ----------
    document : mapping
        JSON-like values; TOML has no null, so None values are left out.

    Returns
    -------
    str
        Text that reads back equal, but for what was None.

    Examples
    --------
    >>> print(dumps({"name": "v100", "batch": None, "tables": {"toy": {"rows": 3}}}), end="")
    name = "v100"
    <BLANKLINE>
    [tables.toy]
    rows = 3
    """
    return tomli_w.dumps(_without_none(document))


def _without_none(value: Mapping[str, object]) -> Document:
    return {k: _plain(v) for k, v in value.items() if v is not None}


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return _without_none(value)
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value if v is not None]
    return value
