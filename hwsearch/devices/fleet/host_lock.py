"""Who measures: executors that do one job, and what keeps workers out of each other's way."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hwsearch.errors import DeviceError

try:
    import fcntl
except ImportError:  # no such locks on this system
    fcntl = None  # type: ignore[assignment]


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
