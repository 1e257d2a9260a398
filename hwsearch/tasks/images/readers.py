"""Readers of labelled images: arrays, parquet files, folders."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hwsearch.errors import DataError, nearest
from hwsearch.tasks.images.data import Files, ImageData
from hwsearch.tasks.images.preprocess import Preprocess
from latency_tables.parquet import read_parquet
from latency_tables.reading import ReadingError

logger = logging.getLogger(__name__)

#: endings of the formats that are read; the first frame counts where there are several
IMAGE_SUFFIXES = {
    ".jpg",
    ".jpeg",
    ".jpe",
    ".jfif",
    ".png",
    ".apng",
    ".bmp",
    ".dib",
    ".webp",
    ".avif",
    ".gif",
    ".tif",
    ".tiff",
    ".ppm",
    ".pgm",
    ".pbm",
    ".pnm",
    ".tga",
    ".jp2",
    ".j2k",
    ".pcx",
}


def from_arrays(
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    classes: Sequence[str],
    preprocess: Preprocess,
    name: str = "arrays",
) -> ImageData:
    """Make a data set of images in memory.

    Parameters
    ----------
    images : ndarray
        uint8 ``(N, H, W, 3)``.
    labels : ndarray
        Class indices, int64 ``(N,)``.
    classes : sequence of str
        Names of the classes.
    preprocess : Preprocess
        How images become inputs.
    name : str
        For messages.

    Returns
    -------
    ImageData
        The images.

    Raises
    ------
    DataError
        If shapes, types or labels are wrong.

    Examples
    --------
    >>> images = np.zeros((2, 8, 8, 3), np.uint8)
    >>> len(from_arrays(images, np.array([0, 1]), ("cat", "dog"), Preprocess()))
    2
    """
    images = np.asarray(images)
    if images.ndim != 4 or images.shape[3] != 3 or images.dtype != np.uint8:
        raise DataError(f"{name!r}: expected uint8 images (N, H, W, 3), found {images.dtype} {images.shape}.")
    return ImageData(list(images), labels, tuple(classes), preprocess, name)


def from_parquet(
    path: Path, preprocess: Preprocess, *, split: str | None = None, classes: Sequence[str] | None = None
) -> ImageData:
    """Read images from a parquet file with a column of encoded images (``jpeg``, ``png`` or ``image``) and one ``label``.

    Parameters
    ----------
    path : Path
        The file.
    preprocess : Preprocess
        How images become inputs.
    split : str, optional
        Keep the rows whose column ``split`` has this value.
    classes : sequence of str, optional
        Names of the classes; numbers where none are given.

    Returns
    -------
    ImageData
        The images, decoded on demand.

    Raises
    ------
    DataError
        If the file, a column or the split is missing, or values are not what they should be.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"there is no file {str(path)!r}.")
    try:
        frame = read_parquet(path)
    except OSError as error:
        raise DataError(f"cannot read {str(path)!r}: {error.strerror or error}.") from error
    except ReadingError as error:
        raise DataError(f"{str(path)!r} is not a readable parquet file: it is {error}.") from error
    column = next((c for c in ("jpeg", "png", "image") if c in frame.columns), None)
    if column is None or "label" not in frame.columns:
        raise DataError(
            f"{str(path)!r} has columns {', '.join(map(str, frame.columns))}; "
            "expected 'label' and one of jpeg, png, image."
        )
    if split is not None:
        if "split" not in frame.columns:
            raise DataError(f"{str(path)!r} has no column 'split', but split {split!r} was asked for.")
        known = sorted(frame["split"].astype(str).unique())
        frame = frame[frame["split"].astype(str) == split]
        if frame.empty:
            raise DataError(f"{str(path)!r} has no split {split!r}.", hint=nearest(split, known))
    if frame.empty:
        raise DataError(f"{str(path)!r} has no rows.")
    images = [v.get("bytes") if isinstance(v, dict) else v for v in frame[column]]
    if not all(isinstance(v, bytes) for v in images):
        raise DataError(f"{str(path)!r}: column {column!r} holds something other than encoded images.")
    if not pd.api.types.is_integer_dtype(frame["label"]) or frame["label"].isna().any():
        raise DataError(f"{str(path)!r}: column 'label' holds something other than class indices.")
    labels = frame["label"].to_numpy(dtype=np.int64)
    if not classes and labels.max() > 1 and set(labels.tolist()) == set(range(1, int(labels.max()) + 1)):
        raise DataError(
            f"{str(path)!r}: labels are 1 to {labels.max()}: they may count from 1, or class 0 may have no images.",
            hint="Subtract 1, or name all classes.",
        )
    names = tuple(classes) if classes else tuple(str(i) for i in range(int(labels.max()) + 1))
    return ImageData(
        [bytes(v) for v in images if v is not None],
        labels,
        names,
        preprocess,
        f"{path.name}{':' + split if split else ''}",
    )


