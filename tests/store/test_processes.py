"""Several processes at one store, and a kill in the middle of it."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

from hwsearch.store import Store

#: writes keys first..last-1 one by one and prints each once it is acknowledged, with whether it was new
WRITER = """
import sys
from hwsearch.store import Measurement, Store
path, who, first, last = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
sys.stdin.readline()
store = Store.open(path)
for i in range(first, last):
    m = Measurement(f"a{i}", "latency_ms", "dev", "p", "search", float(who), "ms", record=b"x" * 3000)
    print(store.add([m]), m.key, flush=True)
"""


def start(path: Path, who: int, first: int, last: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(path), str(who), str(first), str(last)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> list[tuple[int, str]]:
    """(new, key) of every acknowledged measurement; a last line that was cut does not count."""
    out, _ = process.communicate(timeout=60)
    lines = [line.split() for line in out.splitlines(keepends=True) if line.endswith("\n")]
    return [(int(new), key) for new, key in lines]


def go(*processes: subprocess.Popen[str]) -> None:
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()


def test_same_and_different_keys_from_three_processes(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"  # does not exist yet: the three also race to create it
    ranges = {1: (0, 60), 2: (0, 60), 3: (40, 100)}
    writers = {who: start(path, who, *span) for who, span in ranges.items()}
    go(*writers.values())
    said = {who: finish(process) for who, process in writers.items()}
    assert all(process.returncode == 0 for process in writers.values())
    with Store.open(path) as store:
        found = {m.key: m for m in store.find()}
        store.check()
        assert len(store.frame(failed=True)) == len(found) == 100
    for who, lines in said.items():
        assert len(lines) == ranges[who][1] - ranges[who][0]
        for new, key in lines:  # whoever was told "new" is whose value is there
            assert (found[key].value == float(who)) == bool(new)


def test_kill_9_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    acknowledged: set[str] = set()
    for turn in range(3):
        process = start(path, turn, 1000 * turn, 10**9)
        go(process)
        assert process.stdout is not None
        first = [process.stdout.readline().split()[1] for _ in range(5 + 17 * turn)]
        time.sleep(0.01 * turn)  # another place in the loop each time
        os.kill(process.pid, signal.SIGKILL)
        acknowledged |= {*first, *(key for _, key in finish(process))}
        assert process.returncode == -signal.SIGKILL
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        stored = {key for (key,) in connection.execute("SELECT key FROM measurements")}
    assert acknowledged <= stored and len(stored - acknowledged) <= 3  # at most the one in flight, each time
    with Store.open(path) as store:  # and the next run goes on
        assert store.known(acknowledged) == acknowledged
