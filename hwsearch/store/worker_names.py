"""Names of workers, which tell on the same host whether a worker still lives."""

from __future__ import annotations

import hashlib
import socket
import uuid
from functools import cache
from pathlib import Path

import psutil


def worker_name() -> str:
    """Make a name for this process that tells, on the same host, whether it still lives.

    Returns
    -------
    str
        ``HOST:PID:STARTED:RANDOM``; another one at each call.
    """
    me = psutil.Process()
    return f"{_host()}:{me.pid}:{me.create_time():.2f}:{uuid.uuid4().hex[:8]}"


@cache
def _host() -> str:
    """Name this boot of this host, as far as process numbers mean the same."""
    marks = [socket.gethostname(), f"{psutil.boot_time():.0f}"]
    for path in ("/proc/sys/kernel/random/boot_id", "/proc/self/ns/pid"):
        try:
            marks.append(Path(path).readlink().name if path.endswith("pid") else Path(path).read_text().strip())
        except OSError:
            continue
    return f"{socket.gethostname()}-{hashlib.sha256('|'.join(marks).encode()).hexdigest()[:8]}"


def is_dead(worker: str) -> bool:
    """Tell whether a worker of this host has ended.

    Parameters
    ----------
    worker : str
        As `worker_name` gives it.

    Returns
    -------
    bool
        False for one of another host, which only its lease tells.
    """
    words = worker.split(":")
    if len(words) != 4 or words[0] != _host():
        return False
    try:
        process = psutil.Process(int(words[1]))
        alive = abs(process.create_time() - float(words[2])) < 2 and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.NoSuchProcess, ValueError):
        return True
    except psutil.Error:
        return False
    return not alive
