from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from hwsearch.devices.fleet.host_lock import Holder, host_lock, lock_holder, lock_path
from hwsearch.errors import DeviceError


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    """The lock of this test alone: a campaign that runs elsewhere on the machine holds the user's."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_the_lock_is_the_users(own_folder):
    assert lock_path().parent == own_folder and lock_path().name.startswith("hwsearch-")


def test_one_thread_at_a_time(own_folder):
    inside, most = [0], [0]

    def work() -> None:
        for _ in range(3):
            with host_lock():
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                inside[0] -= 1

    threads = [threading.Thread(target=work) for _ in range(3)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert most == [1]


HOLDS = """
import sys, tempfile
tempfile.tempdir = sys.argv[1]
from hwsearch.devices.fleet.host_lock import host_lock
with host_lock():
    print("held", flush=True)
    sys.stdin.readline()
print("given back", flush=True)
sys.stdin.readline()
"""


def test_another_process_waits_until_it_is_given_back(own_folder):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(own_folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None and process.stdout is not None
    assert process.stdout.readline() == "held\n"
    got = threading.Event()

    def wait() -> None:
        with host_lock():
            got.set()

    thread = threading.Thread(target=wait)
    thread.start()
    assert not got.wait(0.3)
    with host_lock(enabled=False):  # what needs no turn does not wait
        pass
    process.stdin.write("\n")
    process.stdin.flush()
    assert got.wait(60)
    thread.join()
    process.communicate("\n")


def test_who_waits_gets_its_turn_though_the_holder_wants_it_again_at_once():
    rounds, waiting, served = [0], threading.Event(), threading.Event()

    def wait() -> None:
        waiting.set()
        with host_lock():
            served.set()

    thread = threading.Thread(target=wait)
    while not served.is_set() and rounds[0] < 50:
        with host_lock():
            if rounds[0] == 0:
                thread.start()
                waiting.wait()
            served.wait(0.12)  # longer than a waiting process looks away
        rounds[0] += 1
    thread.join()
    assert rounds[0] < 5


def test_a_lock_that_cannot_be_opened_is_named(own_folder):
    lock_path().mkdir()
    with (
        pytest.raises(
            DeviceError, match=r"the lock '.*hwsearch-.*', by which measurements .* cannot be opened"
        ) as caught,
        host_lock(),
    ):
        pass
    assert caught.value.hint == "Make it yours, or set TMPDIR."


def test_a_link_in_the_locks_place_is_not_followed(own_folder, tmp_path_factory):
    elsewhere = Path(tmp_path_factory.mktemp("elsewhere")) / "target"
    lock_path().symlink_to(elsewhere)
    with pytest.raises(DeviceError), host_lock():
        pass
    assert not elsewhere.exists()


def test_who_waits_is_told_by_whom_the_lock_is_held_and_since_when(own_folder):
    told: list[tuple[Holder | None, float]] = []
    held, enough = threading.Event(), threading.Event()

    def hold() -> None:
        with host_lock(campaign="runs/first"):
            held.set()
            enough.wait(60)

    def waiting(holder: Holder | None, seconds: float) -> None:
        told.append((holder, seconds))
        if len(told) == 2:
            enough.set()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    with host_lock(campaign="runs/second", waiting=waiting):
        holder = lock_holder()
        assert holder is not None and holder.campaign == "runs/second"
    thread.join()
    assert len(told) == 2 and told[0][1] < told[1][1]
    for holder, _ in told:
        assert holder is not None and (holder.campaign, holder.pid) == ("runs/first", os.getpid())
        assert f"runs/first (process {os.getpid()}, since " in str(holder)
    assert lock_holder() is None


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"campaign": "a", "pid": "x", "since": ""}', "[" * 100_000])
def test_a_damaged_note_of_the_holder_tells_nothing(own_folder, text):
    lock_path().with_suffix(".holder").write_text(text)
    assert lock_holder() is None


def test_a_link_in_the_notes_place_is_not_followed(own_folder, tmp_path_factory):
    elsewhere = Path(tmp_path_factory.mktemp("elsewhere")) / "target"
    elsewhere.write_text("kept")
    lock_path().with_suffix(".holder").symlink_to(elsewhere)
    with host_lock():
        assert elsewhere.read_text() == "kept"
