"""Readers of skeleton sequences: folders of ``.skeleton`` files and ``.npz`` files."""

from __future__ import annotations

import logging
import zipfile
import zlib
from pathlib import Path

import numpy as np

from hwsearch.errors import DataError, nearest
from hwsearch.tasks.sequences.data import SequenceData
from hwsearch.tasks.sequences.layout import JOINTS
from hwsearch.tasks.sequences.preprocess import SkeletonPreprocess
from hwsearch.tasks.sequences.skeleton_file import NoBodyError, SequenceName, read_skeleton

logger = logging.getLogger(__name__)

#: ending of the files of NTU RGB+D
SUFFIX = ".skeleton"

#: folders of a data set that hold a split, the first that exists
SPLIT_FOLDERS = {"train": ("train", "training"), "test": ("test", "val", "validation")}

#: persons whose sequences are training data: those up to 40 of NTU RGB+D (arXiv 1604.02808), the others of NTU RGB+D 120
#: (arXiv 1905.04757)
TRAINING_SUBJECTS = frozenset(
    (1, 2, 4, 5, 8, 9, 13, 14, 15, 16, 17, 18, 19, 25, 27, 28, 31, 34, 35, 38)
    + (45, 46, 47, 49, 50, 52, 53, 54, 55, 56, 57, 58, 59, 70, 74, 78, 80, 81, 82, 83, 84, 85, 86, 89)
    + (91, 92, 93, 94, 95, 97, 98, 100, 103)
)

#: cameras whose sequences are training data
TRAINING_CAMERAS = frozenset((2, 3))

#: one of so many training sequences is validation data instead, in the order of their names
HELD_OUT = 20

#: what NumPy and the archive raise for files that are damaged, encrypted, of another kind, or declare more than there is memory for
UNREADABLE = (
    OSError,
    ValueError,
    EOFError,
    AttributeError,
    TypeError,
    RuntimeError,
    MemoryError,
    OverflowError,
    zipfile.BadZipFile,
    zlib.error,
)

PROTOCOLS = ("subject", "camera")
SPLITS = ("train", "calibration", "validation", "test")


def from_folder(
    text: str, preprocess: SkeletonPreprocess, *, limit: int, classes: tuple[str, ...] | None = None
) -> SequenceData:
    """Read a folder of ``.skeleton`` files, or one split of it.

    Parameters
    ----------
    text : str
        ``folder``: all files in it. ``folder:train``, ``:calibration`` (the training data), ``:validation`` or ``:test``: those of a
        split by persons; ``folder:camera:train``: by cameras. Every 20th of the training data is validation data.
    preprocess : SkeletonPreprocess
        How skeletons become inputs.
    limit : int
        Read at most so many files, drawn with a fixed seed.
    classes : tuple of str, optional
        Expected classes (``A001``) in the order of the network's outputs; by default those of all files of the folder.

    Returns
    -------
    SequenceData
        The sequences.

    Raises
    ------
    DataError
        If the folder or the split is missing or empty, a file name names no class or an unexpected one, or a file is broken. Files without a body in any frame are left out, with a warning.
    """
    name, protocol, split = _parse(text)
    folder = Path(name)
    if not folder.is_dir():
        raise DataError(
            f"there is no folder {name!r}.",
            hint="Give a folder of .skeleton files, a file .npz, or synthetic-skeletons; splits stand behind a colon.",
        )
    found = [(path, SequenceName.of(path)) for path in sorted(folder.glob(f"*{SUFFIX}"))]
    if not found:
        raise DataError(f"the folder {name!r} has no files {SUFFIX}.")
    every = classes or tuple(f"A{action:03d}" for action in sorted({n.action for _, n in found}))
    chosen = [
        pair for pair, part in zip(found, _splits([n for _, n in found], protocol), strict=True) if _in(split, part)
    ]
    if not chosen:
        raise DataError(f"{text!r}: none of {len(found)} files is in the split {split!r} by {protocol}.")
    if limit < len(chosen):
        chosen = [chosen[i] for i in sorted(np.random.default_rng(0).permutation(len(chosen))[:limit])]
    labels, sequences, empty = [], [], []
    for path, known in chosen:
        action = f"A{known.action:03d}"
        if action not in every:
            raise DataError(f"{str(path)!r} is of class {action}, which is none of the {len(every)} expected.")
        try:
            sequences.append(read_skeleton(path))
        except NoBodyError:
            empty.append(path.name)
            continue
        labels.append(every.index(action))
    if empty:
        said = f"{len(empty):,} of {len(chosen):,} files of {text!r} have no body in any frame, such as {empty[0]}"
        if not sequences:
            raise DataError(f"{said}.")
        logger.warning("%s; they are left out", said)
    return SequenceData(
        [x for x, _ in sequences], [s for _, s in sequences], np.array(labels), every, preprocess, folder.name + text[len(name) :]
    )  # fmt: skip


