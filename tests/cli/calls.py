"""Commands called in this process, shared by the tests of the command line and of the verbs behind it."""

from __future__ import annotations

import sys

import pytest

from hwsearch.cli.main import main


def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command."""
    monkeypatch.setattr(sys, "argv", ["hwsearch", *args])
    code = 0
    try:
        main()
    except SystemExit as done:
        code = int(done.code or 0)
    said = capsys.readouterr()
    return code, said.out, said.err
