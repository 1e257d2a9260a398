"""The lock by which campaigns and workers of one user take turns at timing on this host."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from hwsearch.errors import DeviceError


def lock_path() -> Path:
    """Name this user's lock file.

    Returns
    -------
    Path
        A file in the system's folder for temporary files (``TMPDIR`` changes it), named by the user.
    """
    user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
    return Path(tempfile.gettempdir()) / f"hwsearch-{user}.lock"


@contextmanager
def host_lock(enabled: bool = True) -> Iterator[None]:
    """Hold the per-user lock: one timing process per host at a time.

    Parameters
    ----------
    enabled : bool
        False for devices that share nothing with this host's others; then nothing is locked.

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
    try:
        with queue:
            lock.acquire()
    except OSError as error:
        raise DeviceError(
            f"the lock {str(path)!r}, by which measurements on this host take turns, cannot be opened: {error.strerror}.",
            hint="Make it yours, or set TMPDIR.",
        ) from error
    try:
        yield
    finally:
        lock.release()
