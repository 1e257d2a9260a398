"""Pieces in files: written, read by another trainer, and refused where they are of another run."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch

from hwsearch.supernets.base import tensors_of
from hwsearch.supernets.checkpoint import digest
from hwsearch.tasks.images import ImageData, ImageTask
from hwsearch.training import Trainer, TrainingConfig
from hwsearch.training.assembling import (
    FILE,
    ModuleError,
    keep_piece,
    names_of,
    piece_folder,
    read_piece,
    told,
)
from hwsearch.training.ranks import ALONE, Ranks
from hwsearch.training.strategies.assemble import Assemble
from tests.training.several import together

CONFIG = TrainingConfig(steps=2, batch=32, lr=0.1, padding=0)


def trainer(net: Any, toy: ImageData, folder: Path, module: int, origin: str = "", **changed: Any) -> Trainer:
    config = CONFIG.model_copy(update=changed)
    return Trainer(
        net, Assemble(modules=2, module=module), ImageTask(toy.preprocess), toy, config, folder, origin=origin
    )


def test_assembled_weights_are_each_from_its_own_process(make_net, toy: ImageData, tmp_path: Path) -> None:
    nets = []
    for module in (1, 2):
        net = make_net()
        made = trainer(net, toy, piece_folder(tmp_path, module), module, "same")
        made.run()
        keep_piece(made)
        nets.append(net)
    assembled = make_net()
    for module in (1, 2):
        blank = trainer(assembled, toy, piece_folder(tmp_path, module), module, "same")
        piece = read_piece(blank, f"module {module}")
        assert piece is not None and piece.about["gradient_bytes_exchanged"] == 0
        assert set(piece.state) == set(names_of(blank)) and told(blank, piece).step == 2
        piece.adopt(assembled)
    state, states = tensors_of(assembled), [tensors_of(net) for net in nets]
    first = set(trainer(make_net(), toy, tmp_path / "x", 1).recipe.view.module_names(assembled))
    for name, value in state.items():
        if not name.endswith("num_batches_tracked"):
            assert torch.equal(value, states[0 if name in first else 1][name]), name
    assert digest(assembled) not in {digest(net) for net in nets}


def test_a_piece_of_another_run_is_refused_by_what_differs(make_net, toy: ImageData, tmp_path: Path) -> None:
    folder = tmp_path / "module-1"
    blank = trainer(make_net(), toy, folder, 1, "meta-a")
    assert read_piece(blank, "module 1") is None
    keep_piece(blank)
    assert read_piece(blank, "module 1") is not None
    with pytest.raises(ModuleError, match=r"no module 1 of this run \(weights to start from\)"):
        read_piece(trainer(make_net(), toy, folder, 1, "meta-b"), "module 1")
    assert read_piece(trainer(make_net(), toy, folder, 1, "meta-b"), "module 1", any_origin=True) is not None
    with pytest.raises(ModuleError, match=r"lr=0\.1, now 0\.2"):
        read_piece(trainer(make_net(), toy, folder, 1, "meta-a", lr=0.2), "module 1")
    with pytest.raises(ModuleError, match=r"no module 2 of this run \(.*module=1, now 2"):
        read_piece(trainer(make_net(), toy, folder, 2, "meta-a"), "module 2")
    with pytest.raises(ModuleError, match="training data"):
        read_piece(trainer(make_net(), toy.take(range(128)), folder, 1, "meta-a"), "module 1")
    keep_piece(trainer(make_net(), toy, tmp_path / "module-2", 2))
    with pytest.raises(ModuleError, match="has not the tensors"):
        read_piece(trainer(make_net(24), toy, tmp_path / "module-2", 2), "module 2")
    (folder / FILE).write_bytes((folder / FILE).read_bytes()[:100])
    with pytest.raises(ModuleError, match="module 1 cannot be read from"):
        read_piece(blank, "module 1")


def test_other_kernels_and_threads_are_allowed(make_net, toy: ImageData, tmp_path: Path) -> None:
    made = trainer(make_net(), toy, tmp_path, 1)
    keep_piece(made)
    other = trainer(make_net(), toy, tmp_path, 1)
    identity = other.identity() | {"threads": 64, "kernels": "native"}
    other.identity = lambda: copy.deepcopy(identity)  # type: ignore[method-assign]
    assert read_piece(other, "module 1") is not None


def test_bytes_of_gradients_are_counted(tmp_path: Path) -> None:
    """Two ranks, a row of 10 float32 each: 5 are sent for the sum, and 5 sums to the other."""

    def work(ranks: Ranks) -> int:
        ranks.sum_in_order(torch.ones(1, 10), 0)
        return ranks.sent[0]

    assert together(2, work, tmp_path) == [40, 40]
    before = ALONE.sent[0]
    ALONE.sum_in_order(torch.ones(2, 10), 0)
    assert ALONE.sent[0] == before == 0
