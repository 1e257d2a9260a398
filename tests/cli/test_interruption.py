"""Ctrl-C that something swallows is answered at the next step of the progress."""

from __future__ import annotations

import io
import os
import signal
import threading

import pytest
from rich.console import Console

from hwsearch.cli import interruption
from hwsearch.cli.interruption import end_if_interrupted, listen, was_interrupted
from hwsearch.cli.progress import ConsoleProgress


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    """Ctrl-C as Python has it, and none that has come."""
    monkeypatch.setattr(interruption, "_Interruption", type("_Interruption", (), {"came": False, "open": False}))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def swallowed() -> None:
    try:
        os.kill(os.getpid(), signal.SIGINT)
        threading.Event().wait(5)
    except KeyboardInterrupt:
        pass


def test_an_interrupt_that_was_swallowed_ends_the_next_step_once() -> None:
    listen()
    progress = ConsoleProgress(Console(file=io.StringIO()))
    with pytest.raises(KeyboardInterrupt), progress.task("one", 2, "subnets") as task:
        task.update(1)
        swallowed()
        task.update(2)
    assert was_interrupted()
    with progress.task("tidying up", 1, "files") as task:  # what ends the run is not interrupted again
        task.update(1)


def test_only_the_main_thread_is_interrupted() -> None:
    listen()
    swallowed()
    found: list[bool] = []

    def other() -> None:
        end_if_interrupted()
        found.append(True)

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert found == [True]
    with pytest.raises(KeyboardInterrupt):
        end_if_interrupted()


def test_a_process_that_ignores_interrupts_goes_on_ignoring_them() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    listen()
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN and not was_interrupted()
