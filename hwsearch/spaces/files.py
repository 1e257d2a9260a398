"""Spaces by name, from files, and from their JSON form."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from hwsearch.errors import SpaceError, nearest
from hwsearch.spaces.choice import Choice
from hwsearch.spaces.nasbench201 import nas_bench_201
from hwsearch.spaces.space import SearchSpace
from hwsearch.spaces.table import TableSpace
from latency_tables.reading import ReadingError, decode, parse_json

#: names of columns that hold figures of architectures, where their values are no whole numbers
METRIC = re.compile(
    r"(^|[^a-z])(acc(uracy)?|top-?[15]|latency|ms|seconds|macs|flops|params|energy|memory|loss|score)([^a-z]|$)"
)

NAMED: dict[str, Callable[[], SearchSpace]] = {"nas-bench-201": nas_bench_201}


def load(source: str | PathLike[str]) -> SearchSpace:
    """Load a space by its name or from a file.

    Parameters
    ----------
    source : str or path
        ``"nas-bench-201"``; a .csv, .tsv or .txt file, which gives a `TableSpace` named after the file, one architecture a
        row and one gene a column (see `latency_tables.delimited.read_delimited`); or a .json file that `SearchSpace.to_json` wrote.

    Returns
    -------
    SearchSpace
        The space.

    Raises
    ------
    SpaceError
        If the name is unknown, or the file cannot be read as a space.

    Examples
    --------
    >>> from hwsearch import spaces
    >>> spaces.load("nas-bench-201")
    SearchSpace('nas-bench-201', 6 genes, 1.56e+04 architectures)
    """
    if str(source) in NAMED:
        return NAMED[str(source)]()
    import pandas as pd  # late: a space without a table needs none of it

    from latency_tables.delimited import read_delimited
    from latency_tables.errors import TableError

    path = Path(source)
    kind = path.suffix.lower()
    if kind not in (".csv", ".tsv", ".txt", ".json"):
        raise SpaceError(
            f"{str(source)!r} is neither a known space nor a .csv or .json file.", hint=nearest(str(source), NAMED)
        )
    try:
        if kind == ".json":
            return from_json(decode(path.read_bytes()))
        frame = read_delimited(path, keep_default_na=False, na_values=[""])
    except (OSError, ReadingError, TableError) as error:
        raise SpaceError(f"the space {str(source)!r} cannot be read: {error}") from error
    for name in frame.columns:
        if METRIC.search(name.lower()) and pd.api.types.is_float_dtype(frame[name]):
            raise SpaceError(
                f"the space {str(source)!r}: column {name!r} may be a gene or a figure measured of the architectures.",
                hint="Leave figures out; a gene needs another name.",
            )
    return TableSpace.from_frame(path.stem, frame)


def from_dict(data: Mapping[str, Any]) -> SearchSpace:
    """Make the space that `SearchSpace.to_dict` described.

    Parameters
    ----------
    data : mapping
        ``name`` and ``choices``; with ``table``, rows of value indices, the space is a `TableSpace`.

    Returns
    -------
    SearchSpace
        A space equal to the one described.

    Raises
    ------
    SpaceError
        If something is missing or of the wrong kind.

    Examples
    --------
    >>> from hwsearch import spaces
    >>> spaces.from_dict({"name": "toy", "choices": [{"name": "depth", "values": [1, 2, 3]}]})
    SearchSpace('toy', 1 genes, 3 architectures)
    """
    try:
        choices = [Choice.from_dict(c) for c in data["choices"]]
        if "table" in data:
            return TableSpace(data["name"], choices, np.array(data["table"], dtype=np.int64))
        return SearchSpace(data["name"], choices)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise SpaceError(f"this is not a search space: {error!r} is missing or of the wrong kind.") from error


def from_json(text: str) -> SearchSpace:
    """Make the space that `SearchSpace.to_json` described.

    Parameters
    ----------
    text : str
        The JSON form of a space.

    Returns
    -------
    SearchSpace
        A space equal to the one described.

    Raises
    ------
    SpaceError
        If the text is not JSON, or not a space.

    Examples
    --------
    >>> from hwsearch import spaces
    >>> space = spaces.load("nas-bench-201")
    >>> spaces.from_json(space.to_json()) == space
    True
    """
    try:
        return from_dict(parse_json(text))
    except ReadingError as error:
        raise SpaceError(f"this is not JSON: {error}.") from error
