"""The one writer of files: whole or not at all, never through a link, never over what this tool did not write."""

from __future__ import annotations

import inspect
import json
from pathlib import Path

import pytest
import torch
from torch import nn

from hwsearch._files import anything, check_place, containing, json_with, overwriting, own_folder, write_file
from hwsearch.cli import main  # noqa: F401  (registers the commands)
from hwsearch.cli.app import app
from hwsearch.devices.traces import Moment, read_trace, write_trace
from hwsearch.errors import OutputError
from hwsearch.exporters import lower, write_bundle
from hwsearch.reporting import DeviceReport, ReportData, write_page
from hwsearch.reporting.style import new_figure, save
from hwsearch.supernets.checkpoint import save_weights

OURS = containing(b"hwsearch")
#: verbs that write files whose place or folder a user names
WRITING = {
    "run",
    "demo",
    "ensemble",
    "init",
    "pick",
    "export",
    "finetune",
    "report",
    "doctor",
    "supernets",
    "tables",
    "train",
    "prune",
    "add_task",
    "export_task",
    "assess_supernet",
    "grow",
}


def test_what_the_tool_wrote_is_replaced_and_other_files_are_not(tmp_path: Path) -> None:
    path = tmp_path / "a"
    write_file(path, b"hwsearch 1", OURS)
    write_file(path, b"hwsearch 2", OURS)
    assert path.read_bytes() == b"hwsearch 2"
    path.write_bytes(b"mine")
    with pytest.raises(OutputError, match=r"'.*a' exists.*--force"):
        write_file(path, b"hwsearch 3", OURS)
    assert path.read_bytes() == b"mine"
    with overwriting():
        write_file(path, b"hwsearch 3", OURS)
    assert path.read_bytes() == b"hwsearch 3" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("force", [False, True])
def test_nothing_is_written_through_a_link(tmp_path: Path, force: bool) -> None:
    other, link = tmp_path / "other", tmp_path / "link"
    other.write_bytes(b"hwsearch")
    link.symlink_to(other)
    (tmp_path / "dangling").symlink_to(tmp_path / "new")
    (tmp_path / "folder").symlink_to(tmp_path)
    with overwriting(force):
        for place in (link, tmp_path / "dangling"):
            with pytest.raises(OutputError, match="is a link"):
                write_file(place, b"new", anything)
        with pytest.raises(OutputError, match="is a link"):
            own_folder(tmp_path / "folder")
        with pytest.raises(OutputError, match="not a file"):
            check_place(own_folder(tmp_path / "real"), anything)
    assert other.read_bytes() == b"hwsearch" and not (tmp_path / "new").exists()


def test_an_empty_file_is_nobodys(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    write_file(tmp_path / "a", b"new", OURS)
    assert (tmp_path / "a").read_bytes() == b"new"


def test_a_left_over_partial_file_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    import os

    other = tmp_path / "other"
    other.write_bytes(b"mine")
    (tmp_path / f".a.{os.getpid()}.partial").symlink_to(other)
    write_file(tmp_path / "a", b"new", anything)
    assert other.read_bytes() == b"mine" and (tmp_path / "a").read_bytes() == b"new"


def test_keys_of_an_object_are_recognised() -> None:
    card = json.dumps({"file": "a.onnx", "bytes": 3, "sha256": "f00"}, indent=1).encode()
    package = json.dumps({"name": "site", "bytes": 3, "files": ["sha256"]}).encode()
    recognised = json_with("file", "bytes", "sha256")
    assert recognised(card) and not recognised(package) and not recognised(b"[]")


def _model() -> object:
    return lower(nn.Sequential(nn.Flatten(), nn.Linear(12, 2)).eval(), (3, 2, 2))


@pytest.mark.parametrize(
    ("name", "content"),
    [("package.json", '{"name": "my-site", "version": "1.0.0"}'), ("report.json", '{"format": "hwsearch-report-1"}')],
)
def test_a_card_replaces_no_other_json_and_nothing_is_written_then(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    model = (tmp_path / name).with_suffix(".onnx")
    with pytest.raises(OutputError, match=name):
        write_bundle(model, _model(), {})
    assert (tmp_path / name).read_text() == content and not model.exists()
    with overwriting():
        write_bundle(model, _model(), {})
    write_bundle(model, _model(), {"again": True})  # its own are replaced
    assert json.loads((tmp_path / name).read_text())["again"]


def _write_model(path: Path) -> None:
    write_bundle(path, _model(), {})


def _write_weights(path: Path) -> None:
    save_weights(nn.Linear(2, 2), path, {"supernet": "x", "digest": "y"})


def _write_page(path: Path) -> None:
    write_page(ReportData("t", "c", "2025-01-01", devices=[DeviceReport("idle")]), path)


def _write_data(path: Path) -> None:
    ReportData("t", "c", "2025-01-01").save(path)


def _write_trace(path: Path) -> None:
    write_trace([Moment(*map(float, range(len(Moment._fields))))], path)


def _write_figure(path: Path) -> None:
    save(new_figure(1.0, 1.0), path.parent, path.stem)


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("a.onnx", _write_model),
        ("a.safetensors", _write_weights),
        ("a.html", _write_page),
        ("a.json", _write_data),
        ("a.csv", _write_trace),
        ("a.csv.gz", _write_trace),
        ("a.png", _write_figure),
        ("a.svg", _write_figure),
    ],
)
def test_every_kind_of_file_recognises_its_own(tmp_path: Path, name: str, write) -> None:
    torch.manual_seed(0)
    path = tmp_path / name
    write(path)
    write(path)
    path.write_bytes(b"something that a user wrote")
    with pytest.raises(OutputError, match="hwsearch wrote"):
        write(path)
    assert path.read_bytes() == b"something that a user wrote"
    path.unlink()
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OutputError, match="is a link"):
        write(path)
    assert not (tmp_path / "elsewhere").exists()


def test_a_compressed_trace_is_read_again(tmp_path: Path) -> None:
    _write_trace(tmp_path / "a.csv.gz")
    assert len(read_trace(tmp_path / "a.csv.gz")) == 1


def test_every_verb_that_writes_can_be_forced() -> None:
    forced = {
        c.name or c.callback.__name__
        for c in app.registered_commands
        if c.callback is not None and "force" in inspect.signature(c.callback).parameters
    }
    assert forced == WRITING
