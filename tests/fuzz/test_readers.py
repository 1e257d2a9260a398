"""Damaged and hostile files, a few of every kind: what `python -m benchmarks.hostile` reads 20,000 of."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.hostile_kinds import kinds
from benchmarks.hostile_pool import run

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is bounded by what Linux tells")
EACH = 10


def test_damaged_files_are_refused_or_read_rightly(tmp_path: Path) -> None:
    """No traceback, no crash, no silently wrong value, within 1 GiB and 20 s."""
    jobs = [(name, index) for index in range(EACH) for name in kinds()]
    outcomes = list(run(jobs, tmp_path, seed=20, processes=1))
    assert sorted((o.kind, o.index) for o in outcomes) == sorted(jobs)
    assert [o for o in outcomes if o.fault] == []
    for name in kinds():
        assert any(o.kind == name and o.what == "refused" for o in outcomes), f"no damaged {name} was refused"
