"""Write files: whole or not at all, never through a link, and never over what this program did not write.

The one writer of all packages here. `hwsearch._files` hands it on with errors of `hwsearch`.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import BinaryIO

#: tells from the first bytes of a file whether this program wrote a file of that kind
Recogniser = Callable[[bytes], bool]
#: bytes that a recogniser is shown
HEAD = 1 << 16
_FORCED: ContextVar[bool] = ContextVar("overwriting", default=False)


class WritingError(ValueError):
    """A file may not be written at the place that was named.

    Parameters
    ----------
    message : str
        The place, and what is there.
    hint : str
        What to do about it.
    """

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(f"{message} {hint}")
        self.message, self.hint = message, hint


@contextmanager
def overwriting(force: bool = True) -> Iterator[None]:
    """Allow that files which this program did not write are replaced; links never are.

    Parameters
    ----------
    force : bool
        Whether it is allowed inside.

    Yields
    ------
    None
        Nothing; the block writes.

    Examples
    --------
    >>> with overwriting():
    ...     forced()
    True
    >>> forced()
    False
    """
    token = _FORCED.set(force)
    try:
        yield
    finally:
        _FORCED.reset(token)


def forced() -> bool:
    """Tell whether files that this program did not write may be replaced.

    Returns
    -------
    bool
        Whether `overwriting` allows it.
    """
    return _FORCED.get()


def containing(*marks: bytes) -> Recogniser:
    """Recognise files whose first bytes contain one of some marks.

    Parameters
    ----------
    marks : bytes
        What only this program writes.

    Returns
    -------
    callable
        The recogniser.

    Examples
    --------
    >>> containing(b"hwsearch")(b"made by hwsearch"), containing(b"hwsearch")(b"mine")
    (True, False)
    """
    return lambda head: any(mark in head for mark in marks)


def json_with(*keys: str) -> Recogniser:
    """Recognise JSON objects by their keys.

    Parameters
    ----------
    keys : str
        All of these are in the file's first bytes, as keys.

    Returns
    -------
    callable
        The recogniser.

    Examples
    --------
    >>> json_with("sha256")(b'{"sha256": "f00"}'), json_with("sha256")(b'{"name": "mine"}')
    (True, False)
    """
    wanted = [json.dumps(key).encode() + b":" for key in keys]
    return lambda head: head.lstrip()[:1] == b"{" and all(key in head for key in wanted)


def anything(head: bytes) -> bool:
    """Recognise every file, for names that are this program's own.

    Parameters
    ----------
    head : bytes
        The file's first bytes.

    Returns
    -------
    bool
        True.
    """
    return True


def check_place(path: Path, ours: Recogniser) -> None:
    """Check that a file may be written, before anything is.

    Parameters
    ----------
    path : Path
        The file.
    ours : callable
        Recognises files of this kind that this program wrote.

    Raises
    ------
    WritingError
        If there is a link, a folder or a device, or (unless `overwriting`) a file that this program did not write.
    """
    try:
        mode = path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return
    if stat.S_ISLNK(mode):
        raise WritingError(
            f"{str(path)!r} is a link, and nothing is written through links.", "Remove it, or give another name."
        )
    if not stat.S_ISREG(mode):
        raise WritingError(f"{str(path)!r} is not a file that can be replaced.", "Give another name.")
    if forced():
        return
    with path.open("rb") as stream:
        head = stream.read(HEAD)
    if head and not ours(head):
        raise WritingError(
            f"{str(path)!r} exists, and is not a file of this kind that hwsearch wrote.",
            "Give another name, or --force (in Python force=True) to replace it.",
        )


def own_folder(path: Path) -> Path:
    """Make a folder of the program's own, such as ``plots/`` of a campaign.

    Parameters
    ----------
    path : Path
        The folder; missing parents are made.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    WritingError
        If it is a link, or no folder.
    """
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        raise WritingError(
            f"{str(path)!r} is a link or not a folder, and nothing is written through links.", "Remove it."
        )
    path.mkdir(parents=True, exist_ok=True)
    return path


@contextmanager
def new_content(path: Path, ours: Recogniser) -> Iterator[BinaryIO]:
    """Write a file part by part through a temporary one, so that a reader never sees half of it.

    Parameters
    ----------
    path : Path
        The file; its folder must exist.
    ours : callable
        Recognises files of this kind that this program wrote, which are replaced.

    Yields
    ------
    BinaryIO
        Takes the content. The file is replaced when the block ends, and left as it is when the block raises.

    Raises
    ------
    WritingError
        If there is a link, or something that this program did not write, see `check_place`.
    OSError
        If it cannot be written.
    """
    check_place(path, ours)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    partial.unlink(missing_ok=True)
    handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        with os.fdopen(handle, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_file(path: Path, data: bytes, ours: Recogniser) -> None:
    """Write a file through a temporary one, so that a reader never sees half of it.

    Parameters
    ----------
    path : Path
        The file; its folder must exist.
    data : bytes
        Its content.
    ours : callable
        Recognises files of this kind that this program wrote, which are replaced.

    Raises
    ------
    WritingError
        If there is a link, or something that this program did not write, see `check_place`.
    OSError
        If it cannot be written.
    """
    with new_content(path, ours) as stream:
        stream.write(data)
