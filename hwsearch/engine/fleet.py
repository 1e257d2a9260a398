"""Who measures: executors that do one job, and what keeps workers out of each other's way."""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from hwsearch.devices import worker
from hwsearch.errors import DeviceError, StoreError
from hwsearch.store import Job, Queue

try:
    import fcntl
except ImportError:  # no such locks on this system
    fcntl = None  # type: ignore[assignment]

Tick = Callable[[float], None]


class Executor(Protocol):
    """Does one job of a device and returns its checked answer; see `hwsearch.devices.worker`."""

    def run(
        self, job: Mapping[str, Any], files: Mapping[str, bytes], deadline_s: float, tick: Tick | None = None
    ) -> dict[str, Any]:
        """Raises `WorkerError` when the measuring process failed, another typed error when the device did."""
        ...


def module_of(job: Mapping[str, Any]) -> str:
    """The program that can do a job: torch modules are built from the catalogue, which takes longer to start."""
    return "hwsearch.engine.torch_worker" if job["form"] == "torch" else worker.MODULE


class Isolated:
    """A fresh process a job: whatever happens there, this one goes on."""

    def run(
        self, job: Mapping[str, Any], files: Mapping[str, bytes], deadline_s: float, tick: Tick | None = None
    ) -> dict[str, Any]:
        return worker.run_job(job, files, deadline_s, module=module_of(job), tick=tick)


class InProcess:
    """This process: no start-up time, no deadline, and no protection."""

    def run(
        self, job: Mapping[str, Any], files: Mapping[str, bytes], deadline_s: float, tick: Tick | None = None
    ) -> dict[str, Any]:
        build: worker.Builder | None = None
        if job["form"] == "torch":
            from hwsearch.engine import torch_worker

            build = torch_worker.build
        return worker.check_answer(job, worker.do(job, files, tick, build))


@contextmanager
def quiet_host(enabled: bool = True) -> Iterator[None]:
    """Wait until no other campaign or worker of this user times anything on this host, and keep it so meanwhile."""
    if not enabled or fcntl is None:
        yield
        return
    path = Path(tempfile.gettempdir()) / f"hwsearch-{os.getuid()}.lock"
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
    except OSError as error:
        raise DeviceError(
            f"the lock {str(path)!r}, by which measurements on this host take turns, cannot be opened: {error.strerror}.",
            hint="Make it yours, or set TMPDIR.",
        ) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


@contextmanager
def kept(queue: Queue, job: Job, lease_s: float) -> Iterator[None]:
    """Extend a job's lease until the work on it ends; a store that cannot be reached for a while is tried again."""
    done = threading.Event()

    def beat() -> None:
        while not done.wait(lease_s / 3):
            with contextlib.suppress(StoreError):
                queue.extend(job, lease_s=lease_s)

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
