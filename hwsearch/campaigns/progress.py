"""What a long step tells about itself; the command line draws it, a library user may ignore it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

log = logging.getLogger("hwsearch")


class Task(Protocol):
    """One step under way."""

    def update(self, done: float) -> None:
        """Work done so far, in the step's unit."""
        ...

    def note(self, text: str) -> None:
        """A short remark that stays beside the finished step."""
        ...


class Progress(Protocol):
    """Receives the steps of a run."""

    @contextmanager
    def task(self, name: str, total: float, unit: str) -> Iterator[Task]:
        """A step of `total` units; ends with the context."""
        ...

    def warn(self, text: str) -> None:
        """Something the user should know."""
        ...


class _Logged:
    def __init__(self, name: str) -> None:
        self.name = name

    def update(self, done: float) -> None:
        log.debug("%s %s", self.name, done)

    def note(self, text: str) -> None:
        log.info("%s: %s", self.name, text)


class LoggedProgress:
    """The default: everything goes to the logger ``hwsearch``."""

    @contextmanager
    def task(self, name: str, total: float, unit: str) -> Iterator[Task]:
        log.info("%s: %g %s", name, total, unit)
        yield _Logged(name)

    def warn(self, text: str) -> None:
        log.warning("%s", text)
