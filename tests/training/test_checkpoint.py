"""The checkpoint of a run: what tells runs apart is named with both values."""

from __future__ import annotations

import copy
import multiprocessing
import sys
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from hwsearch._json import JsonObject
from hwsearch.errors import HwsearchError, TrainingError
from hwsearch.supernets.checkpoint import save_weights
from hwsearch.training import Sandwich, TrainingConfig
from hwsearch.training.checkpoint import differences, read_training, write_training
from hwsearch.training.strategies.deps import DelayedEpsilonShrinking

IDENTITY: JsonObject = {
    "config": TrainingConfig(epochs=2).identity() | {"ghost_batches": 1},
    "strategy": Sandwich().identity(),
    "parts": {"sampler": {"part": "After", "share": 0.5}},
    "space": {"name": "s"},
    "data": "d",
    "origin": "",
    "kernels": "eager",
    "threads": 1,
    "device": "cpu",
}


def other(**changes: Any) -> JsonObject:
    """Another identity; ``strategy_random`` is a setting of the strategy."""
    found = copy.deepcopy(IDENTITY)
    for name, value in changes.items():
        whole, _, key = name.partition("__")
        if key:
            found[whole][key] = value
        else:
            found[whole] = value
    return found


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"config__lr": 0.3, "config__seed": 4}, r"\(lr=0\.1, now 0\.3; seed=0, now 4\)"),
        ({"strategy__random": 3}, r"\(strategy\.random=2, now 3\)"),
        ({"strategy": DelayedEpsilonShrinking().identity()}, r"\(strategy=Sandwich, now DelayedEpsilonShrinking\)"),
        ({"strategy__random": 3, "parts": {}}, r"\(strategy\.random=2, now 3\)"),  # parts follow from the strategy
        ({"parts": {"sampler": {"part": "After", "share": 0.25}}}, r"\(sampler\.share=0\.5, now 0\.25\)"),
        ({"space": {}, "data": "e", "origin": "w"}, r"\(search space; training data; weights to start from\)"),
        (
            {"config__ghost_batches": 4},
            r"into 1 part, .* into 4 parts: .* Start 1 process, set ghost_batches = 1 under",
        ),
        ({"kernels": "native avx"}, "kernels eager, and this process has native avx"),
        ({"device": "cuda"}, "a run of device cpu, and this process computes on cuda.* Choose --device cpu"),
        ({"threads": 2}, "computes with 1 threads, and this process has 2"),
    ],
)
def test_what_differs_is_named_with_both_values(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    write_training(tmp_path / "training.pt", {"identity": IDENTITY, "step": 3})
    assert read_training(tmp_path / "training.pt", copy.deepcopy(IDENTITY))["step"] == 3
    with pytest.raises(TrainingError, match=said):
        read_training(tmp_path / "training.pt", other(**changes))


def test_a_checkpoint_from_before_ghost_batches_had_one(tmp_path: Path) -> None:
    old = copy.deepcopy(IDENTITY)
    del old["config"]["ghost_batches"]
    write_training(tmp_path / "training.pt", {"identity": old, "step": 3})
    assert read_training(tmp_path / "training.pt", IDENTITY)["step"] == 3
    with pytest.raises(TrainingError, match="into 1 part, and this one cuts them into 2 parts"):
        read_training(tmp_path / "training.pt", other(config__ghost_batches=2))


def test_a_checkpoint_from_before_devices_were_told_is_of_the_processor(tmp_path: Path) -> None:
    old = copy.deepcopy(IDENTITY)
    del old["device"]
    write_training(tmp_path / "training.pt", {"identity": old, "step": 3})
    assert read_training(tmp_path / "training.pt", IDENTITY)["step"] == 3
    with pytest.raises(TrainingError, match="a run of device cpu, and this process computes on cuda"):
        read_training(tmp_path / "training.pt", other(device="cuda"))


def test_differences_go_into_lists_and_parts() -> None:
    known = {"part": "A", "inner": {"part": "B", "x": 1}, "values": [1, 2], "gone": 3}
    now = {"part": "A", "inner": {"part": "C"}, "values": [1, 5], "new": "t"}
    assert differences(known, known) == []
    assert differences(known, now, "s") == [
        "s.inner=B, now C",
        "s.values[1]=2, now 5",
        "s.gone=3, now None",
        "s.new=None, now 't'",
    ]
    assert differences([1], [1, 2], "v") == ["v=[1], now [1, 2]"]


def _on_a_full_disk(folder: Path, answer: Connection) -> None:
    """Write files of more than the most that this process may write, as on a disk that is full."""
    import resource

    net = nn.Linear(200, 200)
    said = []
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
    for write in (
        lambda: write_training(folder / "training.pt", {"step": 2, "x": net.weight.detach()}),
        lambda: save_weights(net, folder / "net.safetensors", {}),
    ):
        try:
            write()
        except HwsearchError as error:
            said.append(str(error))
    answer.send(said)


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits of a process")
def test_on_a_full_disk_the_files_before_are_kept_whole(tmp_path: Path) -> None:
    """The real writers, stopped by the system in the middle of the file."""
    write_training(tmp_path / "training.pt", {"step": 1})
    save_weights(nn.Linear(2, 2), tmp_path / "net.safetensors", {})
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=_on_a_full_disk, args=(tmp_path, theirs))
    process.start()
    assert ours.poll(120), "it neither wrote nor failed"
    checkpoint, weights = ours.recv()
    process.join()
    assert "the checkpoint of step 2 cannot be written" in checkpoint and "the one before is kept" in checkpoint
    assert "net.safetensors" in weights
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_cut_checkpoint_is_named_and_its_sentence_ends_once(tmp_path: Path) -> None:
    path = tmp_path / "training.pt"
    write_training(path, {"identity": IDENTITY, "step": 1})
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(TrainingError, match=r"training.pt' cannot be read: .*[^.]\. Remove it to start anew"):
        read_training(path, IDENTITY)