def _parse(text: str) -> tuple[str, str, str]:
    """Split ``folder:camera:train`` into (folder, protocol, split); no split: all."""
    if Path(text).is_dir():
        return text, "subject", ""
    name, _, split = text.rpartition(":")
    if not name:
        return text, "subject", ""
    if split not in SPLITS:
        raise DataError(f"{text!r}: there is no split {split!r}.", hint=nearest(split, SPLITS))
    folder, _, protocol = name.rpartition(":")
    if folder and protocol in PROTOCOLS:
        return folder, protocol, split
    return name, "subject", split


def _splits(names: list[SequenceName], protocol: str) -> list[str]:
    """Tell the split of each file, in the order of their names."""
    found, training = [], 0
    for name in names:
        if not (name.subject in TRAINING_SUBJECTS if protocol == "subject" else name.camera in TRAINING_CAMERAS):
            found.append("test")
            continue
        training += 1
        found.append("train" if training % HELD_OUT else "validation")
    return found


def _in(split: str, part: str) -> bool:
    return not split or part == ("train" if split == "calibration" else split)


def from_npz(
    text: str, preprocess: SkeletonPreprocess, *, limit: int, classes: tuple[str, ...] | None = None
) -> SequenceData:
    """Read sequences from an ``.npz`` file of arrays without pickles.

    Parameters
    ----------
    text : str
        ``file.npz``, with the arrays ``x`` (sequences, frames, 25, 3; frames of zeros have no body), ``y`` (class numbers from 0)
        and, if wanted, ``classes`` (names); or ``file.npz:SPLIT`` with ``x_SPLIT`` and ``y_SPLIT``.
    preprocess : SkeletonPreprocess
        How skeletons become inputs.
    limit : int
        Keep at most so many, drawn with a fixed seed.
    classes : tuple of str, optional
        Expected classes in the order of the network's outputs.

    Returns
    -------
    SequenceData
        The sequences.

    Raises
    ------
    DataError
        If the file is missing, is no such archive, holds pickled objects, or lacks an array or has it in another shape.
    """
    name, _, split = text.rpartition(":") if ".npz:" in text else (text, "", "")
    end = f"_{split}" if split else ""
    try:
        with np.load(name, allow_pickle=False) as archive:
            missing = [key for key in (f"x{end}", f"y{end}") if key not in archive]
            if missing:
                raise DataError(f"{name!r} has no array {missing[0]!r}.", hint=nearest(missing[0], archive.files))
            x, y = archive[f"x{end}"], archive[f"y{end}"]
            names = archive.get("classes")
    except UNREADABLE as error:
        raise DataError(f"{name!r} is no readable .npz file of plain arrays: {error}.") from error
    if x.ndim != 4 or x.shape[2:] != (JOINTS, 3) or x.dtype.kind not in "fiu" or not len(x):
        raise DataError(
            f"{text!r}: x{end} is {x.dtype} {x.shape}, expected numbers of shape (sequences, frames, {JOINTS}, 3)."
        )
    if y.shape != x.shape[:1] or y.dtype.kind not in "iu":
        raise DataError(f"{text!r}: y{end} is {y.dtype} {y.shape}, expected {len(x)} class numbers.")
    if names is not None and (names.ndim != 1 or names.dtype.kind != "U"):
        raise DataError(f"{text!r}: classes is {names.dtype} {names.shape}, expected a list of names.")
    own = tuple(map(str, names)) if names is not None else tuple(map(str, range(int(y.max()) + 1)))
    if classes is not None and names is not None and own != classes:
        raise DataError(f"{text!r} has the classes {', '.join(own)[:200]}, expected {', '.join(classes)[:200]}.")
    index = np.random.default_rng(0).permutation(len(x))[:limit] if limit < len(x) else np.arange(len(x))
    joints, seen = [], []
    for i in index:
        there = (x[i] != 0).any(axis=(1, 2))  # NaN is not 0: refused below
        frames = int(np.flatnonzero(there)[-1]) + 1 if there.any() else 1
        joints.append(x[i, :frames].astype(np.float32))
        seen.append(there[:frames])
    return SequenceData(joints, seen, y[index], classes or own, preprocess, Path(name).name + text[len(name) :])
