"""Output in any encoding, into closed streams, and to readers that leave."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from hwsearch.cli import streams


def command(*args: str, encoding: str | None = None, redirected: str = "") -> subprocess.CompletedProcess[bytes]:
    env = os.environ | ({"PYTHONIOENCODING": encoding} if encoding else {})
    words = [sys.executable, "-m", "hwsearch", *args]
    if redirected:  # the words are parameters of a fixed script
        words = ["sh", "-c", f'"$@" {redirected}', "sh", *words]
    return subprocess.run(words, env=env, capture_output=True, check=False)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_characters_that_an_encoding_lacks_end_no_command(encoding: str) -> None:
    done = command("pick", "nowhere \N{RIGHTWARDS ARROW} \N{SNOWMAN}.toml", "--json", encoding=encoding)
    assert done.returncode == 1 and b"Traceback" not in done.stderr
    said = json.loads(done.stdout.decode(encoding))
    assert "\N{SNOWMAN}" in said["message"]  # JSON is whole: what the encoding lacks is escaped


@pytest.mark.parametrize("redirected", [">&-", "<&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_end_no_command(redirected: str) -> None:
    done = command("supernets", "list", redirected=redirected)
    assert done.returncode == 0 and b"Traceback" not in done.stderr


def test_a_reader_that_leaves_ends_the_command_quietly() -> None:
    done = command("supernets", "list", "--json", redirected="| true")
    assert b"Traceback" not in done.stderr and b"error" not in done.stderr


def test_streams_that_are_no_text_streams_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = object()
    monkeypatch.setattr(sys, "stdout", mine)
    monkeypatch.setattr(sys, "stdin", None)
    streams.take_streams()
    assert sys.stdout is mine and sys.stdin.read() == ""
