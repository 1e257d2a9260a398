"""``[[task]]`` of a campaign on a declared network: what is trained, measured, exported, refused, and done once only."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

import hwsearch
from hwsearch.api import backbone
from hwsearch.api.campaign_tasks import check_tasks, train_tasks
from hwsearch.api.opening import do_step
from hwsearch.campaigns import Campaign
from hwsearch.campaigns.states import TASKS
from hwsearch.errors import CheckpointError, DataError, TrainingError
from hwsearch.supernets.checkpoint import digest, save_weights
from hwsearch.tasks.images import ImageTask
from tests.api.test_adding_tasks import NETWORK, images
from tests.training.gated import halves, small

TRAINING = {"steps": 12, "batch": 16, "padding": 0, "density": 0.3}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``net.py`` and its weights; ``first`` and ``second`` of four classes, ``third`` of two."""
    folder = tmp_path_factory.mktemp("tasks")
    (folder / "net.py").write_text(NETWORK)
    for seed in (3, 4):
        net = small(seed)
        save_weights(net, folder / f"{seed}.safetensors", {"digest": digest(net)})
    for name, classes, seed in (("first", "abcd", 0), ("second", "efgh", 10), ("third", "ij", 20)):
        images(folder / name, classes, seed)
    return folder


def opened(place: Path, folder: Path, *tasks: str, weights: int = 3, **more: object) -> Campaign:
    """A campaign in a folder, with tasks of `TRAINING`."""
    lines = [
        f'[supernet]\nname = "{place}/net.py:ENTRY"\ncheckpoint = "{place}/{weights}.safetensors"\n[[device]]\nname = "cpu"'
    ]
    for task in tasks:
        given = {"name": task, "data": str(place / task), **TRAINING, **more}
        lines += ["[[task]]", *(f"{k} = {json.dumps(v)}" for k, v in given.items())]
    path = folder.parent / f"{folder.name}.toml"
    path.write_text("\n".join(lines))
    return Campaign.open(path, folder=folder)


@pytest.fixture(scope="module")
def trained(place: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list]:
    """The folder of a campaign with three tasks, exported, and their rows."""
    folder = tmp_path_factory.mktemp("campaign") / "run"
    campaign = opened(place, folder, "first", "second", "third", export=True)
    check_tasks(campaign)
    assert not (folder / "backbone").exists()  # checking trains nothing
    return folder, do_step(campaign, "tasks", train_tasks)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def never(*_: object, **__: object) -> None:
    raise AssertionError("this is not to be done again")


def test_each_task_is_trained_and_told(trained) -> None:
    folder, rows = trained
    index = json.loads((folder / "backbone/backbone.json").read_text())
    assert [r["name"] for r in rows] == [r["name"] for r in index["tasks"]] == ["first", "second", "third"]
    assert [r["classes"] for r in rows] == [4, 4, 2] and [r["examples"] for r in rows[:2]] == [40, 40]
    assert 1 > rows[0]["free"] > rows[1]["free"] > rows[2]["free"] > 0 and rows[0]["trained"] == 1.0
    for row, told in zip(rows, index["tasks"], strict=True):
        assert row["forgetting"] == 0 and row["density"] == told["density"]
        assert row["score"] == pytest.approx(
            told["score"]["top1_percent"], abs=1e-3
        )  # as when it was added, after all others
        assert row["bytes"] == (folder / f"backbone/tasks/{row['name']}.safetensors").stat().st_size


def test_scores_are_in_the_store_with_their_spread(trained, place: Path) -> None:
    folder, rows = trained
    campaign = Campaign.open(folder)
    digests = [r["digest"] for r in json.loads((folder / "backbone/backbone.json").read_text())["tasks"]]
    for row, weights in zip(rows, digests, strict=True):
        (m,) = campaign.store.find(supernet=weights)
        assert (m.metric, m.value, m.unit, m.arch_id) == ("accuracy", row["score"], "%", campaign.space.largest().id)
        share, n = m.value / 100, m.details["images"]
        assert m.spread == pytest.approx(1.96 * 100 * np.sqrt(share * (1 - share) / n), rel=0.02)
        assert m.low == row["low"] and m.high == row["high"] and m.protocol and m.started_at <= m.ended_at
        assert m.details["task"] == row["name"] and len(m.record) * 8 >= n
    assert campaign.store.get_state(TASKS)["rows"] == rows


