"""Labelled sequences of skeletons."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from typing_extensions import override

from hwsearch._typing import BoolArray, IntArray
from hwsearch.errors import DataError
from hwsearch.tasks.data import Data, check_classes, class_labels
from hwsearch.tasks.sequences.layout import JOINTS
from hwsearch.tasks.sequences.preprocess import SkeletonPreprocess

#: prepared examples are kept in memory up to so many bytes
KEPT_BYTES = 2**30


@dataclass
class SequenceData(Data):
    """Labelled sequences of skeletons.

    Parameters
    ----------
    joints : sequence of ndarray
        Positions of each example, float32 of shape ``(frames, 25, 3)``.
    seen : sequence of BoolArray
        In which frames there is a body, shape ``(frames,)`` each.
    labels : IntArray
        Class indices, shape ``(N,)``.
    classes : tuple of str
        Names of the classes.
    preprocess : SkeletonPreprocess
        How they become a network's input.
    name : str
        For messages.

    Raises
    ------
    DataError
        If there is no sequence, one has another shape, a position that is not finite or no frame with a body, or
        sequences, labels and classes do not match.
    """

    joints: Sequence[NDArray[np.float32]]
    seen: Sequence[BoolArray]
    labels: IntArray
    classes: tuple[str, ...]
    preprocess: SkeletonPreprocess
    name: str = "sequences"
    _prepared: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        self.labels = class_labels(self.labels, self.name)
        if not len(self.joints):
            raise DataError(f"data set {self.name!r} has no sequences.")
        if not len(self.joints) == len(self.seen) == len(self.labels):
            raise DataError(f"data set {self.name!r} has not as many sequences as its {len(self.labels)} labels.")
        check_classes(self.labels, self.classes, self.name)
        for i, (x, there) in enumerate(zip(self.joints, self.seen, strict=True)):
            where = f"data set {self.name!r}, sequence {i}"
            if x.ndim != 3 or x.shape[1:] != (JOINTS, 3) or there.shape != x.shape[:1]:
                raise DataError(f"{where} has the shape {x.shape}, expected (frames, {JOINTS}, 3).")
            if not there.any():
                raise DataError(f"{where} has no frame with a body.")
            if not np.isfinite(x).all():
                raise DataError(f"{where} has positions that are not finite.")

    def __len__(self) -> int:
        return len(self.joints)

    @property
    def longest(self) -> int:
        """Frames of the longest sequence."""
        return max(len(x) for x in self.joints)

    @override
    def take(self, indices: IntArray) -> SequenceData:
        """Select examples."""
        index = np.asarray(indices, np.int64)
        kept = {size: (x[index], mask[index]) for size, (x, mask) in self._prepared.items()}
        joints, seen = ([part[i] for i in index] for part in (self.joints, self.seen))
        return SequenceData(joints, seen, self.labels[index], self.classes, self.preprocess, self.name, kept)

    @override
    def key(self, i: int) -> bytes:
        return np.ascontiguousarray(self.joints[i]).tobytes()

    @property
    def digest(self) -> str:
        """Twelve hex digits that change when a position or a label does."""
        h = hashlib.sha256(self.labels.tobytes())
        for x, there in zip(self.joints, self.seen, strict=True):
            h.update(np.int64(len(x)).tobytes() + np.ascontiguousarray(x).tobytes() + there.tobytes())
        return h.hexdigest()[:12]

    @override
    def keep(self, size: int) -> None:
        if size not in self._prepared and len(self) * size * JOINTS * 3 * 4 <= KEPT_BYTES:
            self._prepared[size] = self._prepare(np.arange(len(self)), size)

    @override
    def batches(self, size: int, batch: int) -> Iterator[tuple[tuple[Tensor, Tensor], Tensor]]:
        """Yield ((x, mask), labels) in order: float32 (b, 75, size), int64 (b, size) and int64 (b,)."""
        for start in range(0, len(self), batch):
            index = np.arange(start, min(start + batch, len(self)))
            yield self.prepared(index, size), torch.from_numpy(self.labels[index])

    def prepared(self, indices: IntArray, size: int) -> tuple[Tensor, Tensor]:
        """Prepare some examples.

        Parameters
        ----------
        indices : IntArray
            Positions of the examples, shape ``(b,)``.
        size : int
            Frames.

        Returns
        -------
        x : Tensor
            float32, shape ``(b, 75, size)``.
        mask : Tensor
            int64, shape ``(b, size)``: 1 in frames with a body.
        """
        if size in self._prepared:
            x, mask = self._prepared[size]
            return x[indices], mask[indices]
        return self._prepare(indices, size)

    def _prepare(self, indices: IntArray, size: int) -> tuple[Tensor, Tensor]:
        pairs = [self.preprocess(self.joints[i], self.seen[i], size) for i in indices]
        return tuple(torch.from_numpy(np.stack(part)) for part in zip(*pairs, strict=True))  # type: ignore[return-value]
