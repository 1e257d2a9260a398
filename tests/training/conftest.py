"""A tiny supernet and 256 images whose class is their brightest third: learnable in a few steps."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from hwsearch.supernets.families.mobilenetv3.config import MobileNetV3Config, Stage
from hwsearch.supernets.families.mobilenetv3.init import init_weights
from hwsearch.supernets.families.mobilenetv3.supernet import ElasticMobileNetV3
from hwsearch.tasks.images import ImageData, Preprocess, from_arrays

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
