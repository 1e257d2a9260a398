"""End processes that were started in a session of their own."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress


def kill_process_group(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and all that it started in its session, and wait for its end.

    Parameters
    ----------
    process : subprocess.Popen
        Started with ``start_new_session=True``.
    """
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    if process.poll() is None:
        process.kill()
    process.wait()
