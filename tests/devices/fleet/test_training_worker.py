"""Trainings of a worker, by a program that only pretends: files, ends, Ctrl-C, silence, and that nothing is left."""

from __future__ import annotations

import asyncio
import json
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from hwsearch._package import __version__
from hwsearch.devices.fleet import training_worker
from hwsearch.devices.fleet.training_jobs import parse_answer
from hwsearch.devices.fleet.training_worker import ask_after_training, stop_training, train_on_worker, worker_facts
from hwsearch.errors import DeviceError


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes a job for the pretended program, and its files."""
    monkeypatch.setattr(training_worker, "PROGRAM", "tests.devices.fleet.pretended_training")
    monkeypatch.setattr(training_worker, "LOOK_S", 0.01)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "data").mkdir()

    def make(what: str, **files: bytes) -> tuple[str, dict[str, bytes]]:
        (tmp_path / "data" / "1.txt").write_text(what)
        given = {"recipe": "recipe.toml", "data": str(tmp_path / "data"), "module": 1}
        spec = {"id": "a", "name": "module 1", "given": given, "folder": "stage-1/module-1", "shown": "/home/me/run"}
        content = {f"stage-1/module-1/{name.replace('_', '.')}": value for name, value in files.items()}
        content |= {"recipe.toml": b"mine", "stage-1/meta/module.safetensors": b"meta"}
        return json.dumps({**spec, "identity": {"lr": 1}, "threads": 3}), content

    yield make
    assert not list((tmp_path / "tmp").iterdir()) and not training_worker._RUNNING
    assert not [c for c in psutil.Process().children(recursive=True) if c.status() != psutil.STATUS_ZOMBIE]


def log(tmp_path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (tmp_path / "data" / "log.txt").read_text().splitlines()]


def test_a_training_gets_its_files_and_threads_and_sends_back_what_it_trained(tmp_path: Path, job: Any) -> None:
    answer, files = parse_answer(train_on_worker(*job("finish")))
    assert answer["end"] == "finished" and answer["state"] is not None and answer["state"]["step"] == 10
    assert files == {"metrics.csv": b"step\n10\n", "module.safetensors": b"module 1, from the start"}
    (told,) = log(tmp_path)
    assert told["recipe"] == "mine" and told["meta"] == "meta" and told["threads"] == "3"
    assert told["identity"] == {"lr": 1}
    _, files = parse_answer(train_on_worker(*job("finish", training_pt=b"old")))
    assert files["module.safetensors"] == b"module 1, resumed"


@pytest.mark.parametrize(("what", "end"), [("refuse", "refused"), ("fail", "failed"), ("die", "died")])
def test_a_training_that_ends_badly_says_how_in_the_words_of_whoever_asked(
    tmp_path: Path, job: Any, what: str, end: str
) -> None:
    (tmp_path / "data" / "checkpoint.pt").write_bytes(b"new")
    answer, files = parse_answer(train_on_worker(*job(what, training_pt=b"old")))
    assert answer["end"] == end
    assert answer["why"] in ("/home/me/run has the value 7. Change it.", "module 1 was ended by signal 9")
    # a checkpoint that it came with is not sent back
    assert files == ({} if what == "refuse" else {"training.pt": b"new"})


def test_a_training_is_asked_after_and_stopped(tmp_path: Path, job: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data" / "checkpoint.pt").write_bytes(b"new")
    found: list[Any] = []
    given = job("hold", training_pt=b"old")
    thread = threading.Thread(target=lambda: found.append(train_on_worker(*given)))
    thread.start()
    until = time.monotonic() + 60
    text, stamp, content = "null", "", None
    while (text == "null" or content is None) and time.monotonic() < until:
        text, stamp, content = asyncio.run(ask_after_training("a", stamp, content is None))
        time.sleep(0.02)
    assert json.loads(text)["step"] == 5 and content == b"new"
    assert asyncio.run(ask_after_training("a", stamp, True))[1:] == (stamp, None)  # known
    assert asyncio.run(ask_after_training("a", "other", False))[1:] == ("other", None)  # not asked for
    assert asyncio.run(ask_after_training("none", "x", True)) == ("null", "x", None)
    stop_training("none")
    stop_training("a")
    thread.join(60)
    answer, files = parse_answer(found[0])
    assert answer["end"] == "stopped" and files == {"training.pt": b"new"}


def test_a_training_that_nobody_asks_after_is_stopped(job: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_worker, "SILENT_S", 0.5)
    assert parse_answer(train_on_worker(*job("hold")))[0]["end"] == "stopped"


def test_a_training_that_does_not_stop_is_killed(job: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_worker, "SILENT_S", 0.2)
    monkeypatch.setattr(training_worker, "STOP_S", 0.0)
    monkeypatch.setattr(training_worker.Helper, "interrupt", lambda self: None)
    assert parse_answer(train_on_worker(*job("hold")))[0]["end"] == "stopped"


@pytest.mark.parametrize("place", ["/etc/x", "../x", "a/../../x"])
def test_no_file_lands_outside_the_temporary_folder(job: Any, place: str) -> None:
    text, files = job("finish")
    with pytest.raises(DeviceError, match="not a place within"):
        train_on_worker(text, files | {place: b"x"})


def test_facts_are_versions_what_is_missing_and_the_share_of_the_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hwsearch.devices.threads.allowed_cores", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    facts = json.loads(worker_facts([str(tmp_path), str(tmp_path / "no")], 3))
    assert facts["missing"] == [str(tmp_path / "no")] and facts["threads"] == 2
    assert facts["versions"]["hwsearch"] == __version__ and "+" not in facts["versions"]["torch"]
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert json.loads(worker_facts([], 3))["threads"] == 5
