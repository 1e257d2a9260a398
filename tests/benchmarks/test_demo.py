"""The demo's benchmark: how fronts of two hosts are compared."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from benchmarks.demo import agreement


def front(folder: Path, rows: list[tuple[str, str, float, float, float]]) -> Path:
    folder.mkdir()
    columns = ["device", "arch_id", "latency_ms", "latency_ms_low", "latency_ms_high"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "front.csv", index=False)
    return folder


def test_shared_members_hold_where_one_lies_in_the_others_interval(tmp_path: Path) -> None:
    alone = front(
        tmp_path / "alone",
        [
            ("cpu", "a", 1.0, 0.9, 1.1),
            ("cpu", "b", 2.0, 1.9, 2.1),
            ("cpu", "c", 3.0, 2.9, 3.1),
            ("cpu", "d", 9.0, 8.0, 10.0),
        ],
    )
    stressed = front(
        tmp_path / "stressed",
        [
            ("cpu", "a", 1.5, 0.8, 2.0),
            ("cpu", "b", 2.05, 2.04, 2.06),
            ("cpu", "c", 5.0, 4.0, 6.0),
            ("gpu", "d", 9.0, 8.0, 10.0),
        ],
    )
    found = agreement(alone, stressed).set_index("arch_id")["held"]
    assert found.to_dict() == {"a": True, "b": True, "c": False}
