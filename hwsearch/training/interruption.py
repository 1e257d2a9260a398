"""Ctrl-C during a training: the step ends, what is done is saved, then it is answered."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self


class Interruption:
    """Hold Ctrl-C back until the training asks for it; a second one is answered at once.

    Only in the main thread, and where Ctrl-C is not ignored; elsewhere nothing changes.

    Attributes
    ----------
    came : bool
        Whether Ctrl-C has come.

    Parameters
    ----------
    patient : bool
        Hold further ones back as well: with several processes, each gets them from the terminal and from its starter.
    """

    def __init__(self, patient: bool = False) -> None:
        self.came = False
        self.patient = patient
        self._at_once = False
        self._before: Callable[[int, FrameType | None], Any] | None = None

    def __enter__(self) -> Self:
        before = signal.getsignal(signal.SIGINT)
        if threading.current_thread() is threading.main_thread() and callable(before):
            self._before = before
            signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def _note(self, number: int, frame: FrameType | None) -> None:
        again, self.came = self.came, True
        if self._at_once or (again and not self.patient):
            self._answer(frame)

    def _answer(self, frame: FrameType | None = None) -> None:
        if self._before is not None:
            self._before(signal.SIGINT, frame)
        raise KeyboardInterrupt  # where what stood there before does not raise

    def answer(self) -> None:
        """Do what Ctrl-C does without this class.

        Raises
        ------
        KeyboardInterrupt
            As Python does.
        """
        self._answer()

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Answer Ctrl-C at once within a block that may be left anywhere.

        Yields
        ------
        None
            Nothing.
        """
        self._at_once = True
        try:
            yield
        finally:
            self._at_once = False
