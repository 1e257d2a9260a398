"""The counting of the benchmark of kills: what is lost or doubled is found, and what is neither is not."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pytest
import torch
from safetensors.numpy import save_file

from benchmarks import kills
from benchmarks.kills import front, holds, summary_of
from benchmarks.kills_seen import Ledger, checkpoint_steps, final_weights, stored_values, whole_files
from benchmarks.kills_works import works_in
from hwsearch.store import Measurement, Store, measurement_key, utc_now

COLUMNS = (
    "key, arch_id, metric, subject, protocol, purpose, supernet, value, unit, repeats, details, started_at, ended_at"
)


def measured(k: int, metric: str = "latency_ms", **changes: Any) -> Measurement:
    moment = utc_now()
    given = {"value": 1.0 + k, "unit": "ms", "repeats": 1, "started_at": moment, "ended_at": moment} | changes
    return Measurement(
        arch_id=f"{k:012x}", metric=metric, subject="cpu", protocol="p", purpose="search", supernet="net", **given
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder whose store holds three latencies and an accuracy."""
    with Store.open(tmp_path / "store.sqlite") as store:
        store.add([measured(k) for k in range(3)] + [measured(0, "accuracy", unit="%")])
    return tmp_path


def change(folder: Path, *statements: str) -> None:
    with closing(sqlite3.connect(folder / "store.sqlite")) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def looked(folder: Path) -> Ledger:
    ledger = Ledger(folder)
    ledger.look(running=True)
    ledger.look()
    assert (ledger.lost, ledger.doubled) == (0, 0)
    return ledger


# ---------------------------------------------------------------------- stored values
def test_an_untouched_store_has_lost_and_doubled_nothing(folder: Path) -> None:
    ledger = looked(folder)
    assert len(ledger.values) == 4
    with Store.open(folder / "store.sqlite") as store:
        store.add([measured(7)])
    ledger.look()
    assert (len(ledger.values), ledger.lost, ledger.doubled) == (5, 0, 0)


def test_a_lost_row_is_found_once(folder: Path) -> None:
    ledger = looked(folder)
    change(folder, "DELETE FROM measurements WHERE metric = 'accuracy'")
    ledger.look()
    ledger.look()
    assert (ledger.lost, ledger.doubled) == (1, 0)


def test_a_row_seen_only_while_the_process_ran_is_missed(folder: Path) -> None:
    ledger = Ledger(folder)
    ledger.look(running=True)
    change(folder, "DELETE FROM measurements WHERE metric = 'latency_ms'")
    ledger.look()
    assert ledger.lost == 3


@pytest.mark.parametrize("changed", ["value = 9", "ended_at = '2026-01-01T00:00:00.000000Z'"])
def test_a_row_that_was_measured_again_is_lost(folder: Path, changed: str) -> None:
    ledger = looked(folder)
    change(folder, f"UPDATE measurements SET {changed} WHERE metric = 'accuracy'")
    ledger.look()
    assert ledger.lost == 1


