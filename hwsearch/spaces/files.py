"""Spaces by name or file."""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from pathlib import Path

from hwsearch.errors import SpaceError, nearest
from hwsearch.spaces.nasbench201 import nas_bench_201
from hwsearch.spaces.space import SearchSpace
from hwsearch.spaces.table import TableSpace

NAMED: dict[str, Callable[[], SearchSpace]] = {"nas-bench-201": nas_bench_201}


def load(source: str | PathLike[str]) -> SearchSpace:
    """A space by its name ("nas-bench-201") or from a file.

    .csv : a `TableSpace`, one architecture a row, one gene a column, named after the file
    .json : what `SearchSpace.to_json` wrote

    Raises SpaceError for an unknown name and for a file that cannot be read as a space.
    """
    if str(source) in NAMED:
        return NAMED[str(source)]()
    import pandas as pd  # late: a space without a table needs none of it

    path = Path(source)
    kind = path.suffix.lower()
    if kind not in (".csv", ".json"):
        raise SpaceError(
            f"{str(source)!r} is neither a known space nor a .csv or .json file.", hint=nearest(str(source), NAMED)
        )
    try:
        if kind == ".json":
            return SearchSpace.from_json(path.read_text(encoding="utf-8"))
        return TableSpace.from_frame(path.stem, pd.read_csv(path, keep_default_na=False, na_values=[""]))
    except (OSError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise SpaceError(f"the space {str(source)!r} cannot be read: {error}") from error
