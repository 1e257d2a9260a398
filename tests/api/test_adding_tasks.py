"""The verbs `add_task` and `export_task` on a declared network of a user's own file and folders of images."""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image

import hwsearch
from hwsearch.api.backbone import open_backbone
from hwsearch.api.training import initial_supernet
from hwsearch.errors import CheckpointError, ConfigError, DataError, OutputError, SupernetError, TrainingError
from hwsearch.supernets import catalogue
from hwsearch.supernets.checkpoint import digest, save_weights
from hwsearch.supernets.task_bank import TaskBank
from tests.training.gated import SIDE, halves, small

NETWORK = """
from hwsearch.supernets import SupernetEntry
from hwsearch.supernets.declared import elastic
from hwsearch.tasks.images import ImageTask, Preprocess
from tests.training.gated import DECLARED, SIDE, Small

TASK = ImageTask(Preprocess((0.4,) * 3, (0.25,) * 3))
ENTRY = SupernetEntry(
    "small-gated", "a small one", lambda: elastic(Small(), DECLARED, input_shape=(3, SIDE, SIDE), name="small-gated"), task=TASK
)
OTHER = SupernetEntry(
    "other", "another", lambda: elastic(Small(), DECLARED, input_shape=(3, SIDE, SIDE), name="small-gated"), task=TASK
)
"""


