"""Ctrl-C that is remembered: what is being imported or collected when it comes may swallow it or make another error of it."""

from __future__ import annotations

import signal
import threading
from types import FrameType


class _Interruption:
    """Whether Ctrl-C has come, and whether it may still have to be answered."""

    came = False
    open = False


def listen() -> None:
    """Remember Ctrl-C from now on, beside what it does anyway.

    A process that was started with Ctrl-C ignored goes on ignoring it.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)


def was_interrupted() -> bool:
    """Tell whether Ctrl-C has come.

    Returns
    -------
    bool
        True from the first on.
    """
    return _Interruption.came


def end_if_interrupted() -> None:
    """Do once what Ctrl-C should have done, if it has come; only in the main thread, as Ctrl-C does.

    Raises
    ------
    KeyboardInterrupt
        If it has.
    """
    if _Interruption.open and threading.current_thread() is threading.main_thread():
        _Interruption.open = False
        raise KeyboardInterrupt


def _interrupt(number: int, frame: FrameType | None) -> None:
    _Interruption.came = _Interruption.open = True
    signal.default_int_handler(number, frame)
