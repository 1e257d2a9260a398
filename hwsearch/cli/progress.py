"""Progress on stderr: one bar a step with time left on a terminal, one line a step elsewhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.status import Status
from typing_extensions import override

from hwsearch.campaigns.progress import LoggedProgress, Task
from hwsearch.campaigns.progress import Progress as StepProgress
from hwsearch.cli.interruption import end_if_interrupted
from hwsearch.cli.render import err, visible
from hwsearch.cli.repeats import Repeats


def _bars(console: Console) -> Progress:
    return Progress(
        TextColumn(" {task.description:<26}"),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[count]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(compact=True),
        console=console,
        transient=True,
        refresh_per_second=4,
    )


@contextmanager
def recording(words: str, seconds: float) -> Iterator[Callable[[float], None]]:
    """Show on a terminal what is done, and then how much of a recording is left.

    Parameters
    ----------
    words : str
        What is done before the recording; empty where that has a display of its own.
    seconds : float
        Length of the recording.

    Yields
    ------
    callable
        To be told the recorded seconds.
    """
    with ExitStack() as stack:

        def shown(text: str) -> Status | None:
            return stack.enter_context(err.status(text)) if err.is_terminal else None

        status = shown(words) if words else None

        def tick(done: float) -> None:
            nonlocal status
            end_if_interrupted()
            text = f"recording the host's speed: {done:.0f} of {seconds:.0f} s, {seconds - done:.0f} s left"
            if status is None:
                status = shown(text)
            else:
                status.update(text)

        yield tick


class Heartbeat:
    """Calls a function regularly in the background, so that a step shows that it lives also while it has nothing to tell.

    Parameters
    ----------
    beat : callable
        What is called.
    seconds : float
        How often.
    """

    def __init__(self, beat: Callable[[], None], seconds: float) -> None:
        self._beat, self._seconds, self._over = beat, seconds, threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        while not self._over.wait(self._seconds):
            self._beat()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def left_s(elapsed_s: float, done: float, total: float) -> float | None:
    """Estimate how long a step still takes.

    Parameters
    ----------
    elapsed_s : float
        Seconds since it began.
    done, total : float
        Work done, and all of it.

    Returns
    -------
    float or None
        Seconds; None while nothing is done.
    """
    return elapsed_s * (total - done) / done if done > 0 else None


def minutes(seconds: float | None) -> str:
    """Write a duration as minutes and seconds.

    Parameters
    ----------
    seconds : float or None
        None for one that is not known.

    Returns
    -------
    str
        Such as ``1:05``.

    Examples
    --------
    >>> minutes(65.4), minutes(None)
    ('1:05', '-:--')
    """
    return "-:--" if seconds is None else f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


class TrackedTask:
    """A step under way that is logged, with what is done of it and since when; ended by Ctrl-C at its next update.

    Parameters
    ----------
    total : float
        How much there is to do.
    unit : str
        Of `total`.
    logged : Task
        Receives the same.
    """

    def __init__(self, total: float, unit: str, logged: Task) -> None:
        self.total, self.unit, self._logged = total, unit, logged
        self.text, self.done, self._started = "", 0.0, time.monotonic()

    def update(self, done: float) -> None:
        """Receive the work done so far; see `Task`.

        Parameters
        ----------
        done : float
            In the step's unit.
        """
        end_if_interrupted()
        self.done = done
        self._logged.update(done)

    def note(self, text: str) -> None:
        """Receive a remark that stays beside the finished step; see `Task`.

        Parameters
        ----------
        text : str
            A few words.
        """
        self.text = text
        self._logged.note(text)

    def times(self) -> tuple[float, float | None]:
        """Return the time gone and the time left.

        Returns
        -------
        tuple of float and (float or None)
            Seconds; what is left is not known while nothing is done.
        """
        spent = time.monotonic() - self._started
        return spent, left_s(spent, self.done, self.total)


class _ConsoleTask(TrackedTask):
    def __init__(self, bars: Progress | None, key: TaskID | None, total: float, unit: str, logged: Task) -> None:
        super().__init__(total, unit, logged)
        self.bars, self.key = bars, key

    @override
    def update(self, done: float) -> None:
        super().update(done)
        if self.bars is not None and self.key is not None:
            self.bars.update(self.key, completed=done, count=f"{int(done)}/{int(self.total)} {self.unit}")

    def waits(self, text: str) -> None:
        """Show what the step waits for in the place of its count."""
        if self.bars is not None and self.key is not None:
            shown = f"waiting for {visible(text)}" if text else f"{int(self.done)}/{int(self.total)} {self.unit}"
            self.bars.update(self.key, count=shown)

    def state(self) -> str:
        """Say how far the step is, for where there is no bar."""
        spent, left = self.times()
        return f"{int(self.done)}/{int(self.total)} {self.unit}   {minutes(spent)}, {minutes(left)} left"


class ConsoleProgress(StepProgress):
    """Progress that draws steps on a console; everything also goes to the log.

    Warnings of one kind are shown twice and then counted; the log has them all.

    Parameters
    ----------
    console : rich.console.Console
        A bar a step on a terminal. Elsewhere one line a step, and another one every half minute that it lasts.
    """

    #: seconds between two lines of a step where there is no terminal
    EVERY_S = 30.0

    def __init__(self, console: Console) -> None:
        self.console = console
        self._log = LoggedProgress()
        self._repeats = Repeats()
        self._tasks: list[_ConsoleTask] = []
        self._waits_for = ""

    @override
    @contextmanager
    def task(self, name: str, total: float, unit: str) -> Iterator[Task]:
        end_if_interrupted()
        started = time.monotonic()
        bars = _bars(self.console) if self.console.is_terminal else None
        with self._log.task(name, total, unit) as logged:
            if bars is not None:
                with bars:
                    key = bars.add_task(visible(name), total=total or 1, count=f"0/{int(total)} {unit}")
                    task = _ConsoleTask(bars, key, total, unit, logged)
                    yield from self._under_way(task)
            else:
                task = _ConsoleTask(None, None, total, unit, logged)

                def line() -> None:
                    self.console.print(f" {visible(name):<26} {task.state()}", highlight=False)

                with Heartbeat(line, self.EVERY_S):
                    yield from self._under_way(task)
        note = task.text or f"{int(total)} {unit}"
        spent = minutes(time.monotonic() - started)
        self.console.print(f" {visible(name):<26} {visible(note)}   {spent}", highlight=False)
        for text in self._repeats.summaries():
            self._show_warning(text)

    def _under_way(self, task: _ConsoleTask) -> Iterator[Task]:
        self._tasks.append(task)
        try:
            yield task
        finally:
            self._tasks.remove(task)

    @override
    def warn(self, text: str) -> None:
        self._log.warn(text)
        if self._repeats.is_new(text):
            self._show_warning(text)

    def _show_warning(self, text: str) -> None:
        self.console.print(f" [yellow]note:[/yellow] {visible(text)}", highlight=False)

    @override
    def wait(self, text: str) -> None:
        end_if_interrupted()
        self._log.wait(text)
        if self.console.is_terminal:
            for task in self._tasks[-1:]:
                task.waits(text)
        elif text and text != self._waits_for:
            self.console.print(f" waiting for {visible(text)}", highlight=False)
        self._waits_for = text


class NewEpochs:
    """The rows of epochs that were not told yet; a run that is taken up again begins with its last one."""

    def __init__(self) -> None:
        self._told = 0
        self._history: object = None

    def of(self, status: dict[str, Any]) -> list[dict[str, Any]]:
        """List the rows that are new, each once.

        Parameters
        ----------
        status : dict
            ``history`` is a row a finished epoch of the stage; every stage has a list of its own.

        Returns
        -------
        list of dict
            The rows.
        """
        history = status["history"]
        if history is not self._history:
            self._history, self._told = history, max(0, len(history) - 1)
        new, self._told = history[self._told :], len(history)
        return list(new)


class NewNotes:
    """The notes of a training that were not told yet."""

    def __init__(self) -> None:
        self._told = 0
        self._notes: object = None

    def of(self, status: dict[str, Any]) -> list[str]:
        """List the notes that are new, each once.

        Parameters
        ----------
        status : dict
            Perhaps with ``notes``, a list that grows; every stage has one of its own.

        Returns
        -------
        list of str
            The notes.
        """
        notes = status.get("notes", ())
        if notes is not self._notes:
            self._notes, self._told = notes, 0
        new, self._told = notes[self._told :], len(notes)
        return list(new)


class TrainingBar:
    """Progress of a training: steps, images a second, losses, and the accuracies of the last epoch.

    Parameters
    ----------
    console : rich.console.Console
        Where it is drawn.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self.bars = _bars(console) if console.is_terminal else None
        self.key: TaskID | None = None
        self._epochs, self._notes = NewEpochs(), NewNotes()
        self._kernels = ""
        self._device = "cpu"

    def __enter__(self) -> Self:
        if self.bars is not None:
            self.bars.start()
            self.key = self.bars.add_task("train", total=1, count="")
        return self

    def __exit__(self, *_: object) -> None:
        if self.bars is not None:
            self.bars.stop()

    def update(self, status: dict[str, Any]) -> None:
        """Draw where a training is.

        Parameters
        ----------
        status : dict
            ``step``, ``steps``, ``examples_per_s``, ``examples``, ``kernels``, ``device``, ``losses`` and ``history``, a
            row a finished epoch; of modules that are trained apart also ``notes``, texts.
        """
        if self.bars is not None and self.key is not None:
            loss = " ".join(f"{k} {v:.2f}" for k, v in status["losses"].items())
            self.bars.update(
                self.key,
                completed=status["step"],
                total=status["steps"],
                count=f"{status['examples_per_s']:.0f} {status['examples']}/s · {loss}",
            )
        if status.get("device", self._device) != self._device:
            self._device = status["device"]
            self.console.print(f" device: {visible(self._device)}", highlight=False)
        if status["kernels"] != self._kernels:
            self._kernels = status["kernels"]
            self.console.print(f" kernels: {visible(self._kernels)}", highlight=False)
        for text in self._notes.of(status):
            self.console.print(f" [yellow]note:[/yellow] {visible(text)}", highlight=False)
        for row in self._epochs.of(status):
            self.console.print(" " + " · ".join(f"{k} {v}" for k, v in row.items()), highlight=False)
