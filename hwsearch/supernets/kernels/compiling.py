"""Compile the library of kernels: for the cache of one user, or for a wheel.

Nothing here needs more than the standard library, as wheels are built where torch is not installed.
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

from hwsearch.errors import SupernetError
from hwsearch.supernets.kernels.processor import FLAGS, machine

log = logging.getLogger(__name__)

SOURCE = Path(__file__).parent / "source"
#: what every build is compiled with; nothing that changes how the process computes elsewhere (as -ffast-math does)
OPTIONS = (
    "-O3", "-fPIC", "-shared", "-std=c++2a", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math",
    "-fno-exceptions", "-fno-rtti", "-fvisibility=hidden", "-Wno-psabi",
)  # fmt: skip
LIBRARY, RECORD = "kernels.so", "kernels.json"
#: seconds that a compiler gets
COMPILER_SECONDS = 300


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


def build_packaged(levels: Iterable[str], folder: Path, kind: str | None = None) -> list[Path]:
    """Compile the libraries of a wheel.

    Parameters
    ----------
    levels : iterable of str
        Keys of `hwsearch.supernets.kernels.processor.FLAGS`; the processor here need not have them.
    folder : Path
        Gets a folder for each.
    kind : str, optional
        Kind of processor, as `machine` names it; that of this machine by default. The compiler must be for it.

    Returns
    -------
    list of Path
        The libraries.

    Raises
    ------
    SupernetError
        If there is no compiler, it is for another kind of processor, or it fails.
    """
    compiler, found = fitting_compiler(kind), []
    folder.mkdir(parents=True, exist_ok=True)
    for level in levels:
        shutil.rmtree(folder / level, ignore_errors=True)
        build(compiler, level, folder / level, kind)
        found.append(folder / level / LIBRARY)
    return found


def fitting_compiler(kind: str | None = None) -> tuple[str, ...]:
    """Find a compiler and check that it is for a kind of processor.

    Parameters
    ----------
    kind : str, optional
        As `machine` names it; that of this machine by default.

    Returns
    -------
    tuple of str
        The command, as of `find_compiler`.

    Raises
    ------
    SupernetError
        If there is none, it does not answer, or it is for another kind.
    """
    compiler = find_compiler()
    target = ask(compiler, "-dumpmachine").split("-")[0]
    if {"amd64": "x86_64", "arm64": "aarch64"}.get(target, target) != (kind or machine()):
        wanted = f"this machine is {machine()}" if kind is None else f"{kind} is asked for"
        raise SupernetError(f"the compiler {shlex.join(compiler)} builds for {target}, {wanted}.")
    return compiler


def build(compiler: tuple[str, ...], level: str, place: Path, kind: str | None = None) -> None:
    """Compile one library, with a record of its digest, into a folder that appears when both are whole.

    Parameters
    ----------
    compiler : tuple of str
        As of `fitting_compiler`.
    level : str
        Key of `hwsearch.supernets.kernels.processor.FLAGS`.
    place : Path
        The folder; it does not exist, the one above does.
    kind : str, optional
        Kind of processor that the compiler is for; that of this machine by default.

    Raises
    ------
    SupernetError
        If the compiler fails.
    """
    log.info("compiling the kernels for %s with %s", level, shlex.join(compiler))
    partial = Path(tempfile.mkdtemp(prefix=f"{place.name}.", dir=place.parent))
    try:
        try:
            _compile(compiler, ("-fopenmp", *FLAGS[level]), partial / LIBRARY)
        except SupernetError:
            _compile(compiler, FLAGS[level], partial / LIBRARY)  # one without OpenMP computes with one thread
        digest = hashlib.sha256((partial / LIBRARY).read_bytes()).hexdigest()
        record = {"sha256": digest, "source": source_digest(), "machine": kind or machine(), "level": level}
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


def ask(compiler: tuple[str, ...], question: str) -> str:
    """Ask a compiler something about itself.

    Parameters
    ----------
    compiler : tuple of str
        The command.
    question : str
        Such as ``--version``.

    Returns
    -------
    str
        The answer.

    Raises
    ------
    SupernetError
        If there is none.
    """
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
