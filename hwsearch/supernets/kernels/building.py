"""Compile the library of kernels with the user's compiler, once for each source, compiler and instruction set.

A build lies in a folder of its own below the cache folder, named by the digest of all that it was made from; beside the
library stands a record with its digest. It is made in a temporary folder and renamed, under a lock, so that a reader
never finds half a library and two builders do not disturb each other.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

from filelock import FileLock

from hwsearch.errors import SupernetError
from hwsearch.supernets.kernels.processor import FLAGS, machine

log = logging.getLogger(__name__)

SOURCE = Path(__file__).parent / "source"
#: where a wheel of one platform brings its libraries, a folder for each instruction set; a source checkout has none
PACKAGED = Path(__file__).parent / "built"
#: what every build is compiled with; nothing that changes how the process computes elsewhere (as -ffast-math does)
OPTIONS = (
    "-O3", "-fPIC", "-shared", "-std=c++2a", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math",
    "-fno-exceptions", "-fno-rtti", "-fvisibility=hidden", "-Wno-psabi",
)  # fmt: skip
LIBRARY, RECORD = "kernels.so", "kernels.json"
#: seconds that a compiler gets
COMPILER_SECONDS = 300


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


def find_compiler() -> tuple[str, ...]:
    """Find the C++ compiler.

    Returns
    -------
    tuple of str
        The command: the words of the environment variable ``CXX``, or the first of c++, g++ and clang++.

    Raises
    ------
    SupernetError
        If there is none.
    """
    try:
        words = shlex.split(os.environ.get("CXX", ""))
    except ValueError as error:  # a quotation without an end
        raise SupernetError(f"CXX={os.environ['CXX']!r} is not a command: {error}.") from error
    if words:
        if shutil.which(words[0]) is None:
            raise SupernetError(f"the compiler CXX={shlex.join(words)!r} is not there.")
        return tuple(words)
    for name in ("c++", "g++", "clang++"):
        if shutil.which(name):
            return (name,)
    raise SupernetError("no C++ compiler (c++, g++ or clang++) is installed.")


def source_digest(source: Path = SOURCE) -> str:
    """Compute the digest of the kernels' source.

    Parameters
    ----------
    source : Path
        Folder of the source files.

    Returns
    -------
    str
        SHA-256, hexadecimal.
    """
    found = hashlib.sha256()
    for path in sorted(source.glob("*.?pp")):
        found.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return found.hexdigest()


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
        None if there is none, or it is damaged, of another source or for another machine.
    """
    place = folder / level
    if not intact(place):
        return None
    record = json.loads((place / RECORD).read_text(encoding="utf-8"))
    fits = (record.get("source"), record.get("machine"), record.get("level")) == (source_digest(), machine(), level)
    return place / LIBRARY if fits else None


def build_packaged(levels: Iterable[str], folder: Path = PACKAGED) -> list[Path]:
    """Compile the libraries of a wheel, for this kind of machine.

    Parameters
    ----------
    levels : iterable of str
        Keys of `hwsearch.supernets.kernels.processor.FLAGS`; the processor here need not have them.
    folder : Path
        Folder of the packaged libraries.

    Returns
    -------
    list of Path
        The libraries.

    Raises
    ------
    SupernetError
        As `built_library`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    compiler, found = _fitting_compiler(), []
    for level in levels:
        shutil.rmtree(folder / level, ignore_errors=True)
        _build(compiler, level, folder / level)
        found.append(folder / level / LIBRARY)
    return found


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
    compiler = _fitting_compiler()
    version = _asked(compiler, "--version")
    made_from = [source_digest(), *compiler, version, *OPTIONS, machine(), level, *FLAGS[level]]
    place = folder / hashlib.sha256("\0".join(made_from).encode()).hexdigest()[:24]
    if not intact(place):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with FileLock(place.with_suffix(".lock")):
                if not intact(place):
                    shutil.rmtree(place, ignore_errors=True)
                    _build(compiler, level, place)
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
        record = json.loads((place / RECORD).read_text(encoding="utf-8"))
        return bool(record["sha256"] == hashlib.sha256((place / LIBRARY).read_bytes()).hexdigest())
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _fitting_compiler() -> tuple[str, ...]:
    """Find a compiler and check that it is for this kind of machine."""
    compiler = find_compiler()
    target = _asked(compiler, "-dumpmachine").split("-")[0]
    if {"amd64": "x86_64", "arm64": "aarch64"}.get(target, target) != machine():
        raise SupernetError(f"the compiler {shlex.join(compiler)} builds for {target}, this machine is {machine()}.")
    return compiler


def _build(compiler: tuple[str, ...], level: str, place: Path) -> None:
    log.info("compiling the kernels for %s with %s", level, shlex.join(compiler))
    partial = Path(tempfile.mkdtemp(prefix=f"{place.name}.", dir=place.parent))
    try:
        try:
            _compile(compiler, ("-fopenmp", *FLAGS[level]), partial / LIBRARY)
        except SupernetError:
            _compile(compiler, FLAGS[level], partial / LIBRARY)  # one without OpenMP computes with one thread
        digest = hashlib.sha256((partial / LIBRARY).read_bytes()).hexdigest()
        record = {"sha256": digest, "source": source_digest(), "machine": machine(), "level": level}
        record["compiler"] = shlex.join(compiler)
        (partial / RECORD).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        partial.rename(place)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _compile(compiler: tuple[str, ...], flags: tuple[str, ...], output: Path) -> None:
    command = [*compiler, *OPTIONS, *flags, str(SOURCE / "library.cpp"), "-o", str(output)]
    done = _run(command)
    if done.returncode != 0 or not output.exists():
        lines = [line for line in done.stderr.splitlines() if "error" in line.lower()] or done.stderr.splitlines()
        raise SupernetError(f"the compiler {shlex.join(compiler)} failed: {(lines or ['it says nothing'])[0].strip()}")


def _asked(compiler: tuple[str, ...], question: str) -> str:
    done = _run([*compiler, question])
    if done.returncode != 0 or not done.stdout.strip():
        raise SupernetError(f"the compiler {shlex.join(compiler)} does not answer {question}.")
    return done.stdout.strip()


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a command; it ends with all that it started at its deadline and when this process is interrupted."""
    apart = os.name == "posix"
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=apart,
        )
    except OSError as error:
        raise SupernetError(f"the compiler {command[0]} cannot be run: {error}.") from error
    try:
        out, err = process.communicate(timeout=COMPILER_SECONDS)
    except BaseException as error:
        if apart:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
        process.wait()
        if isinstance(error, subprocess.TimeoutExpired):
            raise SupernetError(f"the compiler {command[0]} takes longer than {COMPILER_SECONDS} s.") from error
        raise
    return subprocess.CompletedProcess(command, process.returncode, out, err)
