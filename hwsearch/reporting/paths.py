"""Take the paths of the host that wrote a report out of its words: a page is sent to others."""

from __future__ import annotations

import re
from pathlib import Path, PurePath
from typing import TypeVar

V = TypeVar("V")


def without_host_paths(value: V, folder: Path) -> V:
    """Shorten absolute paths in a report's values.

    Paths below the campaign's folder are given from there, others by the name of the file or folder.

    Parameters
    ----------
    value : object
        Texts, and lists, tuples and dicts of such; other values are left as they are. Keys are texts, too.
    folder : Path
        The campaign's folder.

    Returns
    -------
    object
        The same with short paths.

    Examples
    --------
    >>> without_host_paths(["see /home/ann/c/log.txt", "/home/ann/data/val:test"], Path("/home/ann/c"))
    ['see log.txt', 'val:test']
    """
    if isinstance(value, str):
        return _shortened(value, folder)  # type: ignore[return-value]
    if isinstance(value, dict):
        return {without_host_paths(k, folder): without_host_paths(v, folder) for k, v in value.items()}  # type: ignore[return-value]
    if isinstance(value, (list, tuple)):
        return type(value)(without_host_paths(v, folder) for v in value)  # type: ignore[return-value]
    return value


def _shortened(text: str, folder: Path) -> str:
    own = str(folder.absolute())
    text = text.replace(own + "/", "").replace(own, folder.absolute().name)
    return _ABSOLUTE.sub(lambda m: m[1] + (PurePath(m[2].rstrip("/")).name or m[2]), text)


#: a path from the root of the file system of at least two parts, where a word begins
_ABSOLUTE = re.compile(r"(^|[\s'\"(=:,])((?:[A-Za-z]:)?/(?!/)[^\s'\",:;()<>]+/[^\s'\",:;()<>]*)")