def images(folder: Path, classes: str, seed: int) -> Path:
    for split, n, more in (("train", 80, 0), ("test", 40, 1)):
        for i, (pixels, label) in enumerate(zip(*halves(n, seed + more), strict=True)):
            if label < len(classes):
                (folder / split / classes[label]).mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(folder / split / classes[label] / f"{i}.png")
    return folder


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``net.py``; ``first`` and ``second`` of four classes, ``third`` of two."""
    folder = tmp_path_factory.mktemp("tasks")
    (folder / "net.py").write_text(NETWORK)
    images(folder / "first", "abcd", 0)
    images(folder / "second", "efgh", 10)
    images(folder / "third", "ij", 20)
    return folder


def add(place: Path, folder: Path, task: str, data: str = "", **more):
    given = {"steps": 12, "batch": 16, "padding": 0, "density": 0.3, **more}
    return hwsearch.add_task(f"{place}/net.py:ENTRY", place / (data or task), folder, task, **given)


@pytest.mark.parametrize(
    ("given", "error", "why"),
    [
        ({"task": 3}, ConfigError, "3 is no name of a task"),
        ({"seed": None}, TrainingError, "seed = None is not valid"),
        ({"epochs": "3", "steps": None}, TrainingError, "epochs = '3' is not valid"),
        ({"batch": None}, TrainingError, "batch = None is not valid"),
        ({"lr": None}, TrainingError, "lr = None is not valid"),
        ({"weight_decay": float("nan")}, TrainingError, "weight_decay = nan is not valid"),
    ],
)
def test_wrong_types_are_named(place: Path, tmp_path: Path, given: dict, error: type[Exception], why: str) -> None:
    task = given.pop("task", "first")
    with pytest.raises(error, match=why):
        add(place, tmp_path / "new", task, "first", **given)
    with pytest.raises(SupernetError, match="None is no name of a supernet"):
        hwsearch.add_task(None, place / "first", tmp_path, "first")  # type: ignore[arg-type]


def test_a_list_of_tasks_that_lacks_something_is_damaged(place: Path, bank, tmp_path: Path) -> None:
    index = json.loads((bank[0] / "backbone.json").read_text())
    shutil.copytree(bank[0], tmp_path / "many")
    for change, why in (
        (lambda rows: rows[0].pop("settings"), "is damaged: task 'first' has no settings"),
        (lambda rows: rows[0].update(density="0.3"), "is damaged: task 'first' has no density"),
        (lambda rows: rows.append(rows[0]), "is damaged"),
        (lambda rows: rows[1].update(classes=["e", "f"]), "it has 2 classes, and its network 4 outputs"),
    ):
        changed = copy.deepcopy(index)
        change(changed["tasks"])
        (tmp_path / "many/backbone.json").write_text(json.dumps(changed))
        with pytest.raises(CheckpointError, match=why):
            hwsearch.export_task(f"{place}/net.py:ENTRY", tmp_path / "many", "second")


@pytest.fixture(scope="module")
def bank(place: Path, tmp_path_factory: pytest.TempPathFactory):
    """A folder of three tasks; the rows; outputs of each right after it was added; the states that were shown."""
    folder, shown, rows, outputs = tmp_path_factory.mktemp("many") / "new", [], {}, {}
    for task in ("first", "second", "third"):
        rows[task] = add(place, folder, task, progress=shown.append)
        card = hwsearch.export_task(f"{place}/net.py:ENTRY", folder, task, output=folder.parent / f"{task}.onnx")
        outputs[task] = run(card["path"])
    return folder, rows, outputs, shown


def opened_bank(place: Path, folder: Path, weights: Path | None = None) -> TaskBank:
    entry = catalogue.entry(f"{place}/net.py:ENTRY")
    net = initial_supernet(entry, f"{place}/net.py:ENTRY", weights, 0)
    return open_backbone(entry, net, entry.find_task(), folder, given=str(weights or "")).bank


def run(path: str) -> np.ndarray:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    x = torch.randn(16, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(5)).numpy()
    return session.run(None, {session.get_inputs()[0].name: x})[0]


def test_what_is_known_of_a_task_is_told(bank) -> None:
    folder, rows, _, shown = bank
    first, second, third = (rows[k] for k in ("first", "second", "third"))
    assert first["classes"] == list("abcd") and third["classes"] == list("ij")
    assert first["tasks"] == ["first"] and third["tasks"] == ["first", "second", "third"]
    assert first["trained"] == 1.0 and 0 < second["trained"] < 1 and not second["own_head"] and third["own_head"]
    assert 1 > first["free"] > second["free"] > third["free"] > 0
    assert first["density"] == pytest.approx(0.3, abs=0.01) and first["free"] == pytest.approx(1 - first["density"])
    assert first["score"]["images"] == 40 and 0 <= first["score"]["top1_percent"] <= 100
    assert shown[0]["step"] == 10 and shown[1]["step"] == shown[1]["steps"] == 12
    assert not list((folder / "training").glob("*.pt"))
    assert len(json.loads((folder / "backbone.json").read_text())["tasks"]) == 3


def test_exported_networks_stay_as_they_were_to_the_bit(place: Path, bank, tmp_path: Path) -> None:
    folder, _, outputs, _ = bank
    for task, before in outputs.items():
        card = hwsearch.export_task(f"{place}/net.py:ENTRY", folder, task, output=tmp_path / f"{task}.onnx")
        assert card["difference_from_torch"] <= 1e-5 and card["task"]["name"] == task
        assert run(card["path"]).tobytes() == before.tobytes()
        assert card["classes"] == card["task"]["classes"] and before.shape == (16, len(card["classes"]))


def test_an_exported_network_is_the_masked_one(place: Path, bank) -> None:
    folder, _, outputs, _ = bank
    opened = opened_bank(place, folder)
    for task, found in outputs.items():
        net = opened.network.cut(opened.load(task))
        x = torch.randn(16, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(5))
        with torch.no_grad():
            np.testing.assert_allclose(found, net(x).numpy(), rtol=1e-5, atol=1e-5)


def test_the_same_call_gives_what_is_known_and_another_is_refused(place: Path, bank) -> None:
    folder, rows, _, _ = bank
    before = (folder / "backbone.json").read_bytes()
    again = add(place, folder, "first")
    assert {**again, "tasks": None} == {**rows["first"], "tasks": None}
    with pytest.raises(
        TrainingError, match=r"task 'first' .* has 4 classes \(a, b, c, d\), and the data .* have 2 \(i, j\)"
    ):
        add(place, folder, "first", data="third")
    with pytest.raises(TrainingError, match=r"a task 'first' of other settings \(config\.density=0\.3, now 0\.2"):
        add(place, folder, "first", density=0.2)
    with pytest.raises(CheckpointError, match="of supernet 'small-gated', and the one given has 'other'"):
        hwsearch.export_task(f"{place}/net.py:OTHER", folder, "first")
    with pytest.raises(CheckpointError, match="has no task 'fourth'; it has: first, second, third"):
        hwsearch.export_task(f"{place}/net.py:ENTRY", folder, "fourth")
    assert (folder / "backbone.json").read_bytes() == before


def test_ctrl_c_leaves_the_tasks_and_the_same_call_goes_on(place: Path, tmp_path: Path, bank) -> None:
    def stop(status) -> None:
        raise KeyboardInterrupt

    add(place, tmp_path, "first")
    before = (tmp_path / "backbone.json").read_bytes()
    with pytest.raises(KeyboardInterrupt):
        add(place, tmp_path, "second", progress=stop)
    assert (tmp_path / "backbone.json").read_bytes() == before and (tmp_path / "training/second.pt").exists()
    assert add(place, tmp_path, "second")["digest"] == bank[1]["second"]["digest"]


def test_a_backbone_starts_from_weights(place: Path, tmp_path: Path) -> None:
    net, weights = small(3), tmp_path / "small.safetensors"
    save_weights(net, weights, {"digest": digest(net)})
    folder = tmp_path / "many"
    add(place, folder, "first", checkpoint=weights, weight_share=0)
    opened = opened_bank(place, folder, weights)
    expected = net.subnet(net.space.largest())
    assert torch.equal(opened.network.weight("head.weight"), expected.head.weight)
    other = tmp_path / "other.safetensors"
    save_weights(small(4), other, {"digest": "x"})
    with pytest.raises(CheckpointError, match="started from other weights than"):
        add(place, folder, "second", checkpoint=other)


def test_bad_input_is_refused_before_anything_is_written(place: Path, tmp_path: Path) -> None:
    folder = tmp_path / "new"
    with pytest.raises(ConfigError, match="is no name of a task"):
        add(place, folder, "../x", data="first")
    with pytest.raises(TrainingError, match="density = 2 is not valid"):
        add(place, folder, "first", density=2)
    with pytest.raises(TrainingError, match="which is no classification"):
        hwsearch.add_task("hat-wmt14-ende", place / "first", folder, "first")
    with pytest.raises(CheckpointError, match="has no tasks"):
        hwsearch.export_task(f"{place}/net.py:ENTRY", folder, "first")
    images(tmp_path / "one", "a", 0)
    with pytest.raises(DataError, match="have 1 class"):
        hwsearch.add_task(f"{place}/net.py:ENTRY", tmp_path / "one", folder, "first", steps=2, batch=4)
    assert not folder.exists()
    folder.mkdir()
    (folder / "backbone.json").write_text('{"mine": 1}')
    with pytest.raises((OutputError, CheckpointError), match=r"backbone\.json"):
        add(place, folder, "first")