@pytest.mark.parametrize("damage", ["removed", "cut", "overwritten"])
def test_a_damaged_store_has_lost_all(folder: Path, damage: str) -> None:
    ledger, path = looked(folder), folder / "store.sqlite"
    data = path.read_bytes()
    path.unlink()
    if damage != "removed":
        path.write_bytes(data[: len(data) // 2] if damage == "cut" else bytes(len(data)))
    ledger.look()
    assert ledger.lost == 4


@pytest.mark.parametrize("metric", ["accuracy", "latency_ms"])
@pytest.mark.parametrize("key", ["key", "'another'"])
def test_a_doubled_row_is_found(folder: Path, metric: str, key: str) -> None:
    """Also one whose key is another, although it stands for the same."""
    ledger = looked(folder)
    chosen = f"FROM measurements WHERE metric = '{metric}' ORDER BY id LIMIT 1"
    copied = f"INSERT INTO measurements ({COLUMNS}) SELECT {COLUMNS.replace('key', key, 1)} {chosen}"
    change(folder, "DROP INDEX measurements_one_value", copied)
    ledger.look()
    ledger.look()
    assert (ledger.lost, ledger.doubled) == (0, 1)


def test_failures_may_be_many_and_are_no_values(folder: Path) -> None:
    ledger = looked(folder)
    with Store.open(folder / "store.sqlite") as store:
        store.add([measured(9, value=None, failure="it fell over") for _ in range(2)])
    ledger.look()
    assert (len(ledger.values), ledger.lost, ledger.doubled) == (4, 0, 0)


def test_a_store_is_read_without_touching_what_a_killed_process_left(folder: Path) -> None:
    path = folder / "store.sqlite"
    with Store.open(path) as store:
        store.add([measured(5)])
        left = {p.name: p.read_bytes() for p in folder.iterdir()}
        assert "store.sqlite-wal" in left
        values, doubled = stored_values(path)
        assert {p.name: p.read_bytes() for p in folder.iterdir()} == left
    assert measurement_key(f"{5:012x}", "latency_ms", "cpu", "p", "search", "net") in {row[0] for row in values}
    assert (len(values), doubled) == (5, 0)


def test_a_store_without_tables_holds_nothing(tmp_path: Path) -> None:
    assert stored_values(tmp_path / "store.sqlite") == (set(), 0)
    sqlite3.connect(tmp_path / "store.sqlite").close()
    for running in (False, True):
        assert stored_values(tmp_path / "store.sqlite", running=running) == (set(), 0)


# ---------------------------------------------------------------------- checkpoints and results
def keep(folder: Path, steps: int, name: str = "stage-1/training.pt") -> Path:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    torch.save({"losses": [0.5] * steps} if name.startswith("finetuning") else {"step": steps}, path)
    return path


@pytest.mark.parametrize("name", ["stage-1/training.pt", "finetuning/abc.pt"])
def test_steps_that_a_checkpoint_has_lost_are_counted(tmp_path: Path, name: str) -> None:
    ledger = Ledger(tmp_path)
    keep(tmp_path, 5, name)
    ledger.look(running=True)
    keep(tmp_path, 7, name)
    ledger.look()
    assert (checkpoint_steps(tmp_path), ledger.lost) == ({name: 7}, 0)
    keep(tmp_path, 4, name)
    ledger.look()
    assert ledger.lost == 3
    (tmp_path / name).unlink()
    ledger.look()
    assert ledger.lost == 7


def test_a_cut_checkpoint_is_lost(tmp_path: Path) -> None:
    path = keep(tmp_path, 1)
    path.write_bytes(path.read_bytes()[:100])
    ledger = Ledger(tmp_path)
    ledger.look()
    assert (checkpoint_steps(tmp_path), ledger.lost) == ({"stage-1/training.pt": -1}, 1)


def test_a_finetuning_that_is_done_may_remove_its_checkpoint_and_begin_again(tmp_path: Path) -> None:
    ledger, checkpoint = Ledger(tmp_path), keep(tmp_path, 9, "finetuning/abc.pt")
    ledger.look()
    (tmp_path / "models" / "finetuned").mkdir(parents=True)
    weights = {"w": np.ones(3, dtype=np.float32)}
    (tmp_path / "models" / "finetuned" / "abc.json").write_text("{}")  # the card alone does not make up for steps
    keep(tmp_path, 8, "finetuning/abc.pt")
    ledger.look()
    assert ledger.lost == 1
    save_file(weights, tmp_path / "models" / "finetuned" / "abc.safetensors")
    checkpoint.unlink()
    ledger.look()
    keep(tmp_path, 2, "finetuning/abc.pt")
    ledger.look()
    assert ledger.lost == 1
    assert torch.equal(final_weights(tmp_path)["w"], torch.ones(3))


@pytest.mark.parametrize(
    ("name", "text"),
    [("report.json", '{"a": 1}'), ("report.html", "<html></html>\n"), ("front.csv", "a,b\n1,2\n")],
)
def test_results_that_are_cut_or_gone_are_lost(tmp_path: Path, name: str, text: str) -> None:
    path, ledger = tmp_path / name, Ledger(tmp_path)
    path.write_text(text)
    ledger.look()
    assert (whole_files(tmp_path), ledger.lost) == ({name: True}, 0)
    path.write_text(text[:-3])
    ledger.look()
    ledger.look()
    assert (whole_files(tmp_path), ledger.lost) == ({name: False}, 1)
    path.write_text(text)
    ledger.look()
    path.unlink()
    ledger.look()
    assert ledger.lost == 2


@pytest.mark.parametrize("name", ["a.safetensors", "models/a.onnx"])
def test_models_that_are_cut_are_lost(tmp_path: Path, name: str) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / name).write_bytes(b"\x08\x99")
    assert whole_files(tmp_path) == {name: False}


# ---------------------------------------------------------------------- the summary
def rows(**changes: Any) -> pd.DataFrame:
    row = {"kills": 5, "midway": 3, "others": 1, "finished": 2, "failed": 0, "lost": 0, "doubled": 0}
    both = [row | {"front_equal": True, "store_equal": True}, row | {"weights_equal": True}]
    both[0 if "front_equal" in changes or "store_equal" in changes else 1] |= changes
    return pd.DataFrame(both)


def test_the_summary_adds_up_and_holds() -> None:
    found = summary_of(rows())
    assert found == {
        "kills": 10,
        "midway": 6,
        "others": 2,
        "finished": 4,
        "failed": 0,
        "lost": 0,
        "doubled": 0,
        "fronts_equal": True,
        "stores_equal": True,
        "weights_equal": True,
    }
    assert holds(found)


@pytest.mark.parametrize("fault", ["failed", "lost", "doubled", "front_equal", "store_equal", "weights_equal"])
def test_each_fault_shows(fault: str) -> None:
    found = summary_of(rows(**{fault: False if fault.endswith("equal") else 1}))
    name = {"front_equal": "fronts_equal", "store_equal": "stores_equal"}.get(fault, fault)
    assert found[name] == (0 if fault.endswith("equal") else 1)
    assert not holds(found)


def test_the_front_of_a_killed_run_is_compared_with_that_of_its_store(folder: Path, tmp_path: Path) -> None:
    kills.copy_store(folder, tmp_path / "again")
    with Store.open(tmp_path / "again" / "store.sqlite") as store:
        store.add([measured(9)])
    assert len(stored_values(tmp_path / "again" / "store.sqlite")[0]) == 5
    assert len(stored_values(folder / "store.sqlite")[0]) == 4
    (folder / "front.csv").write_text("arch_id,latency_ms_ended_at\na,2026-01-02\n")
    assert "2026-01-02" in front(folder)


# ---------------------------------------------------------------------- killing
def test_a_command_is_killed_with_what_it_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def command() -> None:
        process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        (tmp_path / "new").write_text(str(process.pid))
        (tmp_path / "new").rename(tmp_path / "pid")
        time.sleep(600)

    def started() -> None:
        while not (tmp_path / "pid").exists():
            time.sleep(0.01)

    monkeypatch.setattr(kills, "command_line", command)
    assert kills.attempt(["run"], tmp_path / "log", 0.0, started) is None
    pid = int((tmp_path / "pid").read_text())
    with contextlib.suppress(psutil.NoSuchProcess):
        while psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.01)


