"""Progress of long steps; the command line draws it, a library user may ignore it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from typing_extensions import override

log = logging.getLogger("hwsearch")


class Task(Protocol):
    """One step under way, as a receiver of its progress."""

    def update(self, done: float) -> None:
        """Receive the work done so far.

        Parameters
        ----------
        done : float
            In the step's unit.
        """
        ...

    def note(self, text: str) -> None:
        """Receive a remark that stays beside the finished step.

        Parameters
        ----------
        text : str
            A few words.
        """
        ...


class Progress(Protocol):
    """A receiver of the steps of a run and of warnings."""

    @contextmanager
    def task(self, name: str, total: float, unit: str) -> Iterator[Task]:
        """Begin a step, which ends with the context.

        Parameters
        ----------
        name : str
            What is done.
        total : float
            How much there is to do.
        unit : str
            Of `total`, such as ``subnets``.

        Yields
        ------
        Task
            Receives the step's progress.
        """
        ...

    def warn(self, text: str) -> None:
        """Receive something the user should know.

        Parameters
        ----------
        text : str
            A sentence.
        """
        ...

    def wait(self, text: str) -> None:
        """Receive, about once a second, what the step under way waits for.

        Parameters
        ----------
        text : str
            What it waits for; empty when it goes on.
        """
        ...


class _Logged:
    def __init__(self, name: str) -> None:
        self.name = name

    def update(self, done: float) -> None:
        log.debug("%s %s", self.name, done)

    def note(self, text: str) -> None:
        log.info("%s: %s", self.name, text)


class LoggedProgress(Progress):
    """The default progress: everything goes to the logger ``hwsearch``."""

    def __init__(self) -> None:
        self._waits_for = ""

    @override
    @contextmanager
    def task(self, name: str, total: float, unit: str) -> Iterator[Task]:
        log.info("%s: %g %s", name, total, unit)
        yield _Logged(name)

    @override
    def warn(self, text: str) -> None:
        log.warning("%s", text)

    @override
    def wait(self, text: str) -> None:
        before, self._waits_for = self._waits_for, text
        if text and text != before:
            log.info("waiting for %s", text)
        elif before and not text:
            log.info("going on")


class _Part:
    def __init__(self, whole: Task, before: float) -> None:
        self._whole, self._before = whole, before

    def update(self, done: float) -> None:
        self._whole.update(self._before + done)

    def note(self, text: str) -> None:
        log.debug("%s", text)


class PartProgress(Progress):
    """The progress of steps that are parts of one that is shown: what they have done is added to what was done before.

    Parameters
    ----------
    outer : Progress
        Receives warnings and what is waited for.
    whole : Task
        The step that is shown, in the unit of its parts.
    before : float
        Work done before these parts.
    """

    def __init__(self, outer: Progress, whole: Task, before: float) -> None:
        self._outer, self._whole, self._before = outer, whole, before

    @override
    @contextmanager
    def task(self, name: str, total: float, unit: str) -> Iterator[Task]:
        yield _Part(self._whole, self._before)

    @override
    def warn(self, text: str) -> None:
        self._outer.warn(text)

    @override
    def wait(self, text: str) -> None:
        self._outer.wait(text)