def test_an_exported_task_answers_as_it_scored(trained, place: Path) -> None:
    """The score is counted again by ONNX Runtime on pixels that are prepared here."""
    folder, rows = trained
    session = onnxruntime.InferenceSession(folder / "models/tasks/second.onnx", providers=["CPUExecutionProvider"])
    pixels, labels = halves(40, 11)
    x = ((pixels.astype(np.float32) / 255 - 0.4) / 0.25).transpose(0, 3, 1, 2)
    answers = session.run(None, {session.get_inputs()[0].name: x.astype(np.float32)})[0].argmax(1)
    assert 100 * (answers == labels).mean() == pytest.approx(rows[1]["score"])


def test_a_second_run_trains_and_measures_nothing(trained, place: Path, tmp_path: Path, monkeypatch) -> None:
    folder, rows = tmp_path / "run", trained[1]
    shutil.copytree(trained[0], folder)
    before = (folder / "backbone/backbone.json").read_bytes()
    monkeypatch.setattr(backbone.TaskTraining, "run", never)
    monkeypatch.setattr("hwsearch.tasks.images.ImageTask.evaluate", never)
    campaign = opened(place, folder, "first", "second", "third", export=True)
    count = campaign.measured()
    again = do_step(campaign, "tasks", train_tasks)
    assert [{**r, "file": ""} for r in again] == [{**r, "file": ""} for r in rows]
    assert campaign.measured() == count and (folder / "backbone/backbone.json").read_bytes() == before


def test_data_are_read_once_a_run(trained, place: Path, tmp_path: Path, monkeypatch) -> None:
    folder, read, reader = tmp_path / "run", [], ImageTask.read
    shutil.copytree(trained[0], folder)
    monkeypatch.setattr(ImageTask, "read", lambda self, text, **more: read.append(text) or reader(self, text, **more))
    each = [f"{place}/{name}/{split}" for name in ("first", "second") for split in ("train", "test")]
    campaign = opened(place, folder, "first", "second")
    do_step(campaign, "check", check_tasks)
    assert read == each
    do_step(campaign, "tasks", train_tasks)
    assert read == each and not campaign.task_examples  # which are let go
    train_tasks(campaign)  # with nothing checked before
    assert read == [*each, *each]
    check_tasks(campaign)
    check_tasks(campaign)  # the files may have changed
    assert read == each * 4


def test_two_tasks_on_the_same_data_read_them_once(place: Path, tmp_path: Path, monkeypatch) -> None:
    read, reader = [], ImageTask.read
    monkeypatch.setattr(ImageTask, "read", lambda self, text, **more: read.append(text) or reader(self, text, **more))
    campaign = opened(place, tmp_path / "run", "other", "second", data=str(place / "first"))
    check_tasks(campaign)
    assert read == [f"{place}/first/train", f"{place}/first/test"]


def test_models_are_written_only_where_they_are_not_those_of_the_masks(
    trained, place: Path, tmp_path: Path, monkeypatch
) -> None:
    folder, names = tmp_path / "run", ("first", "second", "third")
    shutil.copytree(trained[0], folder)
    models = folder / "models/tasks"
    state = lambda: {p.name: (p.stat().st_ino, p.stat().st_mtime_ns) for p in models.iterdir()}  # noqa: E731
    written: list[str] = []
    export = backbone.Backbone.export
    monkeypatch.setattr(
        backbone.Backbone, "export", lambda self, task, path: written.append(task) or export(self, task, path)
    )
    run = lambda: train_tasks(opened(place, folder, *names, export=True))  # noqa: E731
    before, digests = state(), {n: sha256(models / f"{n}.onnx") for n in names}
    rows = run()
    assert not written and state() == before and [Path(r["file"]).name for r in rows] == [f"{n}.onnx" for n in names]

    (models / "first.onnx").unlink()
    whole = (models / "second.onnx").read_bytes()
    (models / "second.onnx").write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))  # as long as it was
    (models / "third.json").write_text((models / "third.json").read_text()[:200])
    run()
    assert written == [*names] and {n: sha256(models / f"{n}.onnx") for n in names} == digests

    written.clear()
    shutil.rmtree(folder / "backbone")  # other weights under one name, and a model that was cut off before its card
    train_tasks(opened(place, folder, *names, export=True, seed=1))
    assert written == [*names] and not set(digests.values()) & {sha256(models / f"{n}.onnx") for n in names}
    written.clear()
    shutil.copy(trained[0] / "models/tasks/second.onnx", models)
    train_tasks(opened(place, folder, *names, export=True, seed=1))
    assert written == ["second"] and not set(digests.values()) & {sha256(models / f"{n}.onnx") for n in names}