def test_a_command_that_ends_by_itself_gives_its_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def command() -> None:
        os.write(1, " ".join(sys.argv).encode())  # pytest has another `sys.stdout`
        raise SystemExit(3)

    monkeypatch.setattr(kills, "command_line", command)
    assert kills.attempt(["run", "x"], tmp_path / "log", 600.0) == 3
    assert (tmp_path / "log").read_text() == "hwsearch run x"


def test_a_process_of_a_training_is_killed_and_its_command_must_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def command() -> None:
        process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", kills.OTHERS])
        code = process.wait()
        if sys.argv[1] == "silent":
            raise SystemExit(1)
        os.write(1, f"error: it ended. Of its processes rank 1 was\n ended by signal {-code}.\n".encode())
        raise SystemExit(1)

    def once_started(pid: int) -> bool:
        while not kill(pid):
            time.sleep(0.01)
        return True

    kill = kills.kill_other
    monkeypatch.setattr(kills, "kill_other", once_started)
    monkeypatch.setattr(kills, "command_line", command)
    assert kills.attempt(["train"], tmp_path / "log", 0.1, other=True) is None
    assert kills.told_of_other((tmp_path / "log").read_bytes())
    assert kills.attempt(["silent"], tmp_path / "log", 0.1, other=True) == 1


def test_kills_are_divided_over_commands_and_then_over_their_works() -> None:
    works = works_in(Path())
    shares = dict(zip([work.name for work in works], kills.shares_of(works, 43), strict=True))
    assert sum(shares.values()) == 43
    assert {name: n for name, n in shares.items() if not name.startswith("train")} == {
        "run": 11,
        "report": 11,
        "finetune": 10,
    }
    assert {n for name, n in shares.items() if name.startswith("train")} == {1, 2}
    assert {work.processes for work in works_in(Path(), "train")} == {1, 2}
    assert [work.name for work in works_in(Path(), "report")] == ["report"]
