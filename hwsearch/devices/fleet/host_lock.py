"""The lock by which campaigns and workers of one user take turns at timing on this host."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock, Timeout

from hwsearch.errors import DeviceError

#: seconds between two looks at who holds the lock
LOOK_S = 1.0


class Holder(NamedTuple):
    """Who times on this host.

    Attributes
    ----------
    campaign : str
        Folder of its campaign, or what else it does.
    pid : int
        Of its process.
    since : str
        When it took the lock, UTC.
    """

    campaign: str
    pid: int
    since: str

    def __str__(self) -> str:
        return f"{self.campaign} (process {self.pid}, since {self.since[11:19]} UTC)"


#: told about once a second who holds the lock, where that is known, and for how many seconds it was waited for
Waiting = Callable[[Holder | None, float], None]


def lock_path() -> Path:
    """Name this user's lock file.

    Returns
    -------
    Path
        A file in the system's folder for temporary files (``TMPDIR`` changes it), named by the user.
    """
    user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
    return Path(tempfile.gettempdir()) / f"hwsearch-{user}.lock"


def lock_holder() -> Holder | None:
    """Read who holds the lock.

    Returns
    -------
    Holder or None
        None where nobody does, or it is just changing hands.
    """
    try:
        fields = json.loads(_holder_path().read_text(encoding="utf-8"))
        return Holder(str(fields["campaign"]), int(fields["pid"]), str(fields["since"]))
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


@contextmanager
def host_lock(
    enabled: bool = True, *, campaign: str = "another program", waiting: Waiting | None = None
) -> Iterator[None]:
    """Hold the per-user lock: one timing process per host at a time.

    Parameters
    ----------
    enabled : bool
        False for devices that share nothing with this host's others; then nothing is locked.
    campaign : str
        What those who wait are told about this process.
    waiting : callable, optional
        Told while another process holds the lock.

    Yields
    ------
    None
        Once no other campaign or worker of this user times anything on this host.

    Raises
    ------
    DeviceError
        If the lock's file cannot be opened, for example because it is another user's.
    """
    if not enabled:
        yield
        return
    path = lock_path()
    lock = FileLock(path, mode=0o600)
    # a waiting process looks again every 50 ms, and one that gives the lock back and wants it again would always be
    # faster; so whoever waits for the lock holds the queue, and all others wait for that
    queue = FileLock(path.with_suffix(".queue"), mode=0o600)
    started = time.monotonic()
    try:
        _acquire(queue, started, waiting)
        try:
            _acquire(lock, started, waiting)
        finally:
            queue.release()
    except OSError as error:
        raise DeviceError(
            f"the lock {str(path)!r}, by which measurements on this host take turns, cannot be opened: {error.strerror}.",
            hint="Make it yours, or set TMPDIR.",
        ) from error
    try:
        _note_holder(Holder(campaign, os.getpid(), datetime.now(UTC).isoformat(timespec="seconds")))
        yield
    finally:
        with contextlib.suppress(OSError):
            _holder_path().unlink()
        lock.release()


def _acquire(lock: FileLock, started: float, waiting: Waiting | None) -> None:
    while True:
        try:
            lock.acquire(timeout=LOOK_S)
            return
        except Timeout:
            if waiting is not None:
                waiting(lock_holder(), time.monotonic() - started)


def _holder_path() -> Path:
    return lock_path().with_suffix(".holder")


def _note_holder(holder: Holder) -> None:
    """Write who holds the lock, for others to show; where that cannot be done, they are told less."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0)
    with contextlib.suppress(OSError):
        file = os.open(_holder_path(), flags, 0o600)
        with os.fdopen(file, "w", encoding="utf-8") as stream:
            json.dump(holder._asdict(), stream)
