"""The folder of a backbone: what is written, when it counts, what is refused, and its size."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch
from torch import nn

from hwsearch._json import JsonObject
from hwsearch.errors import CheckpointError, ConfigError, OutputError
from hwsearch.supernets import task_bank
from hwsearch.supernets.supermasks import MaskedNetwork, MaskedTask
from hwsearch.supernets.task_bank import TaskBank, read_index
from tests.training.masked import logits, network, training, two_classes

ABOUT = {"supernet": "plain", "space": "plain", "structure": "", "start": "0"}


def add(folder: Path, name: str, k: int) -> tuple[TaskBank, MaskedTask]:
    bank = TaskBank(folder, network(), ABOUT)
    earlier = {r["name"]: bank.load(r["name"]) for r in bank.rows}
    after, task = training(bank.network, name, two_classes(k), earlier=earlier, steps=6).run()
    bank.commit(after, task, {"seed": k})
    return bank, task


def files(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


def content(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in files(folder)}


def test_tasks_come_back_as_they_were_added(tmp_path: Path) -> None:
    _, one = add(tmp_path, "one", 0)
    bank, two = add(tmp_path, "two", 1)
    assert files(tmp_path) == {
        "backbone.json",
        "weights-2.safetensors",
        "tasks/one.safetensors",
        "tasks/two.safetensors",
    }
    again = TaskBank(tmp_path, network(seed=9), ABOUT | {"start": "of another seed"})
    assert again.about["start"] == "0" and [r["name"] for r in again.rows] == ["one", "two"]
    for task, k in ((one, 0), (two, 1)):
        found = again.load(task.name)
        assert found.digest == task.digest and found.classes == ("x", "y")
        assert torch.equal(
            logits(again.network.cut(found), two_classes(k)), logits(bank.network.cut(task), two_classes(k))
        )
    assert again.row("one") == {**again.rows[0]} and again.row("three") is None
    with pytest.raises(CheckpointError, match="has no task 'three'; it has: one, two"):
        again.load("three")


def test_a_head_of_other_classes_comes_back(tmp_path: Path) -> None:
    bank = TaskBank(tmp_path, network(classes=5), ABOUT)
    after, task = training(bank.network, "two", two_classes(0)).run()
    bank.commit(after, task, {})
    again = TaskBank(tmp_path, network(classes=3), ABOUT)  # the backbone was made for other classes meanwhile
    assert again.network.classes == 5
    assert again.load("two").head["weight"].shape == (2, 16)


@pytest.mark.parametrize("at", ["weights", "tasks", "backbone.json", "after"])
def test_a_process_that_is_killed_leaves_the_state_before_or_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    """The process ends before a file is put in place, or right after the last one."""
    add(tmp_path, "one", 0)
    before = content(tmp_path)
    pid = os.fork()
    if not pid:  # the child
        replace = Path.replace, os.replace

        def instead(source, target, *rest):
            if at in str(Path(target).relative_to(tmp_path)):
                os._exit(9)
            return replace[1](source, target, *rest)

        os.replace = instead  # type: ignore[assignment]
        Path.replace = lambda self, target: instead(self, target)  # type: ignore[method-assign,assignment]
        unlink = Path.unlink
        last = lambda self, **more: os._exit(9) if self.name == "weights-1.safetensors" else unlink(self, **more)  # noqa: E731
        Path.unlink = last  # type: ignore[method-assign,assignment]
        try:
            add(tmp_path, "two", 1)
        finally:
            os._exit(1)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 9
    bank = TaskBank(tmp_path, network(), ABOUT)
    expected = ["one", "two"] if at == "after" else ["one"]
    assert [r["name"] for r in bank.rows] == expected
    assert all(bank.load(name) for name in expected)
    if at != "after":
        assert {k: v for k, v in content(tmp_path).items() if k in before} == before
        add(tmp_path, "two", 1)
        assert [r["name"] for r in TaskBank(tmp_path, network(), ABOUT).rows] == ["one", "two"]


def test_weights_that_would_change_a_task_are_not_written(tmp_path: Path) -> None:
    add(tmp_path, "one", 0)
    before = content(tmp_path)
    bank = TaskBank(tmp_path, network(), ABOUT)
    after, task = training(bank.network, "two", two_classes(1), exclusive=False).run()
    with pytest.raises(CheckpointError, match=r"'.*weight' that tasks of .* use would change; nothing is written"):
        bank.commit(after, task, {})
    after, task = training(bank.network, "two", two_classes(1), earlier={"one": bank.load("one")}).run()
    after.net.get_parameter("body.3.bias").data[0] += 1  # shared by all tasks
    with pytest.raises(CheckpointError, match=r"'body\.3\.bias' that tasks"):
        bank.commit(after, task, {})
    assert content(tmp_path) == before


def test_masks_of_another_backbone_are_refused(tmp_path: Path) -> None:
    add(tmp_path / "a", "one", 0)
    bank = TaskBank(tmp_path / "b", network(seed=1), ABOUT)
    after, task = training(bank.network, "one", two_classes(0), steps=6).run()
    bank.commit(after, task, {})
    (tmp_path / "a/tasks/one.safetensors").write_bytes((tmp_path / "b/tasks/one.safetensors").read_bytes())
    with pytest.raises(CheckpointError, match="masks of task 'one' are not of this backbone, or damaged"):
        TaskBank(tmp_path / "a", network(), ABOUT).load("one")


@pytest.mark.parametrize(
    ("about", "net", "why"),
    [
        ({"supernet": "other"}, network(), "has a backbone of supernet 'plain', and the one given has 'other'"),
        (
            {},
            MaskedNetwork(nn.Sequential(nn.Flatten(), nn.Linear(4, 2)), 2),
            "holds other tensors than the network has",
        ),
    ],
)
def test_another_network_is_refused(tmp_path: Path, about: JsonObject, net: MaskedNetwork, why: str) -> None:
    add(tmp_path, "one", 0)
    with pytest.raises(CheckpointError, match=why):
        TaskBank(tmp_path, net, ABOUT | about)


@pytest.mark.parametrize(
    ("name", "data", "why"),
    [
        ("backbone.json", b"{", "cannot be read"),
        ("backbone.json", b'{"backbone": {"generation": 1, "start": 2}, "tasks": []}', "damaged"),
        ("backbone.json", b'{"backbone": {"generation": 1, "start": "2"}, "tasks": [{"name": "../x", "digest": "", "classes": []}]}', "damaged"),
        ("weights-1.safetensors", b"", "truncated or damaged"),
        ("weights-1.safetensors", None, "there is no file"),
        ("tasks/one.safetensors", b"no", "truncated or damaged"),
    ],
)  # fmt: skip
def test_damaged_files_are_typed_errors(tmp_path: Path, name: str, data: bytes | None, why: str) -> None:
    add(tmp_path, "one", 0)
    if data is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(CheckpointError, match=why):
        TaskBank(tmp_path, network(), ABOUT).load("one")


def test_names_and_places_are_checked(tmp_path: Path) -> None:
    bank = TaskBank(tmp_path, network(), ABOUT)
    for name in ("", "../x", "a/b", "-x", "x" * 65):
        with pytest.raises(ConfigError, match="is no name of a task"):
            bank.check_place(name)
    assert read_index(tmp_path) is None
    (tmp_path / "backbone.json").write_text("mine")
    with pytest.raises(OutputError, match=r"backbone\.json.* exists"):
        bank.check_place("one")


class Wide(nn.Module):
    """Four layers, so wide that statistics are little beside bits."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 160, 1), nn.Conv2d(160, 160, 3, bias=False), nn.BatchNorm2d(160),
            nn.Conv2d(160, 160, 3, bias=False), nn.BatchNorm2d(160), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        )  # fmt: skip
        self.head = nn.Linear(160, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(x))


@pytest.mark.slow
def test_a_hundred_tasks_take_little_more_than_a_bit_a_weight(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net = MaskedNetwork(Wide(), 2)
    bank = TaskBank(tmp_path, net, ABOUT)
    generator = torch.Generator().manual_seed(0)
    statistics = {n: torch.ones(160) for n in net.statistics}
    monkeypatch.setattr(TaskBank, "_prove", lambda *_: None)  # weights stay as they are
    for k in range(100):
        masks = {n: torch.rand(net.weight(n).shape, generator=generator) < 0.05 for n in net.names}
        bank.commit(net, MaskedTask(f"task-{k}", ("x", "y"), masks, statistics), {"settings": {"steps": 100}})
    weights = sum(net.weight(n).numel() for n in net.names)
    stored = sum(len(data) for data in content(tmp_path).values())
    assert len(json.loads((tmp_path / task_bank.INDEX).read_text())["tasks"]) == 100
    assert 1 < stored / (4 * weights + 100 * weights / 8) <= 1.05
