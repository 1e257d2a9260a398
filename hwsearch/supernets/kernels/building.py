"""Find the compiled library of kernels: the package's own, or one of the user's compiler, in a cache.

A build of the cache lies in a folder of its own, named by the digest of all that it was made from; beside the library
stands a record with its digest. It is made in a temporary folder and renamed, under a lock, so that a reader never finds
half a library and two builders do not disturb each other.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path

from filelock import FileLock

from hwsearch._json import JsonObject
from hwsearch.errors import SupernetError
from hwsearch.supernets.kernels.compiling import LIBRARY, OPTIONS, RECORD, ask, build, fitting_compiler, source_digest
from hwsearch.supernets.kernels.processor import FLAGS, machine

#: where a wheel of one platform brings its libraries, a folder for each instruction set; a source checkout has none
PACKAGED = Path(__file__).parent / "built"
#: what a wheel says of its libraries, in that folder: ``kernels``, the instruction sets, or ``reason``, why there are none
WHEEL = "wheel.json"


def cache_folder() -> Path:
    """Return the folder of compiled kernels.

    Returns
    -------
    Path
        Of the environment variable ``HWSEARCH_KERNELS``; else ``hwsearch/kernels`` in the user's cache folder.

    Raises
    ------
    SupernetError
        If the user has no home folder.
    """
    if own := os.environ.get("HWSEARCH_KERNELS"):
        return Path(own)
    cache = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(cache) if cache else Path.home() / ".cache") / "hwsearch" / "kernels"
    except RuntimeError as error:  # a user without HOME and without a line in the list of users
        raise SupernetError(
            f"there is no folder for compiled kernels: {error}", hint="Name one by HWSEARCH_KERNELS."
        ) from error


def packaged_library(level: str, folder: Path = PACKAGED) -> Path | None:
    """Return the library of an instruction set that the package brings.

    Parameters
    ----------
    level : str
        Key of `hwsearch.supernets.kernels.processor.FLAGS`.
    folder : Path
        Folder of the packaged libraries.

    Returns
    -------
    Path or None
        None in a source checkout, which brings none.

    Raises
    ------
    SupernetError
        If the package was built without it, or it is damaged, of another source or for another machine.
    """
    if not folder.is_dir():
        return None
    place = folder / level
    if not place.is_dir():
        reason = _read(folder / WHEEL).get("reason")
        why = f"was built without compiled kernels: {str(reason).rstrip('.')}" if reason else f"brings none for {level}"
        raise SupernetError(f"the package {why}.")
    if not intact(place):
        raise SupernetError(f"the package's library {str(place / LIBRARY)!r} is damaged.", hint="Install it again.")
    record = _read(place / RECORD)
    for name, here in (("source", source_digest()), ("machine", machine()), ("level", level)):
        if record.get(name) != here:
            raise SupernetError(f"the package's library {str(place / LIBRARY)!r} is of another {name}.")
    return place / LIBRARY


def built_library(level: str, folder: Path | None = None) -> Path:
    """Return the compiled library of an instruction set, compiling it first if need be.

    Parameters
    ----------
    level : str
        Key of `hwsearch.supernets.kernels.processor.FLAGS`.
    folder : Path, optional
        Cache folder; that of `cache_folder` by default.

    Returns
    -------
    Path
        The library; its digest is that of its record.

    Raises
    ------
    SupernetError
        If there is no compiler, it is for another kind of machine, it fails, or the folder cannot be written.
    """
    folder = cache_folder() if folder is None else folder
    compiler = fitting_compiler()
    version = ask(compiler, "--version")
    made_from = [source_digest(), *compiler, version, *OPTIONS, machine(), level, *FLAGS[level]]
    place = folder / hashlib.sha256("\0".join(made_from).encode()).hexdigest()[:24]
    if not intact(place):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with FileLock(place.with_suffix(".lock")):
                if not intact(place):
                    shutil.rmtree(place, ignore_errors=True)
                    build(compiler, level, place)
        except OSError as error:
            raise SupernetError(f"the kernels cannot be built in {str(folder)!r}: {error}.") from error
    return place / LIBRARY


def intact(place: Path) -> bool:
    """Tell whether a build is there and undamaged.

    Parameters
    ----------
    place : Path
        Folder of the build.

    Returns
    -------
    bool
        Whether the library has the digest of its record.
    """
    try:
        return bool(_read(place / RECORD).get("sha256") == hashlib.sha256((place / LIBRARY).read_bytes()).hexdigest())
    except OSError:
        return False


def _read(path: Path) -> JsonObject:
    """Read a record; nothing where there is none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
