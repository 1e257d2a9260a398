"""Runs and named documents."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from hwsearch.errors import StoreError
from hwsearch.spaces import Choice, SearchSpace
from hwsearch.store import Measurement, Store

SPACE = SearchSpace("tiny", [Choice("depth", (1, 2)), Choice("width", (0.5, 1.0)), Choice("act", ("relu", "swish"))])


def make(arch_id: str = "a", value: float | None = 1.0, **changes: object) -> Measurement:
    fields: dict[str, object] = {"metric": "latency_ms", "subject": "dev", "protocol": "p", "purpose": "search"}
    failure = "crashed" if value is None else None
    return Measurement(**{"arch_id": arch_id, **fields, "value": value, "unit": "ms", "failure": failure, **changes})  # type: ignore[arg-type]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "store.sqlite") as opened:
        yield opened


def test_runs_begin_and_end(store: Store) -> None:
    first, second = store.begin_run("hwsearch profile", {"cpu": "x"}), store.begin_run("hwsearch search", {})
    store.end_run(first, "done")
    a, b = store.runs()
    assert (a.id, a.command, a.status, a.host) == (first, "hwsearch profile", "done", {"cpu": "x"})
    assert a.ended_at is not None and a.ended_at >= a.started_at
    assert (b.id, b.status, b.ended_at) == (second, "running", None)
    with pytest.raises(StoreError, match="no run 99"):
        store.end_run(99, "done")


def test_state_keeps_every_version(store: Store) -> None:
    assert store.get_state("search") is None
    rng = np.random.default_rng(0)
    first = {"rng": rng.bit_generator.state, "values": [[0.1, math.nan], [math.inf, 1e-320]]}
    assert store.put_state("search", first) == 1
    assert store.put_state("search", {"round": 2}) == 2 and store.put_state("other", {}) == 1
    assert store.get_state("search") == {"round": 2} and store.get_state("other") == {}
    assert repr(store.get_state("search", 1)) == repr(first)  # by repr, since NaN is not itself
    assert store.get_state("search", 3) is None
    with pytest.raises(StoreError, match=r"state 'search'.*'seen'.*set"):
        store.put_state("search", {"seen": {1, 2}})


def test_a_run_that_was_killed_counts_up_to_the_last_that_it_kept(store: Store, monkeypatch) -> None:
    """Two were killed: after a measurement of second 30, and after a document of second 140; the next one begins at 100."""
    from hwsearch.store import run_table

    def at(seconds: int) -> str:
        return f"2026-01-31T12:{seconds // 60:02d}:{seconds % 60:02d}.000000Z"

    def kept(arch_id: str, seconds: int) -> Measurement:
        return make(arch_id, started_at=at(seconds - 5), ended_at=at(seconds))

    assert store.lost_seconds() == {}
    clock = iter([0, 100, 140, 200, 201, 202, 300])
    monkeypatch.setattr(run_table, "utc_now", lambda: at(next(clock)))
    store.begin_run("search", {})
    store.add(
        [
            kept("a", 20),
            kept(
                "b",
                30,
            ),
            kept("earlier", 5),
        ]
    )
    store.begin_run("search", {})
    store.put_state("round", {"proposed": 3})
    done = store.begin_run("validate", {})
    store.add([kept("c", 201)])
    store.end_run(done, "done")
    store.begin_run("report", {})  # goes on, and has kept nothing
    assert store.lost_seconds() == {"search": 30.0 + 40.0, "report": 0.0}
