"""Parquet files: whole ones as they are, others refused before they take memory."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from benchmarks.hostile_data import _many_rows
from latency_tables.parquet import read_parquet
from latency_tables.reading import ReadingError


def test_a_whole_file_is_read_as_pandas_does(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": [1, 2, None], "b": ["x", None, "z"], "c": [b"1", b"22", b"333"]}).astype({"a": "Int64"})
    frame.to_parquet(tmp_path / "t.parquet", index=False)
    pd.testing.assert_frame_equal(read_parquet(tmp_path / "t.parquet"), pd.read_parquet(tmp_path / "t.parquet"))
    assert list(read_parquet(tmp_path / "t.parquet", ["b"]).columns) == ["b"]
    frame.iloc[:0].to_parquet(tmp_path / "empty.parquet", index=False)
    assert read_parquet(tmp_path / "empty.parquet").empty


@pytest.mark.parametrize(("groups", "rows", "length"), [(100, 1_000_000, 1), (1, 20_000, 100_000)])
def test_a_file_that_grows_out_of_proportion_is_refused(groups: int, rows: int, length: int, tmp_path: Path) -> None:
    (tmp_path / "t.parquet").write_bytes(_many_rows(tmp_path, groups, rows, length))
    with pytest.raises(ReadingError, match="out of proportion"):
        read_parquet(tmp_path / "t.parquet")


def test_missing_columns_and_damage_are_told(tmp_path: Path) -> None:
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "t.parquet")
    with pytest.raises(ReadingError, match="without the column 'b'"):
        read_parquet(tmp_path / "t.parquet", ["b"])
    (tmp_path / "t.parquet").write_bytes(b"PAR1 and more")
    with pytest.raises(ReadingError, match="not a whole parquet file"):
        read_parquet(tmp_path / "t.parquet")
