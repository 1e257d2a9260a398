"""Decoded images of a folder in one memory-mapped file, kept between runs.

The file is named by what it was made from: names, sizes and times of the image files, how they are cropped, and the side. It
is written whole or not at all, and checked by the checksums at its end before it is used.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import shutil
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import PIL
from filelock import FileLock
from numpy.typing import NDArray

from hwsearch._files import anything, new_content, own_folder
from hwsearch.errors import OutputError

log = logging.getLogger(__name__)

#: decoded images of fewer bytes are decoded anew by each process, in less than a second; such of more are not kept
LEAST_BYTES, MOST_BYTES = 64 * 2**20, 8 * 2**30
#: where files lie; ``off`` keeps none
VARIABLE = "HWSEARCH_IMAGES"
#: bytes before the pixels, and images that share a checksum
HEADER_BYTES, BLOCK = 4096, 256
_MAGIC = b"hwsearch decoded images 1\n"


def cache_folder() -> Path | None:
    """Find the folder of decoded images.

    Returns
    -------
    Path or None
        Of the environment variable ``HWSEARCH_IMAGES``; else ``hwsearch/images`` in the user's cache folder. None where the
        variable says ``off``, or the user has no home folder.
    """
    own = os.environ.get(VARIABLE)
    if own == "off":
        return None
    if own:
        return Path(own)
    cache = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(cache) if cache else Path.home() / ".cache") / "hwsearch" / "images"
    except RuntimeError:  # a user without HOME and without a line in the list of users
        return None


def listing_key(paths: Iterable[Path], root: Path, **how: object) -> str:
    """Name decoded images by the files that they come from, and by how they are decoded.

    Parameters
    ----------
    paths : iterable of Path
        The image files, in order.
    root : Path
        The folder that names are relative to, so that a folder can be moved.
    **how
        Plain values.

    Returns
    -------
    str
        Hexadecimal digits that change with a name, a size, a time of change, the order, and `how`.
    """
    h = hashlib.sha256(json.dumps(how | {"pillow": PIL.__version__}, sort_keys=True).encode())
    for path in paths:
        found = path.stat()
        h.update(f"{path.relative_to(root).as_posix()} {found.st_size} {found.st_mtime_ns}\n".encode())
    return h.hexdigest()[:24]


def cannot_be_written(error: OutputError) -> bool:
    """Tell whether the folder of decoded images may not be written to, which is no fault of the run's.

    Parameters
    ----------
    error : OutputError
        Of `mapped_images`.

    Returns
    -------
    bool
        True where the user lacks the right, or the file system is read-only; False for a full disk.
    """
    return isinstance(error.__cause__, OSError) and error.__cause__.errno in (errno.EACCES, errno.EPERM, errno.EROFS)


def mapped_images(
    folder: Path, key: str, n: int, side: int, decode: Callable[[], Iterable[NDArray[np.uint8]]]
) -> NDArray[np.uint8]:
    """Map decoded images into memory; they are decoded first where no sound file of them exists.

    Parameters
    ----------
    folder : Path
        Where the files lie; made if missing.
    key : str
        As `listing_key` makes it.
    n, side : int
        Number of images, and their side in pixels.
    decode : callable
        Gives the images in order, in batches uint8 ``(b, side, side, 3)``.

    Returns
    -------
    ndarray
        uint8 ``(n, side, side, 3)``; what is written to it stays in this process.

    Raises
    ------
    OutputError
        If the file cannot be written, such as on a full disk.
    DataError
        If an image cannot be decoded.
    """
    path = folder / f"{key}.images"
    header = _header(key, n, side)
    try:
        own_folder(folder)
        with FileLock(path.with_suffix(".lock")):  # who waits here finds what another process decoded
            found = _opened(path, header, n, side)
            if found is None:
                _write(path, header, n, side, decode)
                found = _opened(path, header, n, side)
    except OSError as error:
        raise _cannot_write(folder, error) from error
    if found is None:
        raise OutputError(
            f"the decoded images in {str(path)!r} are damaged as soon as they are written.", hint=_elsewhere()
        )
    return found


def _header(key: str, n: int, side: int) -> bytes:
    text = _MAGIC + json.dumps({"key": key, "images": n, "side": side}).encode() + b"\n"
    return text.ljust(HEADER_BYTES, b"\0")


def _opened(path: Path, header: bytes, n: int, side: int) -> NDArray[np.uint8] | None:
    """Map a file; None where there is none, or a damaged one, which is said."""
    try:
        return _checked(path, header, n, side)
    except FileNotFoundError:
        return None
    except ValueError as fault:
        log.warning("the decoded images in %s are damaged: %s; they are decoded again", path, fault)
        return None


def _checked(path: Path, header: bytes, n: int, side: int) -> NDArray[np.uint8]:
    """Map a file and compare sizes and checksums; what is wrong is a ValueError."""
    blocks, pixels = -(-n // BLOCK), n * side * side * 3
    size, expected = path.stat().st_size, HEADER_BYTES + pixels + 4 * blocks
    if size != expected:
        raise ValueError(f"it has {size:,} bytes in place of {expected:,}")
    whole = np.asarray(np.memmap(path, np.uint8, mode="c"))
    if whole[:HEADER_BYTES].tobytes() != header:
        raise ValueError("its header is another one")
    found = whole[HEADER_BYTES : HEADER_BYTES + pixels].reshape(n, side, side, 3)
    sums = np.frombuffer(whole[HEADER_BYTES + pixels :].tobytes(), "<u4")
    for k in range(blocks):
        if zlib.crc32(found[k * BLOCK : (k + 1) * BLOCK].data) != sums[k]:
            raise ValueError(f"the checksum of images {k * BLOCK} to {min(n, (k + 1) * BLOCK) - 1} is wrong")
    return found


def _write(path: Path, header: bytes, n: int, side: int, decode: Callable[[], Iterable[NDArray[np.uint8]]]) -> None:
    need = HEADER_BYTES + n * side * side * 3
    if shutil.disk_usage(path.parent).free < need:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    log.info("decoding %d images into %s (%.1f GB)", n, path, need / 1e9)
    sums: list[int] = []
    with new_content(path, anything) as stream:
        stream.write(header)
        rest = np.empty((0, side, side, 3), np.uint8)
        for part in decode():
            rest = np.concatenate([rest, part])
            while len(rest) >= BLOCK:
                sums.append(_written(stream.write, rest[:BLOCK]))
                rest = rest[BLOCK:]
        if len(rest):
            sums.append(_written(stream.write, rest))
        stream.write(np.array(sums, "<u4").tobytes())
        stream.flush()
        os.fsync(stream.fileno())


def _written(write: Callable[[bytes], int], images: NDArray[np.uint8]) -> int:
    data = images.tobytes()
    write(data)
    return zlib.crc32(data)


def _cannot_write(folder: Path, error: OSError) -> OutputError:
    return OutputError(
        f"decoded images cannot be kept in {str(folder)!r}: {error.strerror or error}.", hint=_elsewhere()
    )


def _elsewhere() -> str:
    return f"Make room, name another folder by {VARIABLE}, or set {VARIABLE}=off to decode the images in every step."
