"""Child processes that read damaged files within bounds, and what became of each file."""

from __future__ import annotations

import logging
import multiprocessing
import os
import resource
import sys
import time
import traceback
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from benchmarks.hostile_kinds import Kind, kinds
from hwsearch.errors import HwsearchError
from latency_tables import TableError
from predictors import PredictorError

#: bytes above what a child has before, and seconds of processor time, that a file may cost
MOST_BYTES, MOST_SECONDS = 2**30, 20.0
#: seconds on the clock after which a child is ended: a host may be busy with other things
PATIENCE_S = 120.0
#: errors of this product
TYPED = (HwsearchError, TableError, PredictorError)
#: what native code says where memory is missing, beside MemoryError
NO_MEMORY = ("allocate memory", "bad_alloc", "not enough memory", "malloc of size", "realloc of size", "out of memory")


@dataclass(frozen=True)
class Outcome:
    """Outcome of one file.

    Attributes
    ----------
    kind : str
        Which kind of file it was.
    index : int
        Its number; kind, index and seed make the same file again.
    what : {"right", "refused", "traceback", "crash", "silent_wrong"}
        The value was right, there was a typed error, another exception, the process ended, or a wrong value.
    over_memory, over_time : bool
        Whether it cost more than `MOST_BYTES` or `MOST_SECONDS`.
    detail : str
        The exception with where it came from, or how the process ended.
    mib, seconds : float
        Highest memory above the memory before, and processor time.
    """

    kind: str
    index: int
    what: str
    over_memory: bool = False
    over_time: bool = False
    detail: str = ""
    mib: float = 0.0
    seconds: float = 0.0

    @property
    def fault(self) -> bool:
        """Whether this must not be."""
        return self.what not in ("right", "refused") or self.over_memory or self.over_time


def attempt(kind: Kind, index: int, seed: int, folder: Path) -> Outcome:
    """Read one damaged file in this process.

    Parameters
    ----------
    kind : Kind
        Which kind.
    index, seed : int
        Decide the damage.
    folder : pathlib.Path
        Where the valid file lies, and a folder for the damaged one.

    Returns
    -------
    Outcome
        What became of it; a crash ends the process instead.
    """
    data, right = kind.damaged(index, seed)
    path = kind.placed(folder, data)
    before = _reset_peak()
    started = time.process_time()
    what, detail, short = "right", "", False
    try:
        found = kind.read(path)
        if not right(found):
            what, detail = "silent_wrong", f"read {str(found)[:300]!r}"
    except TYPED as error:
        what, detail, short = "refused", str(error)[:300], _no_memory(error)
    except RecursionError as error:
        what, detail = "traceback", f"RecursionError: {error}"
    except Exception as error:
        what, detail, short = "traceback", _told(error), _no_memory(error)
    seconds = time.process_time() - started
    mib = (_peak() - before) / 2**20
    over = short or mib > MOST_BYTES / 2**20
    return Outcome(kind.name, index, what, over, seconds > MOST_SECONDS, detail, round(mib, 1), round(seconds, 3))


def _told(error: Exception) -> str:
    last = traceback.extract_tb(error.__traceback__)
    ours = [f for f in last if "hwsearch" in f.filename or "predictors" in f.filename or "latency_tables" in f.filename]
    at = (ours or last)[-1]
    return f"{type(error).__name__}: {str(error)[:200]} ({Path(at.filename).name}:{at.lineno})"


def _no_memory(error: BaseException | None) -> bool:
    """Tell whether memory that is not there is behind an error, also behind a typed one."""
    while error is not None:
        if isinstance(error, MemoryError) or any(text in str(error).lower() for text in NO_MEMORY):
            return True
        error = error.__cause__ or error.__context__
    return False


