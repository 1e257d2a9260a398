"""The commands that the benchmark of kills kills, what they read, and what must be equal afterwards."""

from __future__ import annotations

import contextlib
import gc
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

import hwsearch
from benchmarks.kills_seen import final_weights, stored_values
from hwsearch.campaigns import Campaign
from hwsearch.errors import SupernetError
from hwsearch.supernets.kernels.building import built_library
from hwsearch.supernets.kernels.processor import instruction_sets

#: the file of a campaign's store
STORE = "store.sqlite"
#: the commands
COMMANDS = ("run", "report", "finetune", "train")

CAMPAIGN = """
[supernet]
name = "cifar10-mbv3"

[data]
calibration_images = 16
validation_images = 10
test_images = 10
batch = 16

[[device]]
name = "cpu"
runtime = "simulated"
options = { table = "amd-epyc-vm-t1-b1/cifar10-mbv3" }

[protocol]
processes = [1, 1]

[fleet]
isolation = false

[profile]
latency = 8
accuracy = 8
random = 2

[search]
tactic = "random"
rounds = 1
per_round = 2
inner_evaluations = 100

[validate]
candidates = 3
processes = [2, 2]
"""
NETWORK = """
from hwsearch.supernets.entry import SupernetEntry
from hwsearch.supernets.families.mobilenetv3.config import MobileNetV3Config, Stage
from hwsearch.supernets.families.mobilenetv3.supernet import ElasticMobileNetV3

STAGES = (Stage(8, 1, "relu", False), Stage(16, 2, "h_swish", True))
CONFIG = MobileNetV3Config(
    "tiny", STAGES, 8, 2, 24, 24, 3, kernels=(3, 5), expansions=(1, 2), depths=(1, 2), resolutions=(12, 16)
)
ENTRY = SupernetEntry("tiny", "A tiny supernet.", lambda: ElasticMobileNetV3(CONFIG))
"""
STAGE = """
[[stage]]
strategy = "{strategy}"
strategy_options = {options}

[stage.training]
epochs = {epochs}
batch = 16
checkpoint_steps = 1
ema = {ema}
"""


def stage(strategy: str, options: str = "{}", *, epochs: int = 4, ema: float = 0.0) -> str:
    """Write a stage of a recipe that saves at every step."""
    return STAGE.format(strategy=strategy, options=options, epochs=epochs, ema=ema)


#: trainings: name → (stages, processes). Most strategies keep something between steps: norms of gradients, losses of bands,
#: a frozen teacher, phases; two have an average of the weights, one a second stage, and two run as two processes
TRAININGS: dict[str, tuple[str, int]] = {
    "sandwich": (stage("sandwich"), 1),
    "deps": (stage("deps", "{ start = 0.4 }"), 1),
    "pada": (stage("pada", ema=0.9), 1),
    "band-shift": (stage("band-shift", "{ bands = 2, every = 2 }"), 1),
    "ofa": (stage("ofa"), 1),
    "two-stages": (stage("bignas", epochs=2, ema=0.8) + stage("small-first", epochs=2), 1),
    "sandwich-2": (stage("sandwich"), 2),
    "pada-2": (stage("pada", ema=0.9), 2),
}


@dataclass(frozen=True)
class Work:
    """A command that is killed.

    Attributes
    ----------
    name : str
        Of the command.
    command : callable
        Maps a folder to the words of the command.
    outcome : callable
        Maps a finished folder to what must be equal to the work that nobody killed: ``front``, ``store`` or ``weights``.
    begun : pathlib.Path, optional
        A folder whose copy the work begins with.
    front_of_store : bool
        Whether ``front`` is compared with that of the same command, not killed, in a folder with a copy of the store.
    processes : int
        How many processes work together; of several, half of the kills hit one that the command started, and the command
        must then end with an error that says so.
    """

    name: str
    command: Callable[[Path], list[str]]
    outcome: Callable[[Path], dict[str, Any]]
    begun: Path | None = None
    front_of_store: bool = False
    processes: int = 1


