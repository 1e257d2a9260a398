"""The task of images: where the splits of a data set lie, and how training examples are varied."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from hwsearch.errors import DataError
from hwsearch.tasks.base import Augmentation
from hwsearch.tasks.images import ImageTask, Preprocess, from_arrays


@pytest.mark.parametrize(("folders", "test"), [(("train", "test", "val"), "test"), (("train", "val"), "val")])
def test_splits_of_a_folder_are_its_folders(tmp_path: Path, folders: tuple[str, ...], test: str) -> None:
    for name in folders:
        (tmp_path / name).mkdir()
    task = ImageTask()
    assert task.split(str(tmp_path), "train") == str(tmp_path / "train")
    assert task.split(str(tmp_path), "test") == str(tmp_path / test)


def test_a_folder_without_the_split_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no folder 'train' or 'training'"):
        ImageTask().split(str(tmp_path), "train")


def test_splits_of_a_file_are_named_behind_it() -> None:
    assert ImageTask().split("cifar10.parquet", "train") == "cifar10.parquet:train"


def plain(pixels: np.ndarray, padding: int, mirror: bool, rng: np.random.Generator) -> np.ndarray:
    """Crop and mirror image by image and pixel by pixel."""
    n, side = pixels.shape[:2]
    top, left = rng.integers(0, 2 * padding + 1, size=(2, n))
    flip = rng.random(n) < 0.5 if mirror else np.zeros(n, bool)
    found = np.zeros_like(pixels)
    for i in range(n):
        for row in range(side):
            for column in range(side):
                y, x = row + top[i] - padding, column + left[i] - padding
                if 0 <= y < side and 0 <= x < side:
                    found[i, row, side - 1 - column if flip[i] else column] = pixels[i, y, x]
    return found


@pytest.mark.parametrize("mirror", [True, False])
def test_a_training_batch_is_cropped_and_mirrored_as_pixel_by_pixel(mirror: bool) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (12, 7, 7, 3), dtype=np.uint8)
    data = from_arrays(pixels, np.arange(12) % 3, tuple("abc"), Preprocess())
    before, index = pixels.copy(), np.array([3, 9, 0, 11, 11])
    x, y = ImageTask().training_batch(
        data, index, 7, np.random.default_rng(5), Augmentation(crop_padding=2, mirror=mirror)
    )
    expected = plain(pixels[index], 2, mirror, np.random.default_rng(5))
    assert np.array_equal(x.numpy(), data.preprocess.normalise(expected).numpy()) and y.tolist() == [0, 0, 0, 2, 2]
    assert x.is_contiguous(memory_format=torch.channels_last) and np.array_equal(np.stack(data.images), before)
