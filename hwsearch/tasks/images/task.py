"""The task ``images``: classification of images by top-1 accuracy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from typing_extensions import override

from hwsearch._typing import IntArray
from hwsearch.errors import DataError
from hwsearch.tasks.base import Augmentation
from hwsearch.tasks.classification import ClassificationTask
from hwsearch.tasks.data import Data, Inputs
from hwsearch.tasks.images.augment import rand_augment
from hwsearch.tasks.images.data import ImageData
from hwsearch.tasks.images.preprocess import Preprocess
from hwsearch.tasks.images.readers import from_folder, from_parquet
from hwsearch.tasks.pixels import PixelScale

#: folders of a data set that hold a split, the first that exists
SPLIT_FOLDERS = {"train": ("train", "training"), "test": ("test", "val", "validation")}


class ImageTask(ClassificationTask):
    """Classification of images, judged by top-1 accuracy in percent.

    The input size is the side of the (square) images in pixels.

    Parameters
    ----------
    preprocess : Preprocess, optional
        Crop and normalisation; ImageNet's normalisation without a crop where none is given.

    Examples
    --------
    >>> ImageTask(Preprocess(crop=0.875)).describe_size(224)
    {'side': 224}
    """

    name = "images"
    examples = "images"
    score_name = "top-1"
    score_label = "top-1 accuracy"
    score_key = "top1"

    def __init__(self, preprocess: Preprocess | None = None) -> None:
        self.preprocess: Preprocess = preprocess or Preprocess()

    @override
    def read(
        self, text: str, *, limit: int, classes: tuple[str, ...] | None = None, vocabulary: Path | None = None
    ) -> ImageData:
        """Read ``file.parquet``, ``file.parquet:split``, or a folder of class folders."""
        if vocabulary is not None:
            raise DataError(f"images need no vocabulary, but {str(vocabulary)!r} was given.")
        name, _, split = text.rpartition(":") if ".parquet:" in text else (text, "", "")
        path = Path(name)
        if path.suffix == ".parquet":
            data = from_parquet(path, self.preprocess, split=split or None, classes=classes)
            order = np.random.default_rng(0).permutation(len(data))  # files are often sorted by class
            return data.take(order[:limit]) if limit < len(data) else data
        return from_folder(path, self.preprocess, limit=limit, classes=classes)

    @override
    def split(self, source: str, split: str) -> str:
        """Name a split: ``file.parquet:split``, or the folder of it below a folder; for the test also ``val``."""
        folder = Path(source)
        if not folder.is_dir():
            return super().split(source, split)
        found = next((n for n in SPLIT_FOLDERS.get(split, (split,)) if (folder / n).is_dir()), None)
        if found is None:
            wanted = " or ".join(repr(n) for n in SPLIT_FOLDERS.get(split, (split,)))
            raise DataError(f"the folder {source!r} has no folder {wanted}.", hint="Put class folders into it.")
        return str(folder / found)

    @override
    def training_batch(
        self, data: Data, indices: IntArray, size: int, rng: np.random.Generator, augmentation: Augmentation
    ) -> tuple[Inputs, Tensor]:
        """Crop, mirror and vary at random: float32 images (b, 3, size, size) and int64 labels (b,)."""
        assert isinstance(data, ImageData)
        if augmentation.crop_padding or augmentation.operations:
            pixels = _crop(data.pixels_of(indices, size), augmentation, rng)
            if augmentation.operations:
                pixels = rand_augment(pixels, augmentation.operations, augmentation.magnitude, rng)
            return data.preprocess.normalise(pixels), torch.from_numpy(data.labels[indices])
        x, y = next(data.take(indices).batches(size, len(indices)))
        if augmentation.mirror:
            mirrored = torch.from_numpy(rng.random(len(x)) < 0.5)
            x = torch.where(mirrored[:, None, None, None], x.flip(3), x)
        return x, y

    @override
    def resize(self, inputs: Inputs, size: int) -> Inputs:
        """Resize by antialiased bilinear interpolation, close to Pillow's."""
        assert isinstance(inputs, Tensor)
        if inputs.shape[-1] == size:
            return inputs
        small = F.interpolate(inputs, (size, size), mode="bilinear", antialias=True, align_corners=False)
        return small.contiguous(memory_format=torch.channels_last)

    @override
    def pixel_scale(self) -> PixelScale:
        return PixelScale(self.preprocess.mean, self.preprocess.std)

    @override
    def describe_size(self, size: int) -> dict[str, int]:
        return {"side": size}


def _crop(pixels_NHWC: NDArray[np.uint8], augmentation: Augmentation, rng: np.random.Generator) -> Tensor:
    """Crop zero-padded images at random, and mirror them at random; of the same shape."""
    p = augmentation.crop_padding
    n, side = pixels_NHWC.shape[:2]
    padded = F.pad(torch.from_numpy(pixels_NHWC), (0, 0, p, p, p, p))
    top, left = rng.integers(0, 2 * p + 1, size=(2, n)).tolist()
    cropped = torch.stack(
        [padded[i, t : t + side, m : m + side] for i, (t, m) in enumerate(zip(top, left, strict=True))]
    )
    if augmentation.mirror:
        flip = torch.from_numpy(np.flatnonzero(rng.random(n) < 0.5))
        cropped[flip] = cropped[flip].flip(2)
    return cropped
