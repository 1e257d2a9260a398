"""Labelled images, decoded on demand."""

from __future__ import annotations

import hashlib
import io
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar, overload

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from torch import Tensor
from typing_extensions import override

from hwsearch._typing import IntArray
from hwsearch.errors import DataError, OutputError
from hwsearch.tasks.data import Data, check_classes, class_labels
from hwsearch.tasks.images import decoded
from hwsearch.tasks.images.jpeg import decode_jpeg
from hwsearch.tasks.images.preprocess import Preprocess, eight_bits

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")

#: pixels of one image; a small file can announce any number
MOST_PIXELS = 50_000_000
#: pixels kept for the next call take at most this much memory a data set, in bytes; what is larger is decoded anew
CACHE_BYTES = 2 * 2**30


#: a folder's digest is that of its files' contents up to so many files, of their names and sizes beyond
DIGEST_FILES = 10_000


def _of_file(path: Path, ask: Callable[[], Answer]) -> Answer:
    """Ask something of an image file; a file that cannot be read is an error that names it."""
    try:
        return ask()
    except OSError as error:
        raise DataError(f"cannot read image {str(path)!r}: {error.strerror}.") from error


class Files(Sequence[bytes]):
    """Contents of files, read when they are asked for.

    Parameters
    ----------
    paths : sequence of Path
        The files.
    root : Path
        The folder that names are relative to in the digest.
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
        return _of_file(self.paths[i], self.paths[i].read_bytes)

    def take(self, indices: IntArray) -> Files:
        """Select files.

        Parameters
        ----------
        indices : IntArray
            Positions of the files, shape ``(k,)``.

        Returns
        -------
        Files
            The k files.
        """
        return Files([self.paths[i] for i in indices], self.root)

    def update(self, h: Any) -> None:
        """Add what identifies the files to a hash.

        Parameters
        ----------
        h : hashlib object
            The hash; it gets contents of up to `DIGEST_FILES` files, names and sizes of more.
        """
        for path in self.paths:
            if len(self.paths) <= DIGEST_FILES:
                h.update(_of_file(path, path.read_bytes))
            else:
                h.update(f"{path.relative_to(self.root).as_posix()} {_of_file(path, path.stat).st_size}".encode())


@dataclass
class ImageData(Data):
    """Labelled images, decoded on demand; pixels are kept for each side length as far as `CACHE_BYTES` allow.

    Those of a folder that are trained on (`keep_for_training`) are decoded into a file that is mapped into memory
    (`hwsearch.tasks.images.decoded`), and found there again by the next run.

    Parameters
    ----------
    images : sequence of bytes or ndarray
        Encoded images (JPEG, PNG, …) or uint8 arrays ``(H, W, 3)``, one an image.
    labels : IntArray
        Class indices, shape ``(N,)``.
    classes : tuple of str
        Names of the classes.
    preprocess : Preprocess
        How images become inputs.
    name : str
        For messages.
    names : sequence of str
        Where each image came from, for messages; empty where they have no names.

    Raises
    ------
    DataError
        If there is no image, or labels and images or classes do not match.
    """

    images: Sequence[bytes | NDArray[np.uint8]]
    labels: IntArray
    classes: tuple[str, ...]
    preprocess: Preprocess = field(default_factory=Preprocess)
    name: str = "images"
    names: Sequence[str] = ()
    _cache: dict[int, NDArray[np.uint8]] = field(default_factory=dict, repr=False)
    #: the same in files, which take no memory of this process
    _maps: dict[int, NDArray[np.uint8]] = field(default_factory=dict, repr=False)
    #: the set that these were taken from, and their places in it
    _source: tuple[ImageData, IntArray] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        self.labels = class_labels(self.labels, self.name)
        if not len(self.images):
            raise DataError(f"data set {self.name!r} has no images.")
        if len(self.images) != len(self.labels):
            raise DataError(f"data set {self.name!r} has {len(self.images)} images but {len(self.labels)} labels.")
        check_classes(self.labels, self.classes, self.name)

    def __len__(self) -> int:
        return len(self.images)

    @override
    def head(self, n: int) -> ImageData:
        """Select the first n images without reading any."""
        return ImageData(self.images[:n], self.labels[:n], self.classes, self.preprocess, self.name, self.names[:n])

    def slice(self, start: int, stop: int) -> ImageData:
        """Select consecutive images.

        Parameters
        ----------
        start, stop : int
            First position, and the one after the last.

        Returns
        -------
        ImageData
            The images.
        """
        part = slice(start, stop)
        names = self.names[part]
        return ImageData(self.images[part], self.labels[part], self.classes, self.preprocess, self.name, names)

    @override
    def take(self, indices: IntArray) -> ImageData:
        """Select images; what is decoded here already is not decoded again."""
        images = self.images.take(indices) if isinstance(self.images, Files) else [self.images[i] for i in indices]
        names = [self.names[i] for i in indices] if self.names else ()
        part = ImageData(images, self.labels[indices], self.classes, self.preprocess, self.name, names)
        part._source = (self, indices)
        return part

    @override
    def without(self, others: Sequence[Data]) -> ImageData:
        """Compare encoded contents; files are read only where sizes are equal."""
        known: dict[int, set[bytes]] = {}
        for other in others:
            if isinstance(other, ImageData):
                for i in range(len(other)):
                    known.setdefault(other._size(i), set()).add(other.key(i))
        kept = [i for i in range(len(self)) if (size := self._size(i)) not in known or self.key(i) not in known[size]]
        return self.take(np.array(kept, np.int64))

    def _size(self, i: int) -> int:
        if isinstance(self.images, Files):
            path = self.images.paths[i]
            return _of_file(path, path.stat).st_size
        item = self.images[i]
        return len(item) if isinstance(item, bytes) else item.nbytes

    @override
    def key(self, i: int) -> bytes:
        """Hash the encoded content by SHA-256."""
        item = self.images[i]
        return hashlib.sha256(item if isinstance(item, bytes) else item.tobytes()).digest()

    def _decode(self, i: int) -> Image.Image:
        item = self.images[i]
        if isinstance(item, np.ndarray):
            return Image.fromarray(item)
        if (found := decode_jpeg(item, MOST_PIXELS)) is not None:
            return Image.fromarray(found)
        try:
            image = Image.open(io.BytesIO(item))
            if image.width * image.height > MOST_PIXELS:
                raise ValueError(
                    f"it has {image.width} x {image.height} pixels, more than {MOST_PIXELS // 10**6} million"
                )
            if image.format == "PNG":  # decoding alone looks at no checksum of pixels
                Image.open(io.BytesIO(item)).verify()
            image.load()
            return eight_bits(image)
        except Exception as error:  # Pillow raises many kinds: OSError, SyntaxError, ValueError, struct.error, …
            which = repr(self.names[i]) if self.names else str(i)
            why = "it is not an image" if isinstance(error, UnidentifiedImageError) else error
            raise DataError(f"image {which} of {self.name!r} cannot be decoded: {why}.") from error

    def pixels(self, side: int) -> NDArray[np.uint8]:
        """Decode all images at one side length; the result is kept for the next call, as `CACHE_BYTES` allow.

        Parameters
        ----------
        side : int
            Side in pixels.

        Returns
        -------
        ndarray
            uint8 ``(N, side, side, 3)``.

        Raises
        ------
        DataError
            If an image cannot be decoded.
        """
        if (kept := self._kept(side)) is not None:
            return kept
        if self._source is not None and (kept := self._source[0]._kept(side)) is not None:
            found = kept[self._source[1]]
        else:
            found = np.concatenate([*self._decoded(side, 256)])
        if found.nbytes <= CACHE_BYTES:
            while self._cache and found.nbytes + sum(p.nbytes for p in self._cache.values()) > CACHE_BYTES:
                self._cache.pop(next(iter(self._cache)))
            self._cache[side] = found
        return found

    def _kept(self, side: int) -> NDArray[np.uint8] | None:
        """Return the pixels of all images where they are decoded already."""
        if side in self._maps:
            return self._maps[side]
        if side in self._cache:
            self._cache[side] = self._cache.pop(side)  # the latest stands last
            return self._cache[side]
        return None

    def pixels_of(self, indices: IntArray, side: int) -> NDArray[np.uint8]:
        """Decode some images at one side length; all are decoded where they can be kept.

        Parameters
        ----------
        indices : IntArray
            Positions of the images, shape ``(k,)``.
        side : int
            Side in pixels.

        Returns
        -------
        ndarray
            uint8 ``(k, side, side, 3)``.
        """
        if self._kept(side) is not None or len(self) * 3 * side**2 <= CACHE_BYTES:
            return self.pixels(side)[indices]
        return self.take(indices).pixels(side)

    @override
    def keep(self, size: int) -> None:
        """Decode all images for networks of that side, where there is room to keep them."""
        at = self.preprocess.base or size
        if len(self) * 3 * at**2 <= CACHE_BYTES:
            self.pixels(at)

    @override
    def keep_for_training(self, size: int) -> None:
        """Decode all images for networks of that side, where there is room to keep them: in a file, or in memory.

        Raises
        ------
        OutputError
            If the file cannot be written, such as on a full disk.
        """
        at = self.preprocess.base or size
        if self._kept(at) is not None:
            return
        found, need = self._map(at), len(self) * 3 * at**2
        if found is not None:
            self._maps[at] = found
        elif need <= CACHE_BYTES:
            self.pixels(at)
        else:
            log.warning(
                "%s: %.1f GB of decoded images are not kept; they are decoded in every step", self.name, need / 1e9
            )

    def _map(self, side: int) -> NDArray[np.uint8] | None:
        """Map the decoded images of a folder; None where they are too few or too many for a file, or no files."""
        folder, need = decoded.cache_folder(), len(self) * 3 * side**2
        if (
            folder is None
            or not isinstance(self.images, Files)
            or not decoded.LEAST_BYTES <= need <= decoded.MOST_BYTES
        ):
            return None
        if self._source is not None and self._source[0]._kept(side) is not None:
            return None
        files = self.images
        key = decoded.listing_key(files.paths, files.root, crop=self.preprocess.crop, side=side)
        try:
            return decoded.mapped_images(folder, key, len(self), side, lambda: self._decoded(side, decoded.BLOCK))
        except OutputError as error:
            if need > CACHE_BYTES or not decoded.cannot_be_written(error):
                raise
            log.warning("%s The images are decoded into memory.", error.message)
            return None

    def _decoded(self, side: int, batch: int) -> Iterator[NDArray[np.uint8]]:
        """Decode pixels in batches, by as many threads as there are cores, one batch ahead."""
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

    @override
    def batches(self, size: int, batch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield (x, y): normalised float32 (b, 3, size, size) and int64 (b,), in order, the last batch maybe smaller."""
        at = self.preprocess.base or size
        if self._kept(at) is not None or len(self) * 3 * at**2 <= CACHE_BYTES:
            pixels = self.pixels(at)
            parts: Iterable[NDArray[np.uint8]] = (pixels[i : i + batch] for i in range(0, len(self), batch))
        else:
            parts = self._decoded(at, batch)
        done = 0
        for part in parts:
            labels = self.labels[done : done + len(part)]
            done += len(part)
            yield self.preprocess.tensor(part, size), torch.from_numpy(labels)

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
