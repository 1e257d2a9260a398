"""RandAugment's operations, with Pillow's own as the oracle."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps

from hwsearch.tasks.images.augment import OPERATIONS, rand_augment

STRENGTHS = (-0.9, -0.35, 0.0, 0.4, 0.9)


def photos() -> np.ndarray:
    """A smooth one, noise, a dark one, a constant one and one of two values."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:24, :20]
    smooth = np.stack([8 * y, 255 - 7 * x, 100 + 3 * x + 2 * y], axis=2)
    noise = rng.integers(0, 256, (24, 20, 3))
    dark = rng.integers(10, 60, (24, 20, 3))
    two = np.where(noise > 128, 200, 50)
    return np.stack([smooth, noise, dark, np.full_like(dark, 77), two]).astype(np.uint8)


def moved(*matrix: float) -> Callable[[Image.Image], Image.Image]:
    return lambda image: image.transform(image.size, Image.Transform.AFFINE, matrix)


def expected(name: str, image: Image.Image, s: float) -> Image.Image:
    width, height = image.size
    enhance = {"colour": "Color", "contrast": "Contrast", "brightness": "Brightness", "sharpness": "Sharpness"}
    if name in enhance:
        return getattr(ImageEnhance, enhance[name])(image).enhance(1 + 0.9 * s)
    return {
        "identity": lambda i: i,
        "autocontrast": ImageOps.autocontrast,
        "equalise": ImageOps.equalize,
        "posterise": lambda i: ImageOps.posterize(i, 8 - round(4 * abs(s))),
        "solarise": lambda i: ImageOps.solarize(i, 256 * (1 - abs(s))),
        "rotate": lambda i: i.rotate(30 * s),
        "shear-x": moved(1, 0.3 * s, 0, 0, 1, 0),
        "shear-y": moved(1, 0, 0, 0.3 * s, 1, 0),
        "translate-x": moved(1, 0, int(0.45 * width * s), 0, 1, 0),
        "translate-y": moved(1, 0, 0, 0, 1, int(0.45 * height * s)),
    }[name](image)


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("strength", STRENGTHS)
def test_an_operation_is_pillows(name: str, strength: float) -> None:
    pixels = photos()
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2)
    found = OPERATIONS[name](images, torch.full((len(images),), strength, dtype=torch.float64))
    wanted = np.stack([np.asarray(expected(name, Image.fromarray(p), strength)) for p in pixels])
    difference = np.abs(found.permute(0, 2, 3, 1).numpy().astype(int) - wanted)
    if name == "rotate":  # Pillow rounds the matrix to 15 decimals
        assert (difference > 0).any(3).mean() < 0.01
    else:
        assert difference.max() <= (name == "sharpness")


def test_every_image_gets_operations_of_its_own_and_the_generator_decides() -> None:
    pixels = torch.from_numpy(np.repeat(photos()[1:2], 64, axis=0))
    before = pixels.clone()
    first = rand_augment(pixels, 2, 9.0, np.random.default_rng(3))
    assert torch.equal(first, rand_augment(pixels, 2, 9.0, np.random.default_rng(3)))
    assert not torch.equal(first, rand_augment(pixels, 2, 9.0, np.random.default_rng(4)))
    assert torch.equal(pixels, before) and first.shape == pixels.shape and first.dtype == torch.uint8
    assert len({image.numpy().tobytes() for image in first}) > 40


def test_without_operations_nothing_is_varied() -> None:
    pixels = torch.from_numpy(photos())
    assert torch.equal(rand_augment(pixels, 0, 9.0, np.random.default_rng(0)), pixels)
