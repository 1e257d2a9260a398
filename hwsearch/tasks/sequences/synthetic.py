"""Synthetic skeletons: eight actions that differ in velocity only, in the limb that moves only, or in timing only.

NTU RGB+D may not be passed on, so this is what tests and examples run on. Accuracies on it say nothing about people.
"""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

from hwsearch._typing import FloatArray
from hwsearch.errors import DataError, nearest
from hwsearch.tasks.sequences.data import SequenceData
from hwsearch.tasks.sequences.layout import HIP, JOINTS, PARTS
from hwsearch.tasks.sequences.preprocess import SkeletonPreprocess

#: what a configuration calls these data
SYNTHETIC = "synthetic-skeletons"

#: the actions, and in what alone those of a group differ
GROUPS = {
    "velocity": ("wave slowly", "wave", "wave fast"),
    "limb": ("shake left arm", "shake left leg", "shake right leg"),
    "timing": ("left arm, then right", "right arm, then left"),
}

CLASSES = tuple(name for group in GROUPS.values() for name in group)

#: examples of each split, drawn from one seed each
SPLITS = {"train": 1600, "calibration": 400, "validation": 800, "test": 1600}

#: fewest and most frames of a sequence
FRAMES = (24, 40)

#: waves in 32 frames, of the classes of velocity and of all other waves
SPEEDS = (1.0, 1.5, 2.25)

#: share of frames in which the body is lost
LOST = 0.02

#: metres from the base of the spine: right of the body, up, towards the camera
_REST = {
    0: (0, 0, 0), 1: (0, 0.25, 0), 20: (0, 0.5, 0), 2: (0, 0.58, 0), 3: (0, 0.72, 0),
    4: (-0.18, 0.48, 0), 5: (-0.24, 0.24, 0), 6: (-0.26, 0.02, 0.05), 7: (-0.26, -0.05, 0.06), 21: (-0.26, -0.13, 0.07), 22: (-0.22, -0.07, 0.09),
    8: (0.18, 0.48, 0), 9: (0.24, 0.24, 0), 10: (0.26, 0.02, 0.05), 11: (0.26, -0.05, 0.06), 23: (0.26, -0.13, 0.07), 24: (0.22, -0.07, 0.09),
    12: (-0.09, -0.02, 0), 13: (-0.11, -0.42, 0.02), 14: (-0.11, -0.8, 0), 15: (-0.11, -0.86, 0.1),
    16: (0.09, -0.02, 0), 17: (0.11, -0.42, 0.02), 18: (0.11, -0.8, 0), 19: (0.11, -0.86, 0.1),
}  # fmt: skip

REST: FloatArray = np.array([_REST[j] for j in range(JOINTS)], np.float64)

LIMBS = tuple(name for name in PARTS if name != "trunk")


def synthetic_skeletons(
    split: str = "train",
    limit: int | None = None,
    *,
    noise: float = 0.02,
    seed: int = 0,
    preprocess: SkeletonPreprocess | None = None,
) -> SequenceData:
    """Draw labelled sequences of skeletons.

    Whichever the class, bodies differ in size, direction, sway and place; the limbs that do not act move a little at
    random; frames have noise, and in some the body is lost.

    Parameters
    ----------
    split : str
        ``train``, ``calibration``, ``validation`` or ``test``; each has a seed of its own.
    limit : int, optional
        At most so many examples, the first ones. Classes take turns.
    noise : float
        Standard deviation of each coordinate in each frame, in metres.
    seed : int
        Another seed gives other examples.
    preprocess : SkeletonPreprocess, optional
        How they become a network's input.

    Returns
    -------
    SequenceData
        The examples, labelled synthetic by their name.

    Raises
    ------
    DataError
        If there is no such split.

    Examples
    --------
    >>> data = synthetic_skeletons("test", 16)
    >>> len(data), len(data.classes)
    (16, 8)
    """
    if split not in SPLITS:
        raise DataError(f"{SYNTHETIC} has no split {split!r}.", hint=nearest(split, SPLITS))
    count = SPLITS[split] if limit is None else min(limit, SPLITS[split])
    joints, seen = [], []
    for i in range(count):
        rng = np.random.default_rng([seed, zlib.crc32(split.encode()), i])
        x = _sequence(i % len(CLASSES), noise, rng)
        there = rng.random(len(x)) >= LOST
        there[rng.integers(len(x))] = True
        x[~there] = 0.0
        joints.append(x)
        seen.append(there)
    labels = np.arange(count) % len(CLASSES)
    return SequenceData(joints, seen, labels, CLASSES, preprocess or SkeletonPreprocess(), f"{SYNTHETIC}:{split}")


def _sequence(action: int, noise: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Draw one sequence of a class, of shape (frames, 25, 3)."""
    frames = int(rng.integers(FRAMES[0], FRAMES[1] + 1))
    time = np.arange(frames, dtype=np.float64)
    x = np.repeat(REST[None], frames, 0)
    for limb in LIMBS:  # what does not act is not quite still
        _move(x, limb, rng.uniform(0, 0.08) * _wave(time, SPEEDS[1] * rng.lognormal(0, 0.3), rng), rng)
    if action < 3:
        _move(x, "right arm", rng.uniform(0.15, 0.3) * _wave(time, SPEEDS[action] * rng.lognormal(0, 0.08), rng), rng)
    elif action < 6:
        limb = ("left arm", "left leg", "right leg")[action - 3]
        _move(x, limb, rng.uniform(0.08, 0.2) * _wave(time, SPEEDS[1] * rng.lognormal(0, 0.08), rng), rng)
    else:
        middle, apart = rng.uniform(0.35, 0.65) * frames, rng.uniform(0.06, 0.2) * frames
        first = -1 if action == 6 else 1
        for limb, sign in (("left arm", 1), ("right arm", -1)):
            peak = middle + sign * first * apart / 2
            _move(x, limb, rng.uniform(0.2, 0.35) * np.exp(-0.5 * ((time - peak) / (0.1 * frames)) ** 2), rng)
    x *= rng.uniform(0.85, 1.15)
    angle = rng.uniform(-np.pi / 6, np.pi / 6)
    turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    x = x @ turn.T + rng.normal(0, 0.3, 3) + np.cumsum(rng.normal(0, 0.01, (frames, 1, 3)), 0) + (0, 0, 3)
    return (x + rng.normal(0, noise, x.shape)).astype(np.float32)


def _wave(time: FloatArray, waves: float, rng: np.random.Generator) -> FloatArray:
    """Compute a sine with so many waves in 32 frames from a random phase."""
    return np.sin(2 * np.pi * (waves * time / 32 + rng.random()))


def _move(x: FloatArray, limb: str, shift: FloatArray, rng: np.random.Generator) -> None:
    """Move a limb outwards and up by a length in each frame, the more the farther a joint is from the first; in place."""
    joints = list(PARTS[limb])
    reach = np.linalg.norm(REST[joints] - REST[joints[0]], axis=1)
    side = np.sign(REST[joints[1], 0] - REST[HIP, 0])
    direction = np.array([side * 0.6, 0.7, 0.4]) + rng.normal(0, 0.15, 3)
    x[:, joints] += shift[:, None, None] * (reach / reach.max())[None, :, None] * direction
