"""Preprocessing of skeletons into a network's input: centred, of one size, with a fixed number of frames and a mask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsearch._typing import BoolArray
from hwsearch.tasks.sequences.layout import HIP, SPINE

#: what a spine of no length is divided by
NO_LENGTH = 1e-6


@dataclass(frozen=True)
class SkeletonPreprocess:
    """Preprocessing of skeletons into a network's input.

    Parameters
    ----------
    centre : bool
        Subtract the base of the spine from every joint, frame by frame.
    scale : bool
        Divide by the length of the spine, its mean over the frames.

    Examples
    --------
    >>> SkeletonPreprocess().to_dict()["scale"]
    True
    """

    centre: bool = True
    scale: bool = True

    def to_dict(self) -> dict[str, Any]:
        """Describe the preprocessing for the card of a model.

        Returns
        -------
        dict of str to object
            Plain values.
        """
        return {
            "centre": self.centre,
            "scale": self.scale,
            "frames": "longer sequences resampled linearly, shorter ones padded behind; mask 1 where a body is seen",
            "layout": "channel = 3 x joint + axis",
        }

    def __call__(
        self, joints: NDArray[np.float32], seen: BoolArray, size: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Prepare one sequence.

        Parameters
        ----------
        joints : ndarray
            Positions, shape ``(frames, joints, 3)``.
        seen : BoolArray
            In which frames there is a body, shape ``(frames,)``; at least one.
        size : int
            Frames of the result.

        Returns
        -------
        x : ndarray of float32
            Shape ``(3 * joints, size)``; 0 where the mask is 0.
        mask : ndarray of int64
            Shape ``(size,)``: 1 in frames with a body, 0 in frames without one and in padding.
        """
        x = joints.astype(np.float64)
        if self.centre:
            x = x - x[:, HIP : HIP + 1]
        if self.scale:
            bones = x[:, list(SPINE[1:])] - x[:, list(SPINE[:-1])]
            length = float(np.linalg.norm(bones, axis=2).sum(1)[seen].mean())
            x = x / (length if length > NO_LENGTH else 1.0)
        x, seen = resample(x, seen, size) if len(x) > size else (x, seen)
        mask = np.zeros(size, np.int64)
        mask[: len(seen)] = seen
        out = np.zeros((x.shape[1] * x.shape[2], size), np.float32)
        out[:, : len(x)] = x.reshape(len(x), -1).T
        return out * mask.astype(np.float32), mask


def resample(x: NDArray[np.float64], seen: BoolArray, frames: int) -> tuple[NDArray[np.float64], BoolArray]:
    """Resample a sequence at evenly spaced times from its first to its last frame, by linear interpolation.

    Parameters
    ----------
    x : ndarray
        Shape ``(T, joints, 3)``.
    seen : BoolArray
        In which frames there is a body, shape ``(T,)``.
    frames : int
        Frames of the result.

    Returns
    -------
    x : ndarray
        Shape ``(frames, joints, 3)``.
    seen : BoolArray
        True where all frames that an interpolated one is made of have a body, shape ``(frames,)``; the nearest frame counts
        where that left none.
    """
    times = np.linspace(0, len(x) - 1, frames) if frames > 1 else np.array([(len(x) - 1) / 2])
    before = np.minimum(times.astype(np.int64), len(x) - 1)
    after = np.minimum(before + 1, len(x) - 1)
    share = times - before
    both = seen[before] & (seen[after] | (share == 0))
    if not both.any():
        nearest = np.rint(times).astype(np.int64)
        if seen[nearest].any():
            return x[nearest], seen[nearest]
        kept = np.sort(np.resize(np.flatnonzero(seen), frames))
        return x[kept], np.ones(frames, bool)
    found = x[before] * (1 - share)[:, None, None] + x[after] * share[:, None, None]
    return found, both
