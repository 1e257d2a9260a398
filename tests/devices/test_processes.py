"""Programs end with all that they started, however their starter ends; the current folder hides no module."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from hwsearch.devices import Device
from hwsearch.devices.fleet.isolation import run_job
from hwsearch.devices.fleet.jobs import device_job
from hwsearch.devices.fleet.responses import WorkerError
from hwsearch.devices.processes import kill_family, kill_process_group, python_command
from hwsearch.devices.runtimes.command_line import run_command

pytestmark = pytest.mark.skipif(not hasattr(os, "getsid"), reason="needs sessions")

#: a program with a child, a grandchild in a process group of its own, and one in a session of its own; all write their pids
PROGRAM = """
import os, subprocess, sys, time
folder, depth = sys.argv[1], int(sys.argv[2])
open(os.path.join(folder, f"{os.getpid()}.pid"), "w").close()
if depth:
    for apart in ({}, {"process_group": 0}, {"start_new_session": True}):
        subprocess.Popen([sys.executable, "-S", "-E", *sys.argv[:1], folder, str(depth - 1)], **apart)
time.sleep(600)
"""
#: 1 + 3 + 9
FAMILY = 13


@pytest.fixture
def hanging(tmp_path: Path):
    """The words of the program, and what tells the pids of its family once all are there; none outlives the test."""
    place = tmp_path / "pids"
    place.mkdir()
    script = tmp_path / "hangs.py"
    script.write_text(PROGRAM)

    def pids(wanted: int = FAMILY) -> list[int]:
        until = time.monotonic() + 60
        while len(found := [int(p.stem) for p in place.iterdir()]) < wanted and time.monotonic() < until:
            time.sleep(0.02)
        assert len(found) == wanted
        return found

    yield [sys.executable, "-S", "-E", str(script), str(place), "2"], pids
    for pid in (int(p.stem) for p in place.iterdir()):
        if psutil.pid_exists(pid):
            psutil.Process(pid).kill()


def gone(pids: list[int]) -> bool:
    """Whether all processes have ended, within a minute."""

    def lives(pid: int) -> bool:
        try:
            return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    until = time.monotonic() + 60
    while any(map(lives, pids)) and time.monotonic() < until:
        time.sleep(0.02)
    return not any(map(lives, pids))


def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], before: str = "") -> str:
    """A module in the measuring process's place: it starts the program as runtime ``command`` does, and waits for it."""
    body = f"""
    import os, signal, sys, threading, time
    from hwsearch.devices import Device
    from hwsearch.devices.fleet import worker
    from hwsearch.devices.runtimes.command_line import run_command

    sys.stdin.buffer.readline()
    threading.Thread(target=worker._end_with_parent, daemon=True).start()
    {before}
    run_command(Device("board", "command"), {words!r}, 500)
    """
    (tmp_path / "stand_in.py").write_text(textwrap.dedent(body))
    monkeypatch.syspath_prepend(str(tmp_path))
    return "stand_in"


JOB = device_job("facts", "onnx", Device("board", "command"))


def test_a_timeout_ends_a_program_with_all_it_started(hanging) -> None:
    words, pids = hanging
    assert run_command(Device("board", "command"), words, 3.0).code is None
    assert gone(pids())


def test_a_deadline_ends_the_programs_of_a_measuring_process(hanging, tmp_path, monkeypatch) -> None:
    words, pids = hanging
    with pytest.raises(WorkerError, match="did not end within 6 s and was killed"):
        run_job(JOB, {}, 6.0, module=worker(tmp_path, monkeypatch, words))
    assert gone(pids())


def test_the_programs_of_a_measuring_process_that_was_killed_end_with_it(hanging, tmp_path, monkeypatch) -> None:
    """As the system kills what takes too much memory: the process itself can do nothing any more."""
    words, pids = hanging
    die = f"""
    def die():
        while len(os.listdir({words[-2]!r})) < {FAMILY}:
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=die, daemon=True).start()
    """.strip()
    with pytest.raises(WorkerError, match="SIGKILL"):
        run_job(JOB, {}, 60.0, module=worker(tmp_path, monkeypatch, words, die))
    assert gone(pids())


@pytest.mark.parametrize("end", [lambda p: p.kill(), lambda p: p.send_signal(psutil.signal.SIGINT)])
def test_programs_end_with_the_campaign(
    hanging, tmp_path, monkeypatch, end: Callable[[subprocess.Popen], None]
) -> None:
    """Killed outright, or by Ctrl-C, which reaches the campaign's process alone."""
    words, pids = hanging
    module = worker(tmp_path, monkeypatch, words)
    code = f"import signal; signal.signal(signal.SIGINT, signal.default_int_handler); import sys; sys.path.insert(0, {str(tmp_path)!r}); from tests.devices.test_processes import JOB; from hwsearch.devices.fleet.isolation import run_job; run_job(JOB, {{}}, 500, module={module!r})"
    campaign = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    try:
        found = pids()
        end(campaign)
        assert gone(found)
    finally:
        campaign.kill()
        campaign.wait()


def test_what_a_program_leaves_behind_lives_on_after_a_good_end(tmp_path) -> None:
    """Such as the server that a tool for phones starts once."""
    code = "import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']).pid)"
    done = run_command(Device("board", "command"), [sys.executable, "-c", code], 60)
    left = psutil.Process(int(done.out))
    assert left.is_running()
    left.kill()


def test_families_are_only_those_of_the_leader() -> None:
    idle = [sys.executable, "-S", "-c", "import time; time.sleep(600)"]
    mine, other = (subprocess.Popen(idle, start_new_session=True) for _ in range(2))
    try:
        kill_family(mine)
        assert mine.returncode is not None and other.poll() is None
        kill_family(mine)  # again: its id may be another's now, and nothing is done
        assert other.poll() is None
    finally:
        kill_process_group(other)
    assert other.returncode is not None


def test_no_file_of_the_current_folder_is_imported(tmp_path, monkeypatch) -> None:
    for name in ("random", "numpy", "json"):
        (tmp_path / f"{name}.py").write_text("import pathlib; pathlib.Path('run').touch(); raise SystemExit(1)")
    monkeypatch.chdir(tmp_path)
    job = device_job("facts", "onnx", Device("here"))
    assert run_job(job, {}, 120.0)["facts"]["runtime"] == "onnxruntime"
    torch = device_job("facts", "torch", Device("here", "torch-cpu", "cpu"))
    found = run_job(torch, {}, 120.0, module="hwsearch.devices.fleet.torch_worker")
    assert found["facts"]["runtime"] == "torch-cpu" and not (tmp_path / "run").exists()


def test_what_this_process_can_import_its_children_can(tmp_path, monkeypatch) -> None:
    (tmp_path / "own_network.py").write_text("import sibling")
    (tmp_path / "sibling.py").write_text("print('found', __name__)")
    monkeypatch.syspath_prepend(str(tmp_path))
    done = subprocess.run(python_command("own_network"), capture_output=True, text=True, cwd="/")
    assert done.stdout == "found sibling\n", done.stderr
