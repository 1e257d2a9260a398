"""Labelled images for calibration and validation: parquet files, folders, arrays.

Pixels stay uint8 until a batch is used. Preparation is the same everywhere, also in the card of an
exported model: Pillow's bilinear resize, centre crop, /255, minus mean, over standard deviation.
"""

from __future__ import annotations

import hashlib
import io
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, overload

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from hwsearch.errors import DataError, nearest

IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".ppm"}


@dataclass(frozen=True)
class Preprocess:
    """How an image becomes a network's input.

    mean, std : per channel, in units of 1 (pixel / 255)
    crop : share of the shorter side that the centre crop keeps (1.0: none; ImageNet's habit: 0.875)
    base : the centre crop has this side; a network of another one gets it resized, bicubic, after normalising
        (BigNAS, AttentiveNAS). None: the crop has the network's side
    """

    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    crop: float = 1.0
    base: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.crop <= 1:
            raise DataError(f"crop {self.crop} is not a share of the image, above 0 and at most 1.")
        if self.base is not None and self.base < 1:
            raise DataError(f"base {self.base} is not a side in pixels.")
        if len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            raise DataError(f"mean {self.mean} and std {self.std} must be three numbers each, std above 0.")

    def pixels(self, image: Image.Image, side: int) -> NDArray[np.uint8]:
        """The (side, side, 3) uint8 pixels of one image."""
        image = image.convert("RGB")
        short, shorter = math.ceil(side / self.crop), min(image.size)
        size = (short * image.width // shorter, short * image.height // shorter)  # as torchvision rounds
        if image.size != size:
            image = image.resize(size, Image.Resampling.BILINEAR)
        left, top = round((image.width - side) / 2), round((image.height - side) / 2)
        if image.size != (side, side):
            image = image.crop((left, top, left + side, top + side))
        return np.array(image)

    def normalise(self, pixels_NHWC: NDArray[np.uint8] | Tensor) -> Tensor:
        """Float32 (N, 3, H, W), channels last in memory, of uint8 (N, H, W, 3) pixels."""
        x = torch.as_tensor(np.ascontiguousarray(pixels_NHWC) if isinstance(pixels_NHWC, np.ndarray) else pixels_NHWC)
        mean, std = torch.tensor(self.mean) * 255, torch.tensor(self.std) * 255
        return ((x.float() - mean) / std).permute(0, 3, 1, 2)

    def tensor(self, pixels_NHWC: NDArray[np.uint8] | Tensor, side: int) -> Tensor:
        """As `normalise`, at the network's side where `base` is another."""
        x = self.normalise(pixels_NHWC)
        return x if x.shape[-1] == side else F.interpolate(x, (side, side), mode="bicubic", align_corners=False)

    def to_dict(self) -> dict[str, Any]:
        return {
            "resize": "Pillow bilinear",
            "crop": self.crop,
            **({"base": self.base, "then": "bicubic to the side"} if self.base else {}),
            "scale": "pixel / 255",
            "mean": list(self.mean),
            "std": list(self.std),
            "layout": "NCHW, RGB",
        }


#: pixels kept for the next call take at most this much memory a data set, in bytes; what is larger is decoded anew
CACHE_BYTES = 2 * 2**30
#: a folder's digest is that of its files' contents up to so many files, of their names and sizes beyond
DIGEST_FILES = 10_000


class Files(Sequence[bytes]):
    """Contents of files, read when they are asked for.

    root : the folder that names are relative to in the digest
    """

    def __init__(self, paths: Sequence[Path], root: Path) -> None:
        self.paths, self.root = paths, root

    def __len__(self) -> int:
        return len(self.paths)

    @overload
    def __getitem__(self, i: int) -> bytes: ...
    @overload
    def __getitem__(self, i: slice) -> Files: ...
    def __getitem__(self, i: int | slice) -> bytes | Files:
        if isinstance(i, slice):
            return Files(self.paths[i], self.root)
        try:
            return self.paths[i].read_bytes()
        except OSError as error:
            raise DataError(f"cannot read image {str(self.paths[i])!r}: {error.strerror}.") from error

    def take(self, indices: NDArray[np.int64]) -> Files:
        return Files([self.paths[i] for i in indices], self.root)

    def update(self, h: Any) -> None:
        """Add what identifies the files to a hash."""
        for path in self.paths:
            if len(self.paths) <= DIGEST_FILES:
                h.update(path.read_bytes())
            else:
                h.update(f"{path.relative_to(self.root).as_posix()} {path.stat().st_size}".encode())


@dataclass
class ImageData:
    """Labelled images, decoded on demand; pixels are kept for each side length as far as memory is meant to go.

    images : encoded bytes (JPEG, PNG, …) or uint8 arrays (H, W, 3), one an image
    labels : (N,) int64 class indices
    classes : names of the classes
    names : where each image came from, for messages; empty where they have no names
    """

    images: Sequence[bytes | NDArray[np.uint8]]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    preprocess: Preprocess = field(default_factory=Preprocess)
    name: str = "images"
    names: Sequence[str] = ()
    _cache: dict[int, NDArray[np.uint8]] = field(default_factory=dict, repr=False)
    #: the set that these were taken from, and their places in it
    _source: tuple[ImageData, NDArray[np.int64]] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        self.labels = np.asarray(self.labels, dtype=np.int64)
        if not len(self.images):
            raise DataError(f"data set {self.name!r} has no images.")
        if len(self.images) != len(self.labels):
            raise DataError(f"data set {self.name!r} has {len(self.images)} images but {len(self.labels)} labels.")
        if self.labels.min() < 0 or self.labels.max() >= len(self.classes):
            wrong = int(self.labels.min() if self.labels.min() < 0 else self.labels.max())
            raise DataError(f"data set {self.name!r} has label {wrong}, but {len(self.classes)} classes.")

    def __len__(self) -> int:
        return len(self.images)

    def head(self, n: int) -> ImageData:
        """The first n images (all, if there are fewer)."""
        return ImageData(self.images[:n], self.labels[:n], self.classes, self.preprocess, self.name, self.names[:n])

    def slice(self, start: int, stop: int) -> ImageData:
        part = slice(start, stop)
        names = self.names[part]
        return ImageData(self.images[part], self.labels[part], self.classes, self.preprocess, self.name, names)

    def take(self, indices: NDArray[np.int64]) -> ImageData:
        """The images at `indices`, in that order; what is decoded here already is not decoded again."""
        images = self.images.take(indices) if isinstance(self.images, Files) else [self.images[i] for i in indices]
        names = [self.names[i] for i in indices] if self.names else ()
        part = ImageData(images, self.labels[indices], self.classes, self.preprocess, self.name, names)
        part._source = (self, indices)
        return part

    def without(self, others: Sequence[Any]) -> ImageData:
        """The images whose encoded contents are in none of the others; files are read only where sizes are equal."""
        known: dict[int, set[bytes]] = {}
        for other in others:
            for i in range(len(other)) if isinstance(other, ImageData) else ():
                known.setdefault(other._size(i), set()).add(other._key(i))
        kept = [i for i in range(len(self)) if (size := self._size(i)) not in known or self._key(i) not in known[size]]
        return self.take(np.array(kept, np.int64))

    def _size(self, i: int) -> int:
        if isinstance(self.images, Files):
            return self.images.paths[i].stat().st_size
        item = self.images[i]
        return len(item) if isinstance(item, bytes) else item.nbytes

    def _key(self, i: int) -> bytes:
        item = self.images[i]
        return hashlib.sha256(item if isinstance(item, bytes) else item.tobytes()).digest()

    def _decode(self, i: int) -> Image.Image:
        item = self.images[i]
        if isinstance(item, np.ndarray):
            return Image.fromarray(item)
        try:
            image = Image.open(io.BytesIO(item))
            image.load()
            return image
        except Exception as error:  # Pillow raises many kinds: OSError, SyntaxError, ValueError, struct.error, …
            which = repr(self.names[i]) if self.names else str(i)
            why = "it is not an image" if isinstance(error, UnidentifiedImageError) else error
            raise DataError(f"image {which} of {self.name!r} cannot be decoded: {why}.") from error

    def pixels(self, side: int) -> NDArray[np.uint8]:
        """All images at one side length: uint8 (N, side, side, 3); kept for the next call, as `CACHE_BYTES` allows."""
        if side in self._cache:
            self._cache[side] = self._cache.pop(side)  # the latest stands last
            return self._cache[side]
        if self._source is not None and side in self._source[0]._cache:
            found = self._source[0]._cache[side][self._source[1]]
        else:
            found = np.concatenate([*self._decoded(side, 256)])
        if found.nbytes <= CACHE_BYTES:
            while self._cache and found.nbytes + sum(p.nbytes for p in self._cache.values()) > CACHE_BYTES:
                self._cache.pop(next(iter(self._cache)))
            self._cache[side] = found
        return found

    def keep(self, side: int) -> None:
        """Decode all images for networks of that side, where there is room to keep them."""
        at = self.preprocess.base or side
        if len(self) * 3 * at**2 <= CACHE_BYTES:
            self.pixels(at)

    def _decoded(self, side: int, batch: int) -> Iterator[NDArray[np.uint8]]:
        """Pixels in batches, decoded by as many threads as there are cores, one batch ahead."""
        one = lambda i: self.preprocess.pixels(self._decode(i), side)  # noqa: E731
        parts = [range(start, min(start + batch, len(self))) for start in range(0, len(self), batch)]
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        with ThreadPoolExecutor(max_workers=cores) as pool:
            ahead = [pool.submit(one, i) for i in parts[0]]
            for following in [*parts[1:], range(0)]:
                waiting, ahead = ahead, [pool.submit(one, i) for i in following]
                try:
                    yield np.stack([w.result() for w in waiting])
                except BaseException:
                    pool.shutdown(wait=False, cancel_futures=True)
                    raise

    def batches(self, side: int, batch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """(x, y): normalised float32 (b, 3, side, side) and int64 (b,), in order, the last batch maybe smaller."""
        at = self.preprocess.base or side
        self.keep(side)
        if at in self._cache:
            pixels = self._cache[at]
            parts: Iterable[NDArray[np.uint8]] = (pixels[i : i + batch] for i in range(0, len(self), batch))
        else:
            parts = self._decoded(at, batch)
        done = 0
        for part in parts:
            labels = self.labels[done : done + len(part)]
            done += len(part)
            yield self.preprocess.tensor(part, side), torch.from_numpy(labels)

    @cached_property
    def digest(self) -> str:
        """Twelve hex digits that change when an image or a label does (of very many files: a name, a size or a label)."""
        h = hashlib.sha256(self.labels.tobytes())
        if isinstance(self.images, Files):
            self.images.update(h)
        else:
            for item in self.images:
                h.update(item if isinstance(item, bytes) else item.tobytes())
        return h.hexdigest()[:12]


def from_arrays(
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    classes: Sequence[str],
    preprocess: Preprocess,
    name: str = "arrays",
) -> ImageData:
    """Images from a uint8 array (N, H, W, 3)."""
    images = np.asarray(images)
    if images.ndim != 4 or images.shape[3] != 3 or images.dtype != np.uint8:
        raise DataError(f"{name!r}: expected uint8 images (N, H, W, 3), found {images.dtype} {images.shape}.")
    return ImageData(list(images), labels, tuple(classes), preprocess, name)


def from_parquet(
    path: Path, preprocess: Preprocess, *, split: str | None = None, classes: Sequence[str] | None = None
) -> ImageData:
    """Images from a parquet file with a column of encoded bytes (``jpeg``, ``png`` or ``image``) and ``label``.

    split : keep the rows whose ``split`` column has this value
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"there is no file {str(path)!r}.")
    try:
        frame = pd.read_parquet(path)
    except Exception as error:  # pyarrow raises many kinds
        raise DataError(f"{str(path)!r} is not a readable parquet file: {error}.") from error
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
    """Images from one folder a class (torchvision's ImageFolder layout), in a fixed random order.

    classes : the expected class folders; a missing one is an error
    """
    path = Path(path)
    if not path.is_dir():
        raise DataError(f"there is no folder {str(path)!r}.")
    found = sorted(p.name for p in path.iterdir() if p.is_dir())
    if not found:
        raise DataError(f"{str(path)!r} has no class folders.", hint="Expected one folder a class, with images in it.")
    names = tuple(classes) if classes else tuple(found)
    missing = sorted(set(names) - set(found))
    if missing:
        raise DataError(
            f"{str(path)!r} lacks the class folders {', '.join(missing[:5])}{' …' if len(missing) > 5 else ''}.",
            hint=f"Expected a folder for each of the {len(names)} classes.",
        )
    files = [
        (p, label)
        for label, name in enumerate(names)
        for p in sorted((path / name).rglob("*"))
        if p.suffix.lower() in IMAGE_SUFFIXES
    ]
    empty = sorted(set(range(len(names))) - {label for _, label in files})
    if empty:
        raise DataError(f"{str(path)!r}: no images in class folder {names[empty[0]]!r}.")
    order = np.random.default_rng(seed).permutation(len(files))[:limit]
    paths = [files[i][0] for i in order]
    labels = np.array([files[i][1] for i in order], dtype=np.int64)
    return ImageData(Files(paths, path), labels, names, preprocess, path.name, [str(p) for p in paths])


def read_images(
    text: str,
    preprocess: Preprocess,
    *,
    limit: int,
    classes: tuple[str, ...] | None = None,
    vocabulary: Path | None = None,
) -> ImageData:
    """Images as a configuration names them: ``file.parquet``, ``file.parquet:split``, or a folder of class folders."""
    if vocabulary is not None:
        raise DataError(f"images need no vocabulary, but {str(vocabulary)!r} was given.")
    name, _, split = text.rpartition(":") if ".parquet:" in text else (text, "", "")
    path = Path(name)
    if path.suffix == ".parquet":
        return from_parquet(path, preprocess, split=split or None, classes=classes).head(limit)
    return from_folder(path, preprocess, limit=limit, classes=classes)