def _status(name: str) -> int:
    """Return a size of this process from Linux, bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return 1024 * int(line.split()[1])
    return 0


def _reset_peak() -> int:
    try:
        Path("/proc/self/clear_refs").write_text("5")
        return _status("VmHWM")
    except OSError:
        return _peak()


def _peak() -> int:
    if Path("/proc/self/status").exists():
        return _status("VmHWM")
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def serve(pipe: Connection, folder: Path, names: Sequence[str], seed: int) -> None:
    """Read files that the parent names by kind and number, until the pipe is closed; the body of a child process.

    Parameters
    ----------
    pipe : multiprocessing.connection.Connection
        Takes (kind, index) and gives an `Outcome`.
    folder : pathlib.Path
        Of this child alone.
    names : sequence of str
        Kinds that may come; their valid files are read once first, so that all that is loaded late is there.
    seed : int
        Decides the damage.
    """
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    sink = os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, 1)
    os.dup2(sink, 2)
    makers = kinds()
    made = {}
    for name in names:
        try:
            made[name] = makers[name](folder)
            good = made[name].equal(made[name].read(made[name].placed(folder, made[name].data)))
        except Exception as error:  # the parent has to say it: nothing is printed here
            good = False
            pipe.send(f"the valid file of {name!r}: {_told(error)}")
        if not good:
            pipe.send(f"the valid file of {name!r} is not read as it is")
            return
    if Path("/proc/self/status").exists():
        most = _status("VmSize") + MOST_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    pipe.send("ready")
    while True:
        try:
            name, index = pipe.recv()
        except EOFError:
            return
        try:
            pipe.send(attempt(made[name], index, seed, folder))
        except Exception as error:  # of the benchmark itself
            pipe.send(f"file {index} of {name!r} cannot be made: {_told(error)}")


@dataclass
class _Child:
    process: BaseProcess
    pipe: Connection
    job: tuple[str, int] | None = None
    since: float = 0.0


def run(jobs: Sequence[tuple[str, int]], folder: Path, seed: int, processes: int) -> Iterator[Outcome]:
    """Read damaged files in child processes; one that ends or hangs is replaced.

    Parameters
    ----------
    jobs : sequence of (str, int)
        Kinds and numbers of the files.
    folder : pathlib.Path
        For what the children write.
    seed : int
        Decides the damage.
    processes : int
        Children at a time.

    Yields
    ------
    Outcome
        One a job, in the order in which they end.

    Raises
    ------
    RuntimeError
        If a child ends before its first file: then a valid file is not read.
    """
    names = sorted({name for name, _ in jobs})
    context = multiprocessing.get_context("spawn")
    waiting, made = list(reversed(jobs)), 0

    def start() -> _Child:
        nonlocal made
        own = folder / f"child-{made}"
        own.mkdir(parents=True, exist_ok=True)
        made += 1
        ours, theirs = context.Pipe()
        process = context.Process(target=serve, args=(theirs, own, names, seed), daemon=True)
        process.start()
        theirs.close()
        return _Child(process, ours, None, time.monotonic())

    children = [start() for _ in range(min(processes, len(jobs)))]
    running = len(jobs)
    while running:
        ready = wait([c.pipe for c in children], timeout=5)
        for k, child in enumerate(children):
            ended = None
            if child.pipe in ready:
                try:
                    found = child.pipe.recv()
                    if isinstance(found, str) and found != "ready":
                        raise RuntimeError(found)
                    if isinstance(found, Outcome):
                        running -= 1
                        yield found
                    child.job, child.since = (waiting.pop() if waiting else None), time.monotonic()
                    if child.job is not None:
                        child.pipe.send(child.job)
                    continue
                except (EOFError, ConnectionError):
                    child.process.join()
                    ended = f"ended with exit code {child.process.exitcode}"
            elif child.job is not None and time.monotonic() - child.since > PATIENCE_S:
                child.process.kill()
                child.process.join()
                ended = "no end"
            if ended is None:
                continue
            if child.job is None and running and child.process.exitcode:
                raise RuntimeError(f"a child process {ended} before it read a damaged file.")
            if child.job is not None:
                hangs = ended == "no end"
                running -= 1
                yield Outcome(*child.job, "refused" if hangs else "crash", over_time=hangs, detail=ended)
            child.pipe.close()
            children[k] = start()
    for child in children:
        child.pipe.close()
        child.process.join(10)
        if child.process.is_alive():
            child.process.kill()


def again(kind: str, index: int, seed: int, folder: Path) -> bytes:
    """Make a damaged file again.

    Parameters
    ----------
    kind : str
        Which kind.
    index, seed : int
        As in the `Outcome`.
    folder : pathlib.Path
        For the valid file.

    Returns
    -------
    bytes
        The damaged file.
    """
    return kinds()[kind](folder).damaged(index, seed)[0]
