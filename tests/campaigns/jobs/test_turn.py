"""Whom a campaign waits for at this host goes to its progress."""

from __future__ import annotations

import tempfile
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from hwsearch.campaigns.jobs import turn as module
from hwsearch.campaigns.jobs.turn import turn
from hwsearch.devices.fleet.host_lock import host_lock


class Heard:
    def __init__(self, enough: threading.Event) -> None:
        self.texts: list[str] = []
        self.enough = enough

    def wait(self, text: str) -> None:
        self.texts.append(text)
        self.enough.set()


def campaign(progress: Heard) -> SimpleNamespace:
    return SimpleNamespace(folder=Path("runs/second"), progress=progress, waited_s=0.0)


@pytest.fixture(autouse=True)
def own_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(module, "SHORT_S", 0.5)


def test_the_holder_is_named_until_the_turn_comes() -> None:
    held, enough = threading.Event(), threading.Event()

    def hold() -> None:
        with host_lock(campaign="runs/first"):
            held.set()
            enough.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    heard = Heard(enough)
    second = campaign(heard)
    with turn(second, SimpleNamespace(exclusive=True)):  # type: ignore[arg-type]
        assert heard.texts[-1] == "" and second.waited_s >= 0.5
    thread.join()
    assert all(t.startswith("runs/first (process ") for t in heard.texts[:-1]) and len(heard.texts) >= 2


def test_a_free_host_and_a_device_of_its_own_are_not_worth_a_word() -> None:
    heard = Heard(threading.Event())
    for exclusive in (True, False):
        with turn(campaign(heard), SimpleNamespace(exclusive=exclusive)):  # type: ignore[arg-type]
            pass
    assert heard.texts == []
