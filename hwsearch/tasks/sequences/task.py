"""The task ``skeletons``: classification of skeleton sequences by top-1 accuracy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from typing_extensions import override

from hwsearch._typing import IntArray
from hwsearch.errors import DataError
from hwsearch.tasks.base import Augmentation
from hwsearch.tasks.classification import ClassificationTask
from hwsearch.tasks.data import Data, Inputs
from hwsearch.tasks.sequences.data import SequenceData
from hwsearch.tasks.sequences.preprocess import SkeletonPreprocess
from hwsearch.tasks.sequences.readers import SPLIT_FOLDERS, from_folder, from_npz
from hwsearch.tasks.sequences.synthetic import CLASSES, SYNTHETIC, synthetic_skeletons


class SkeletonTask(ClassificationTask):
    """Classification of skeleton sequences, judged by top-1 accuracy in percent.

    The input size is the number of frames: longer sequences are resampled, shorter ones padded behind, with a mask.
    Training examples are not varied: mirrored, an action of the left arm would be one of the right.

    Parameters
    ----------
    preprocess : SkeletonPreprocess, optional
        Centre and scale.

    Examples
    --------
    >>> SkeletonTask().describe_size(64)
    {'frames': 64}
    """

    name = "skeletons"
    examples = "sequences"
    score_name = "top-1"
    score_label = "top-1 accuracy"
    score_key = "top1"

    def __init__(self, preprocess: SkeletonPreprocess | None = None) -> None:
        self.preprocess: SkeletonPreprocess = preprocess or SkeletonPreprocess()

    @override
    def read(
        self, text: str, *, limit: int, classes: tuple[str, ...] | None = None, vocabulary: Path | None = None
    ) -> SequenceData:
        """Read a folder of ``.skeleton`` files, ``file.npz``, or ``synthetic-skeletons``; splits stand behind a colon."""
        if vocabulary is not None:
            raise DataError(f"skeletons need no vocabulary, but {str(vocabulary)!r} was given.")
        name, _, split = text.partition(":")
        if name == SYNTHETIC:
            if classes is not None and classes != CLASSES:
                raise DataError(f"{SYNTHETIC} has {len(CLASSES)} classes of its own, not those of the other data.")
            return synthetic_skeletons(split or "train", limit, preprocess=self.preprocess)
        reader = from_npz if text.endswith(".npz") or ".npz:" in text else from_folder
        return reader(text, self.preprocess, limit=limit, classes=classes)

    @override
    def split(self, source: str, split: str) -> str:
        """Name a split: its folder where there is one (for the test also ``val``), else ``source:split``."""
        folder = Path(source)
        for name in SPLIT_FOLDERS.get(split, (split,)):
            if (folder / name).is_dir():
                return str(folder / name)
        return super().split(source, split)

    @override
    def training_batch(
        self, data: Data, indices: IntArray, size: int, rng: np.random.Generator, augmentation: Augmentation
    ) -> tuple[Inputs, Tensor]:
        assert isinstance(data, SequenceData)
        return data.prepared(indices, size), torch.from_numpy(data.labels[indices])

    @override
    def describe_size(self, size: int) -> dict[str, int]:
        return {"frames": size}
