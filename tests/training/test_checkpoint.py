"""The checkpoint of a run: what tells runs apart is named with both values."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from hwsearch._json import JsonObject
from hwsearch.errors import TrainingError
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
