"""A training that is killed at random moments ends with the weights of one that nobody killed."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from hwsearch.supernets.base import Supernet
from hwsearch.tasks.images import ImageData, ImageTask
from hwsearch.training import Trainer, TrainingConfig
from hwsearch.training.strategies.pada import PathAndDataSampling

#: a strategy with state, saved at every second step
CONFIG = TrainingConfig(epochs=2, batch=32, lr=0.05, padding=1, ema=0.9, checkpoint_steps=2)


def train(make: Callable[..., Supernet], data: ImageData, folder: Path) -> None:
    torch.set_num_threads(1)
    Trainer(make(), PathAndDataSampling(), ImageTask(data.preprocess), data, CONFIG, folder).run()


@pytest.mark.parametrize("kills", [3, pytest.param(100, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])])
def test_kills_change_nothing(make_net: Callable[..., Supernet], toy: ImageData, tmp_path: Path, kills: int) -> None:
    fork = multiprocessing.get_context("fork")
    rng = np.random.default_rng(kills)

    def started(folder: str) -> multiprocessing.process.BaseProcess:
        process = fork.Process(target=train, args=(make_net, toy, tmp_path / folder))
        process.start()
        return process

    begin = time.monotonic()
    started("steady").join(300)
    wall = time.monotonic() - begin
    expected = torch.load(tmp_path / "steady" / "training.pt", weights_only=True)
    done, run = 0, 0
    while done < kills:
        process = started(f"killed-{run}")
        process.join(rng.uniform(0.0, 0.7 * wall))
        process.kill()
        process.join()
        if process.exitcode == 0:
            run += 1  # it was faster than the kill: another one
        done += process.exitcode != 0
    for k in range(run + 1):
        process = started(f"killed-{k}")
        process.join(300)
        assert process.exitcode == 0
        found = torch.load(tmp_path / f"killed-{k}" / "training.pt", weights_only=True)
        for part in ("model", "average", "parts"):
            assert str(found[part]) == str(expected[part])
        for name, value in expected["model"].items():
            assert torch.equal(value, found["model"][name]), name
