"""A tiny supernet and 256 images whose class is their brightest third: learnable in a few steps."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from hwsearch.supernets.families.mobilenetv3.config import MobileNetV3Config, Stage
from hwsearch.supernets.families.mobilenetv3.init import init_weights
from hwsearch.supernets.families.mobilenetv3.supernet import ElasticMobileNetV3
from hwsearch.tasks.images import ImageData, ImageTask, Preprocess, from_arrays
from hwsearch.training import Run, Strategy, TrainingConfig
from hwsearch.training.parts.batch import Batch
from hwsearch.training.step import Stepped, run_step

CLASSES = ("red", "green", "blue")


@pytest.fixture
def make_net() -> Callable[..., ElasticMobileNetV3]:
    """Builds the same fresh supernet at every call; `width` changes a width that the search space does not show."""

    def make(width: int = 16) -> ElasticMobileNetV3:
        stages = (Stage(8, 1, "relu", False), Stage(width, 2, "h_swish", True))
        config = MobileNetV3Config(
            "tiny", stages, 8, 2, 24, 24, 3, kernels=(3, 5), expansions=(1, 2), depths=(1, 2), resolutions=(12, 16)
        )
        net = ElasticMobileNetV3(config)
        init_weights(net, 0)
        return net

    return make


@pytest.fixture(scope="session")
def toy() -> ImageData:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 256)
    pixels = rng.integers(0, 156, size=(256, 16, 16, 3))
    pixels[np.arange(256), :, :, labels] += 60
    return from_arrays(pixels.astype(np.uint8), labels, CLASSES, Preprocess((0.35,) * 3, (0.2,) * 3))


@pytest.fixture
def start(
    make_net: Callable[..., ElasticMobileNetV3], randomise: Callable[..., None], toy: ImageData
) -> Callable[..., SimpleNamespace]:
    """Prepares a strategy for the tiny supernet."""

    def prepared(strategy: Strategy, steps: int = 100, **config: Any) -> SimpleNamespace:
        net = make_net()
        randomise(net)
        run = Run(net.train(), ImageTask(toy.preprocess), toy, TrainingConfig(steps=steps, batch=32, **config))
        recipe = strategy.recipe(run)
        recipe.prepare(run)
        return SimpleNamespace(net=net, run=run, recipe=recipe)

    return prepared


@pytest.fixture(scope="session")
def stepped() -> Callable[..., Stepped]:
    """Runs one step of a prepared strategy on the first 32 images."""

    def run(case: SimpleNamespace, step: int = 50, weight: np.ndarray | None = None) -> Stepped:
        case.net.zero_grad(set_to_none=True)
        x, y = next(case.run.data.batches(16, 32))
        tensor = None if weight is None else torch.tensor(weight, dtype=torch.float32)
        batch = Batch(x, y, np.arange(32), 16, tensor)
        return run_step(case.recipe, case.run, batch, case.recipe.schedule.at(step), np.random.default_rng(0))

    return run