def test_a_task_that_is_added_later_leaves_the_others(trained, place: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    two = train_tasks(opened(place, folder, "first", "second"))
    digests = [r["digest"] for r in json.loads((folder / "backbone/backbone.json").read_text())["tasks"]]
    three = train_tasks(opened(place, folder, "first", "second", "third"))
    told = json.loads((folder / "backbone/backbone.json").read_text())["tasks"]
    assert [r["digest"] for r in told[:2]] == digests
    same = ("score", "measured_at", "density", "trained", "free", "bytes")
    assert [[r[k] for k in same] for r in three[:2]] == [[r[k] for k in same] for r in two]
    whole = json.loads((trained[0] / "backbone/backbone.json").read_text())["tasks"]
    assert [r["digest"] for r in told] == [r["digest"] for r in whole]  # as in one go


def test_an_interrupted_run_goes_on(trained, place: Path, tmp_path: Path, monkeypatch) -> None:
    folder, updates = tmp_path / "run", []

    class Stops:
        def update(self, done: float) -> None:
            updates.append(done)
            if done == 22:
                raise KeyboardInterrupt

        def note(self, text: str) -> None:
            pass

    class Progress:
        def task(self, name: str, total: float, unit: str):
            assert (name, total, unit) == ("tasks", 24, "steps")
            return contextlib.nullcontext(Stops())

    campaign = opened(place, folder, "first", "second")
    campaign.progress = Progress()
    with pytest.raises(KeyboardInterrupt):
        train_tasks(campaign)
    assert updates == [10, 12, 12, 22]
    assert (folder / "backbone/training/second.pt").exists()
    assert [r["name"] for r in json.loads((folder / "backbone/backbone.json").read_text())["tasks"]] == ["first"]
    train_tasks(opened(place, folder, "first", "second"))
    ours, whole = (json.loads((f / "backbone/backbone.json").read_text())["tasks"] for f in (folder, trained[0]))
    assert [r["digest"] for r in ours] == [r["digest"] for r in whole[:2]]


def test_everything_is_refused_before_anything_is_trained(trained, place: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(backbone.TaskTraining, "run", never)
    with pytest.raises(DataError, match=r"\[\[task\]\] 'missing': "):
        train_tasks(opened(place, tmp_path / "run", "first", "missing"))
    assert not (tmp_path / "run/backbone").exists()
    folder = tmp_path / "copy"
    shutil.copytree(trained[0], folder)
    with pytest.raises(
        TrainingError, match=r"\[\[task\]\] 'first': .* of other settings \(config\.density=0\.3, now 0\.2"
    ):
        check_tasks(opened(place, folder, "first", density=0.2))
    with pytest.raises(TrainingError, match=r"\[\[task\]\] 'first': .* has 4 classes .* have 2 \(i, j\)"):
        check_tasks(opened(place, folder, "first", data=str(place / "third")))
    with pytest.raises(CheckpointError, match="started from other weights than those of this campaign") as told:
        check_tasks(opened(place, folder, "first", weights=4))
    assert "another folder" in str(told.value)


def test_damaged_masks_are_refused(trained, place: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(trained[0], folder)
    shutil.copy(folder / "backbone/tasks/second.safetensors", folder / "backbone/tasks/first.safetensors")
    with pytest.raises(CheckpointError, match="'first'"):
        train_tasks(opened(place, folder, "first", "second"))


def test_the_commands_of_one_task_work_on_its_folder(trained, place: Path, tmp_path: Path) -> None:
    card = hwsearch.export_task(
        f"{place}/net.py:ENTRY", trained[0] / "backbone", "third", output=tmp_path / "third.onnx"
    )
    own = json.loads((trained[0] / "models/tasks/third.json").read_text())
    assert card["task"] == own["task"] and card["files"][0]["sha256"] == own["files"][0]["sha256"]