def make_images(folder: Path) -> None:
    """Write images whose class is their brightest channel, as class folders."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 16), ("test", 4)):
        for k, name in enumerate(("blue", "green", "red")):
            (folder / split / name).mkdir(parents=True)
            for i in range(count):
                pixels = rng.integers(0, 156, size=(16, 16, 3))
                pixels[:, :, 2 - k] += 60
                Image.fromarray(pixels.astype(np.uint8)).save(folder / split / name / f"{i}.png")


def front(folder: Path) -> str:
    """Read the front."""
    return (folder / "front.csv").read_text(encoding="utf-8")


def after_run(folder: Path) -> dict[str, Any]:
    """Read the front, and the stored values by key."""
    values = {(key, value) for key, value, _ in stored_values(folder / STORE)[0]}
    return {"front": front(folder), "store": values}


def copy_store(folder: Path, target: Path) -> None:
    """Begin a folder with a copy of another's store."""
    target.mkdir()
    with closing(sqlite3.connect(folder / STORE)) as old, closing(sqlite3.connect(target / STORE)) as new:
        old.backup(new)


def prepare(place: Path, command: str | None = None) -> None:
    """Write what the works of a command read, a finished campaign among it, and import all that they need here."""
    (place / "campaign.toml").write_text(CAMPAIGN, encoding="utf-8")
    (place / "network.py").write_text(NETWORK, encoding="utf-8")
    for name, (stages, _) in TRAININGS.items():
        text = f'supernet = "{place}/network.py:ENTRY"\n{stages}'
        (place / f"{name}.toml").write_text(text, encoding="utf-8")
    make_images(place / "images")
    if command in (None, "report", "finetune"):
        campaign = Campaign.open(place / "campaign.toml", folder=place / "finished")
        hwsearch.run(campaign)
        campaign.store.close()
    torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)  # imports for seconds
    with contextlib.suppress(SupernetError, IndexError):  # without them trainings are eager
        built_library(instruction_sets()[0])  # which would take most of a first training's time
    gc.collect()
    gc.freeze()  # a collection in a fork would copy all of this process's memory


def works_in(place: Path, command: str | None = None, processes: int | None = None) -> list[Work]:
    """List the works, of which `prepare` has written what they read; long ones first.

    Parameters
    ----------
    place : pathlib.Path
        Holds what `prepare` has written.
    command : str, optional
        One of `COMMANDS`, to list its works only.
    processes : int, optional
        List works of so many processes only.

    Returns
    -------
    list of Work
        The works; a training for each of `TRAININGS`.
    """
    config, finished = place / "campaign.toml", place / "finished"

    def weights(folder: Path) -> dict[str, Any]:
        return {"weights": {name: value.numpy().tobytes() for name, value in final_weights(folder).items()}}

    def training(name: str, n: int) -> Work:
        words = ["train", "--recipe", str(place / f"{name}.toml"), "--data", str(place / "images")]
        words += ["--processes", str(n)] * (n > 1)
        return Work(f"train-{name}", lambda folder: [*words, "--folder", str(folder)], weights, processes=n)

    tune = ["--arch", "smallest", "--steps", "16", "--batch", "8"]
    works = [training(name, n) for name, (_, n) in TRAININGS.items() if n > 1]
    works += [
        Work("run", lambda folder: ["run", str(config), "--folder", str(folder)], after_run, front_of_store=True),
        Work("report", lambda folder: ["report", str(folder)], lambda f: {"front": front(f)}, finished),
        Work("finetune", lambda folder: ["finetune", str(folder), *tune], weights, finished),
    ]
    works += [training(name, n) for name, (_, n) in TRAININGS.items() if n == 1]
    wanted = [work for work in works if command in (None, work.name.partition("-")[0])]
    return [work for work in wanted if processes in (None, work.processes)]
