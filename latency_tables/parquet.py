"""Read parquet files within a bound on memory, which a small file can else exceed a million times."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from latency_tables.reading import ReadingError

#: a file may become so many times as large as it is, and so many bytes more
MOST_GROWTH, MOST_MORE = 4, 256 * 2**20


def read_parquet(path: Path, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Read a parquet file in parts, until it is whole or too large.

    Parameters
    ----------
    path : Path
        The file.
    columns : sequence of str, optional
        By default all.

    Returns
    -------
    pandas.DataFrame
        As it is in the file.

    Raises
    ------
    ReadingError
        If it is cut, damaged, lacks a column, or grows out of proportion; the message does not name the file.
    OSError
        If it cannot be opened.
    """
    import pyarrow as pa  # late: it takes memory
    import pyarrow.parquet as pq

    allowed = MOST_GROWTH * path.stat().st_size + MOST_MORE
    with path.open("rb") as stream:
        try:
            file = pq.ParquetFile(stream)
            meta = file.metadata
            if columns is not None and (missing := [c for c in columns if c not in file.schema_arrow.names]):
                raise ReadingError(f"without the column {missing[0]!r}")
            sizes = [
                meta.row_group(g).column(c).total_uncompressed_size
                for g in range(meta.num_row_groups)
                for c in range(meta.num_columns)
            ]
            if min(sizes, default=0) < 0 or sum(sizes) > allowed or meta.num_rows * 4 > allowed:
                raise ReadingError("out of proportion: it announces more than a file of its size holds")
            rows = max(
                4, min(65_536, allowed // (4 * max([1, *sizes])))
            )  # no value is longer than its part of the file
            parts, used = [], 0
            for part in file.iter_batches(rows, columns=columns):
                used += part.nbytes
                if used > allowed:
                    raise ReadingError("out of proportion: it holds more than a file of its size does")
                parts.append(part)
            schema = parts[0].schema if parts else file.schema_arrow
            return pa.Table.from_batches(parts, schema).to_pandas()
        except ReadingError:
            raise
        except Exception as error:  # pyarrow raises many kinds
            raise ReadingError(f"not a whole parquet file: {error}") from error
