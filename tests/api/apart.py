"""A small training in pieces, for the tests of `assemble`: a network, a recipe and images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from hwsearch.api.training import train

NETWORK = """
from hwsearch.supernets import SupernetEntry
from hwsearch.supernets.families.mobilenetv3.config import MobileNetV3Config, Stage
from hwsearch.supernets.families.mobilenetv3.init import init_weights
from hwsearch.supernets.families.mobilenetv3.supernet import ElasticMobileNetV3
from hwsearch.tasks.images import ImageTask, Preprocess


def build():
    stages = (Stage(8, 1, "relu", False), Stage(8, 2, "relu", False))
    net = ElasticMobileNetV3(
        MobileNetV3Config("tiny", stages, 8, 2, 24, 24, 2, kernels=(3,), expansions=(1, 2), depths=(1,), resolutions=(16,))
    )
    init_weights(net, 0)
    return net


ENTRY = SupernetEntry("tiny", "A tiny network", build=build, task=ImageTask(Preprocess()))
"""
RECIPE = """
[[stage]]
strategy = "assemble"
strategy_options = { modules = 2, meta = 0.5, random = 1 }
[stage.training]
epochs = 4
batch = 16
lr = 0.05
padding = 1
checkpoint_steps = 2
[[stage]]
strategy = "sandwich-labels"
[stage.training]
epochs = 1
batch = 16
lr = 0.01
padding = 1
"""


def make_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a network, a recipe and 64 + 8 images of two classes."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    torch.set_num_threads(1)
    (tmp_path / "net.py").write_text(NETWORK)
    (tmp_path / "recipe.toml").write_text(RECIPE)
    rng = np.random.default_rng(0)
    for split, n in (("train", 32), ("test", 4)):
        for k, label in enumerate("ab"):
            folder = tmp_path / "images" / split / label
            folder.mkdir(parents=True)
            for i in range(n):
                pixels = rng.integers(0, 156, (16, 16, 3)) + 90 * (np.arange(3) == k)
                Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{i}.png")
    return tmp_path


def trained(place: Path, folder: str, recipe: str = "recipe.toml", **options: Any) -> dict[str, Any]:
    supernet = f"{place / 'net.py'}:ENTRY"
    return train(place / recipe, place / "images", place / folder, supernet=supernet, kernels="eager", **options)
