"""Runs the blocks of a page in a folder of their own, with small data and few measurements."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import matplotlib
import pytest

from hwsearch.campaigns.loading import parse_config
from hwsearch.campaigns.toml import to_toml
from hwsearch.cli.main import app

from .pages import ROOT, blocks, commands

#: what a page's configuration is run with; all that a reader sees beside these keys stays as it is
SMALL: dict[str, dict[str, Any]] = {
    "data": {"calibration_images": 30, "validation_images": 40, "test_images": 60, "batch": 60},
    "protocol": {
        "processes": [2, 2],
        "loads": 1,
        "visits": 2,
        "block_ms": 0.2,
        "warmup_ms": 1.0,
        "block_runs": 2,
    },
    "profile": {"latency": 10, "accuracy": 9, "random": 2},
    "search": {"rounds": 1, "per_round": 3, "inner_evaluations": 400},
    "validate": {"candidates": 4, "processes": [2, 2], "rounds": 0},
    "fleet": {"isolation": False},
}


def small(text: str) -> str:
    """A campaign's configuration with the sizes of `SMALL`."""
    data = tomllib.loads(text)
    for table, keys in SMALL.items():
        data[table] = {**data.get(table, {}), **keys}
    return to_toml(parse_config(data, "the page"))


@pytest.fixture
def run_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., dict[str, Any]]]:
    """A function that runs a page from top to bottom and returns the names its Python blocks leave.

    Files are written, ``bash`` blocks go through the command line in this process, ``python`` blocks are executed in
    one namespace; ``console`` blocks and other languages are not run.
    """
    matplotlib.use("Agg")
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))  # measurements take turns by a lock there
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "examples" / "command_onnxruntime.py", tmp_path)
    before = set(sys.modules)

    def run(page: Path, names: dict[str, Any] | None = None) -> dict[str, Any]:
        names = {} if names is None else names
        for block in blocks(page):
            if block.title:
                text = small(block.text) if block.title.endswith(".toml") else block.text
                (tmp_path / block.title).write_text(text, encoding="utf-8")
            elif block.language == "bash":
                for command in commands(block):
                    program, *arguments = shlex.split(command)
                    assert program == "hwsearch", f"{page.name}, line {block.line}: {command}"
                    code = app(arguments, standalone_mode=False)
                    assert not code, f"{page.name}, line {block.line}: {command} ends with {code}"
            elif block.language == "python":
                exec(compile(block.text, f"{page.name}, line {block.line}", "exec"), names)
        return names

    yield run
    for name in set(sys.modules) - before:
        file = getattr(sys.modules[name], "__file__", None)
        if file and Path(file).parent == tmp_path:
            del sys.modules[name]
