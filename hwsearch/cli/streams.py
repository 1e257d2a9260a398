"""Standard streams of any encoding, closed or left by their reader."""

from __future__ import annotations

import os
import sys


def take_streams() -> None:
    """Make the standard streams such that printing ends no command.

    Characters that an encoding lacks are replaced; a stream that was closed leads nowhere.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8"))
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    if sys.stdin is None:
        sys.stdin = os.fdopen(os.open(os.devnull, os.O_RDONLY), encoding="utf-8")


def leave_output() -> None:
    """Lead standard output nowhere, so that nothing fails when the process flushes it at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
