"""Commands with the package's verbs replaced, so that only what the command line adds is run."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import hwsearch
from hwsearch import api
from hwsearch.cli import cluster, render, results, steps
from tests.cli.calls import call


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs a command whose verbs are given by name: (exit code, stdout, stderr); a campaign is the text of its options."""
    for module in (cluster, results, steps):
        monkeypatch.setattr(module, "open_campaign", lambda source, folder, trust: f"{source} in {folder}")
    monkeypatch.setattr(render.out, "_width", 100)

    def run(*args: str, **verbs: Callable[..., object]) -> tuple[int, str, str]:
        for name, verb in verbs.items():
            for package in (hwsearch, api):
                monkeypatch.setattr(package, name, verb, raising=False)
        return call(monkeypatch, capsys, *args)

    return run
