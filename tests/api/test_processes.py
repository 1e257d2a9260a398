"""Training by several processes of this host: started, killed, taken up again, and to the bits of one process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from PIL import Image

from hwsearch.api import processes
from hwsearch.api.processes import loopback_interface, training_ranks
from hwsearch.api.training import train
from hwsearch.errors import TrainingError
from hwsearch.training.ranks import ALONE, RankLost

pytestmark = pytest.mark.timeout(200)

NETWORK = """
from hwsearch.supernets import SupernetEntry
from hwsearch.supernets.families.mobilenetv3.config import MobileNetV3Config, Stage
from hwsearch.supernets.families.mobilenetv3.init import init_weights
from hwsearch.supernets.families.mobilenetv3.supernet import ElasticMobileNetV3
from hwsearch.tasks.images import ImageTask, Preprocess


def build():
    stages = (Stage(8, 1, "relu", False),)
    net = ElasticMobileNetV3(
        MobileNetV3Config("tiny", stages, 8, 2, 24, 24, 2, kernels=(3,), expansions=(1, 2), depths=(1,), resolutions=(16,))
    )
    init_weights(net, 0)
    return net


ENTRY = SupernetEntry("tiny", "A tiny network", build=build, task=ImageTask(Preprocess()))
"""
RECIPE = """
[[stage]]
strategy_options = { random = 1 }
[stage.training]
epochs = 3
batch = 16
lr = 0.05
padding = 1
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a network, a recipe and 32 + 8 images of two classes; no place among processes in the environment."""
    for name in ("RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "net.py").write_text(NETWORK)
    (tmp_path / "recipe.toml").write_text(RECIPE)
    (tmp_path / "ghosts.toml").write_text(RECIPE + "ghost_batches = 2\n")
    rng = np.random.default_rng(0)
    for split, n in (("train", 16), ("test", 4)):
        for k, label in enumerate("ab"):
            folder = tmp_path / "images" / split / label
            folder.mkdir(parents=True)
            for i in range(n):
                pixels = rng.integers(0, 156, (16, 16, 3)) + 90 * (np.arange(3) == k)
                Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{i}.png")
    return tmp_path


def trained(place: Path, folder: str, recipe: str = "recipe.toml", **options: Any) -> dict[str, Any]:
    supernet = f"{place / 'net.py'}:ENTRY"
    data, where = place / "images", place / folder
    return train(place / recipe, data, where, supernet=supernet, kernels="eager", **options)


def killing(step: int) -> Callable[[dict[str, Any]], None]:
    """Kills the other process when a step is done."""

    def progress(status: dict[str, Any]) -> None:
        if status["step"] == step:
            for child in psutil.Process().children():
                child.kill()

    return progress


def interrupting(step: int) -> Callable[[dict[str, Any]], None]:
    """Ctrl-C comes in this process when a step is done."""
    return lambda status: signal.raise_signal(signal.SIGINT) if status["step"] == step else None


def test_a_training_that_is_killed_and_interrupted_ends_with_the_bits_of_one_process(place: Path) -> None:
    with pytest.raises(
        RankLost, match=r"another process .*rank 1 was ended by signal 9.*the same command then goes on"
    ):
        trained(place, "two", processes=2, progress=killing(2))
    assert (place / "two" / "stage-1" / "training.pt").exists() and not psutil.Process().children()
    with pytest.raises(KeyboardInterrupt):
        trained(place, "two", processes=2, progress=interrupting(4))
    assert torch.load(place / "two" / "stage-1" / "training.pt", weights_only=True)["step"] == 5
    card = trained(place, "two", processes=2)
    assert card["trained"]["processes"] == 2 and "minutes on 2 CPU cores" in card["training_summary"]
    assert card["digest"] == trained(place, "one", "ghosts.toml")["digest"]
    with pytest.raises(TrainingError, match=r"cuts batches into 2 parts.*Start 2 processes, set ghost_batches = 2"):
        trained(place, "two")


def test_a_process_that_does_not_start_is_named(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "MODULE", "hwsearch.no_such_module")
    with pytest.raises(TrainingError, match=r"before the training began rank 1 ended with code 1: .*no_such_module"):
        trained(place, "two", processes=2)


@pytest.mark.parametrize("wrong", [0, 1025, True, 1.5, "2"])
def test_a_number_of_processes_is_whole_and_positive(wrong: Any) -> None:
    with pytest.raises(TrainingError, match=r"processes=.* is not valid"), training_ranks(wrong, {}):
        raise AssertionError


def test_torchrun_says_how_many_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "1")
    with training_ranks(1, {}) as ranks:
        assert ranks == ALONE
    monkeypatch.setenv("WORLD_SIZE", "4")
    said = "processes=2 contradicts the WORLD_SIZE=4 of torchrun"
    with pytest.raises(TrainingError, match=said), training_ranks(2, {}):
        raise AssertionError


def test_the_loopback_is_one_of_the_interfaces() -> None:
    assert loopback_interface() in psutil.net_if_addrs()


@pytest.mark.slow
def test_torchrun(place: Path) -> None:
    """Both processes of torchrun train; one of them prints the card, and a rank that dies ends both."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "hwsearch"]
    words = ["--recipe", place / "recipe.toml", "--data", place / "images", "--folder", place / "two"]
    words += ["--supernet", f"{place / 'net.py'}:ENTRY", "--kernels", "eager", "--json"]
    done = subprocess.run(
        [*command, "train", *words], capture_output=True, text=True, env=dict(os.environ), timeout=150
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count('"digest"') == 1
    assert trained(place, "one", "ghosts.toml")["digest"] in done.stdout