def from_folder(
    path: Path, preprocess: Preprocess, *, limit: int | None = None, seed: int = 0, classes: Sequence[str] | None = None
) -> ImageData:
    """Read images from one folder a class (torchvision's ImageFolder layout), in a fixed random order.

    Parameters
    ----------
    path : Path
        The folder of class folders.
    preprocess : Preprocess
        How images become inputs.
    limit : int, optional
        Read at most this many images, the first of the random order.
    seed : int
        Seed of the order.
    classes : sequence of str, optional
        The expected class folders, in the order of the network's outputs; a missing one is an error.

    Returns
    -------
    ImageData
        The images, read and decoded on demand.

    Raises
    ------
    DataError
        If a folder is missing, or a class has no images.

    Notes
    -----
    Names that begin with a dot and ``__MACOSX`` are no data; files of other endings are left out with a warning in the log.
    """
    path = Path(path)
    if not path.is_dir():
        raise DataError(f"there is no folder {str(path)!r}.")
    found = sorted(p.name for p in path.iterdir() if p.is_dir() and not _left_behind(p.name))
    if not found:
        raise DataError(f"{str(path)!r} has no class folders.", hint="Expected one folder a class, with images in it.")
    names = tuple(classes) if classes else tuple(found)
    missing = sorted(set(names) - set(found))
    if missing:
        raise DataError(
            f"{str(path)!r} lacks the class folders {', '.join(missing[:5])}{' …' if len(missing) > 5 else ''}.",
            hint=f"Expected a folder for each of the {len(names)} classes.",
        )
    everything = [(p, label) for label, name in enumerate(names) for p in _files(path / name)]
    files = [(p, label) for p, label in everything if p.suffix.lower() in IMAGE_SUFFIXES]
    if others := Counter(p.suffix.lower() or "none" for p, _ in everything if p.suffix.lower() not in IMAGE_SUFFIXES):
        told = ", ".join(f"{n} of ending {ending}" for ending, n in sorted(others.items()))
        logger.warning("%s: %d files are left out, as no images: %s", path, sum(others.values()), told)
    empty = sorted(set(range(len(names))) - {label for _, label in files})
    if empty:
        left = sorted({p.suffix.lower() or "none" for p, label in everything if label == empty[0]})
        raise DataError(
            f"{str(path)!r}: no images in class folder {names[empty[0]]!r}"
            + (f", only files of ending {', '.join(left)}." if left else "."),
            hint=f"Endings that are read: {' '.join(sorted(IMAGE_SUFFIXES))}." if left else None,
        )
    order = np.random.default_rng(seed).permutation(len(files))[:limit]
    paths = [files[i][0] for i in order]
    labels = np.array([files[i][1] for i in order], dtype=np.int64)
    return ImageData(Files(paths, path), labels, names, preprocess, path.name, [str(p) for p in paths])


def _left_behind(name: str) -> bool:
    """Whether a name is of what systems and editors leave beside data."""
    return name.startswith(".") or name == "__MACOSX"


def _files(folder: Path) -> list[Path]:
    """Return the files below a class folder in the order of their names; a broken link is one."""
    return [
        p
        for p in sorted(folder.rglob("*"))
        if not p.is_dir() and not any(map(_left_behind, p.relative_to(folder).parts))
    ]
